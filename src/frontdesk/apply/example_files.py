"""Adds examples to an agent's file and leaves every other byte of it, comments included, as it is."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any  # YAML's nodes are untyped

import yaml

from frontdesk.apply.located import Refused, parse_yaml
from frontdesk.core.errors import DefinitionError

# What YAML and our reader take for exactly this text without quotes.
_PLAIN = re.compile(r"[^\W\d_][\w ,.'’!?()/+%-]*", re.UNICODE)
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def with_examples(text: str, file: str, additions: Sequence[str], note: str) -> str:
    """The file's text with `additions` as the last of its `examples`, below a comment. `file`: as it is shown.

    Raises DefinitionError for a file that can't be added to without being written anew.
    """
    new = _inserted(text, file, additions, note)
    before = parse_yaml(text, file).value
    try:
        after = parse_yaml(new, file).value
    except (Refused, yaml.YAMLError):
        after = None
    # The proof, whatever the file looked like: nothing but the examples has changed.
    if after != before | {"examples": [*(before.get("examples") or ()), *additions]}:
        raise DefinitionError(f"{file}: can't be added to as it is written; give `examples` as a list, one a line.")
    return new


def replace_file(path: Path, text: str) -> None:
    """At once: a reader finds the old file or the new one. Raises OSError."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(text.encode())
    beside.replace(path)


def _inserted(text: str, file: str, additions: Sequence[str], note: str) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise DefinitionError(f"{file}: is not the file of an agent.")
    listed = next((value for key, value in root.value if key.value == "examples"), None)
    if isinstance(listed, yaml.SequenceNode) and listed.flow_style:
        return _in_brackets(text, listed, additions)
    if isinstance(listed, yaml.SequenceNode) and listed.value:
        at = _line_after(text, listed.value[-1].end_mark)
        indent = " " * listed.start_mark.column
        head = ""
    elif listed is None:
        at, indent, head = len(text), "  ", f"examples:{newline}"
    else:
        raise DefinitionError(f"{file}: `examples` is empty; give it a first one, or leave the key out.")
    lines = [f"{indent}# {note}", *(f"{indent}- {_scalar(each)}" for each in additions)]
    before, after = text[:at], text[at:]
    if before and not before.endswith("\n"):
        before += newline
    return f"{before}{head}{newline.join(lines)}{newline}{after}"


def _in_brackets(text: str, listed: Any, additions: Sequence[str]) -> str:
    end = listed.end_mark.index - 1  # the bracket
    comma = ", " if listed.value and not text[:end].rstrip().endswith(",") else ""
    return f"{text[:end]}{comma}{', '.join(_quoted(each) for each in additions)}{text[end:]}"


def _line_after(text: str, mark: Any) -> int:
    """The start of the line behind a value; a block text ends there already."""
    if mark.column == 0:
        return int(mark.index)
    end = text.find("\n", mark.index)
    return len(text) if end < 0 else end + 1


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and text == text.strip() else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

"""Values as YAML that `located.py` reads as exactly these values, in one form for the same value."""

import re
from typing import Any  # the values of a file

import yaml

from frontdesk.apply.located import reads_as_text

# Ends of lines to YAML, which a reader would take for line feeds, and a mark that it would drop.
_QUOTED = re.compile("[\r\x85\u2028\u2029\ufeff]")


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, texts that would be read as something else in quotes, lists indented."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if _QUOTED.search(text) or not reads_as_text(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)


def yaml_text(value: dict[str, Any]) -> str:
    """Keys in their order. Raises ValueError for a text that YAML can't say."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9)
    return text

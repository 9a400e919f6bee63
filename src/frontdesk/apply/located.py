"""YAML whose every value knows its line, read without YAML's dangers.

Accepted is what definitions need: mappings, lists, text, numbers, true/false and null, in one document. Anchors and
aliases (the "billion laughs"), tags, merge keys and endless nesting are refused; `no`, `on`, `14:30` and dates stay
text, as YAML 1.2 has it. The tree is built from the parser's events with a stack of our own, so no depth can
exhaust Python's.
"""

import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any  # parsed YAML is untyped until a form has checked it

import yaml

from frontdesk.apply.problems import Problems

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_VALUES = 50_000

Path_ = tuple[str | int, ...]

# NUL can't be stored, lone surrogates can't be sent.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

# libyaml's parser is some 8 times faster; both give the same events.
_Loader: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@dataclass(frozen=True, slots=True)
class Located:
    """A parsed file: plain values, and for each path into them its line."""

    file: str  # as it is shown
    value: Any
    lines: dict[Path_, int]
    blocks: dict[Path_, int]  # of block texts (`|`, `>`): the line on which the text itself begins

    def line(self, path: Path_) -> int:
        """The line of the value, or of the nearest thing around it that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def text_line(self, path: Path_) -> int:
        """Where the first line of a text stands."""
        return self.blocks.get(path) or self.line(path)


class Refused(Exception):
    """YAML that is no file of a tenant's: `sentence` says why, of the line."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line
        self.sentence = sentence


def read_text(path: Path, file: str, problems: Problems, most: int = MAX_BYTES) -> str | None:
    """The file's text; None, with a problem noted, when it can't be read as UTF-8 text."""
    try:
        with path.open("rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        problems.add(file, 1, f"can't be read: {error.strerror}")
        return None
    if len(content) > most:
        problems.add(file, 1, f"is larger than {most:,} bytes, the most that is accepted")
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.add(file, line, f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8")
        return None
    if "\0" in text:
        problems.add(file, text.count("\n", 0, text.index("\0")) + 1, "has a NUL character; only text is accepted")
        return None
    return text


def read_yaml(path: Path, file: str, problems: Problems) -> Located | None:
    """The parsed file; None when something had to be noted."""
    text = read_text(path, file, problems)
    if text is None:
        return None
    try:
        return parse_yaml(text, file)
    except Refused as refused:
        problems.add(file, refused.line, refused.sentence)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problems.add(file, line, _syntax_sentence(error, text, line))
    except yaml.YAMLError as error:  # a character that YAML has no place for
        problems.add(file, 1, f"is not YAML: {str(error).splitlines()[0]}")
    return None


def parse_yaml(text: str, file: str) -> Located:
    """Raises Refused and yaml.YAMLError."""
    return _Builder(file).build(text)


class _Frame:
    """A mapping or list under construction."""

    __slots__ = ("container", "key", "keys", "path")

    def __init__(self, container: dict[str, Any] | list[Any], path: Path_) -> None:
        self.container = container
        self.path = path
        self.key: str | None = None
        self.keys: dict[str, int] = {}


class _Builder:
    def __init__(self, file: str) -> None:
        self._file = file
        self._lines: dict[Path_, int] = {}
        self._blocks: dict[Path_, int] = {}
        self._stack: list[_Frame] = []
        self._root: Any = None
        self._documents = 0
        self._values = 0

    def build(self, text: str) -> Located:
        for event in yaml.parse(text, Loader=_Loader):
            mark: Any = event.start_mark  # every event of a parsed text has one
            self._take(event, mark.line + 1)
        return Located(self._file, self._root, self._lines, self._blocks)

    def _take(self, event: Any, line: int) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise Refused(line, "begins a second document (`---`); one document per file is accepted")
            case yaml.AliasEvent():
                raise Refused(line, f"uses the alias `*{event.anchor}`; aliases are not accepted, write the value out")
            case yaml.ScalarEvent():
                self._check(event, line)
                self._scalar(event, line)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._check(event, line)
                self._open({} if isinstance(event, yaml.MappingStartEvent) else [], line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._stack.pop()

    def _check(self, event: Any, line: int) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise Refused(line, f"has more than {MAX_VALUES:,} values, the most that is accepted")
        if event.anchor:
            raise Refused(line, f"sets the anchor `&{event.anchor}`; anchors are not accepted, write the value out")
        if event.tag is not None and event.tag != "!":
            raise Refused(line, f"has the tag `{event.tag}`; tags are not accepted, write plain values")

    def _scalar(self, event: Any, line: int) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._key(frame, event.value, line)
            return
        value = event.value
        if _UNSTORABLE.search(value):
            raise Refused(line, "has an escape for NUL or half a character; only text that can be stored is accepted")
        if event.implicit[0]:
            value = _plain(value)
        path = self._place(value, line)
        if event.style in ("|", ">"):
            self._blocks[path] = line + 1

    def _key(self, frame: _Frame, key: str, line: int) -> None:
        if key == "<<":
            raise Refused(line, "merges with `<<`; merging is not accepted, write the keys out")
        if key in frame.keys:
            raise Refused(line, f"sets `{key}` a second time; it stands already on line {frame.keys[key]}")
        frame.keys[key] = line
        frame.key = key
        self._lines[(*frame.path, key)] = line

    def _open(self, container: dict[str, Any] | list[Any], line: int) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise Refused(line, f"is nested deeper than {MAX_DEPTH} levels, the most that is accepted")
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            raise Refused(line, "has a list or mapping as a key; a key is a word")
        path = self._place(container, line)
        self._stack.append(_Frame(container, path))

    def _place(self, value: Any, line: int) -> Path_:
        if not self._stack:
            self._root = value
            self._lines[()] = line
            return ()
        frame = self._stack[-1]
        if isinstance(frame.container, list):
            path: Path_ = (*frame.path, len(frame.container))
            frame.container.append(value)
            self._lines[path] = line
            return path
        assert frame.key is not None, "keys and values alternate"
        path = (*frame.path, frame.key)
        frame.container[frame.key] = value
        frame.key = None
        return path


def reads_as_text(text: str) -> bool:
    """Whether a scalar of these characters is text without quotes."""
    return isinstance(_plain(text), str)


def _plain(text: str) -> Any:
    """An unquoted scalar by YAML 1.2's core schema."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and isfinite(number := float(text)):  # what is beyond all figures, JSON can't say
        return number
    return text


def _syntax_sentence(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    rows = text.split("\n")
    row = rows[line - 1] if line <= len(rows) else ""
    if "\t" in row[: len(row) - len(row.lstrip())] or "'\\t'" in (error.problem or ""):
        return "is indented with a tab; YAML accepts spaces only"
    context = f" {error.context}" if error.context else ""
    return f"is not YAML: {error.problem or 'unreadable'}{context}"

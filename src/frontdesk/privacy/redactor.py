"""Placeholders in place of personal data, and back: `[EMAIL_1]` for the first address of a request, wherever it stands.

A `Redaction` belongs to one request. The same value has the same placeholder in all its texts; another request's values
it does not know, so that no placeholder opens what somebody else wrote. Text that merely looks like a placeholder is
itself replaced, and comes back as it was.
"""

import math
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any  # tool arguments are untyped wire data

import orjson

from frontdesk.core import json
from frontdesk.privacy.detector import DetectionTooSlow, Detector
from frontdesk.privacy.models import Entity

PLACEHOLDER = re.compile(r"\[[A-Z][A-Z_]{1,20}_\d{1,5}\]")
# The beginning of one, which may be waiting for its end where one piece of a stream ends.
_BEGUN = re.compile(r"\[(?:[A-Z][A-Z_]{0,21}\d{0,5})?$")
# Stands for a text in which personal data could not be looked for.
WITHHELD = "[WITHHELD]"
_LITERAL = "LITERAL"
# A shorter value that was found in one place is not looked for in all others.
_SHORTEST_REPEATED = 4
_QUOTED = re.compile(r'["{\[]')
_STRUCTURE = re.compile(r'["{}\[\]]')
_NAME_ENDS = re.compile(r'"\s*:')
_ENDS_NUMBER = re.compile(r'[\s",:{}\[\]]')
_CONSTANTS = ("null", "true", "false")
_AROUND = " \t\n,:"  # of a value, but none of it
# Of JSON, and of JSON that is a text in JSON. A quote behind two backslashes ends its text, so it is none.
_ESCAPE = re.compile(r'(?:\\\\)*\\"|\\+(?:u[0-9a-fA-F]{4}|[/bfnrt])?')
_WHITE = {"n": "\n", "t": "\t"}
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Text:
    """A text to be hidden. One that holds JSON holds it still: a number that is hidden becomes a text."""

    text: str
    holds_json: bool = False
    # Of what is ours, nothing is hidden but what looks like a placeholder, and what others said where we quote them:
    # in JSON, from the first quote or bracket of a line to its end.
    is_ours: bool = False

    @property
    def is_searched(self) -> bool:
        return not self.is_ours or self.holds_json


Place = tuple[int, int, str]  # start, end, kind


class Redaction:
    """The values of one request and their placeholders, numbered in the order in which they are met."""

    def __init__(
        self, detector: Detector, entities: frozenset[Entity], *, for_good: bool = False, ends_at: float = math.inf
    ) -> None:
        """`for_good`: nothing will be put back, so what looks like a placeholder may stay. `ends_at`: of the monotonic
        clock; later nothing is hidden any more, and DetectionTooSlow is raised."""
        self._detector = detector
        self._entities = entities
        self._for_good = for_good
        self._ends_at = ends_at
        self._placeholders: dict[str, str] = {}  # by value
        self._values: dict[str, str] = {}  # by placeholder
        self._counts: dict[str, int] = {}
        self._repeated = _Repeated({}, holds_json=False), _Repeated({}, holds_json=True)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was hidden."""
        return not self._values

    def lengths(self, texts: Sequence[Text]) -> tuple[int, int]:
        """Characters that `hide` would search, and those that were searched of late."""
        unread = read = 0
        for text in texts:
            if text.is_searched:
                is_known = self._detector.is_known(_reading(text.text))
                unread, read = unread + len(text.text) * (not is_known), read + len(text.text) * is_known
        return unread, read

    def hide(self, texts: Sequence[Text]) -> list[str]:
        """The texts with placeholders; a value found in one of them is hidden in all. Raises DetectionTooSlow."""
        read = [(text, _reading(text.text)) for text in texts]
        places = [self._places(text, reading) for text, reading in read]
        for (text, _), found in zip(read, places, strict=True):
            for start, end, kind in found:
                self._placeholder(_value(text, start, end), kind)
        if self.is_empty:
            return [text.text for text in texts]
        kinds = {
            value: _kind(placeholder)
            for value, placeholder in self._placeholders.items()
            if len(value) >= _SHORTEST_REPEATED and _kind(placeholder) != _LITERAL
        }
        self._repeated = _Repeated(kinds, holds_json=False), _Repeated(kinds, holds_json=True)
        return [self._hidden(text, reading, found) for (text, reading), found in zip(read, places, strict=True)]

    def restored(self, text: str) -> str:
        """The text with the values; placeholders that are none of this request's stay."""
        if self.is_empty or "[" not in text:
            return text
        return PLACEHOLDER.sub(lambda match: self._values.get(match.group(), match.group()), text)

    def restored_json(self, text: str) -> str:
        """The same within a text that is JSON."""
        if self.is_empty or "[" not in text:
            return text
        return PLACEHOLDER.sub(lambda match: _escaped(self._values.get(match.group(), match.group())), text)

    def restored_value(self, value: Any) -> Any:
        """The same in every string of a JSON value, names of fields included."""
        match value:
            case str():
                return self.restored(value)
            case dict():
                return {self.restored(name): self.restored_value(inner) for name, inner in value.items()}
            case list():
                return [self.restored_value(inner) for inner in value]
            case _:
                return value

    def hidden_value(self, value: Any) -> Any:
        """A JSON value with placeholders for what `hide` met and for what it holds, names of fields included; a number
        that is hidden becomes a text. Raises DetectionTooSlow."""
        text = Text(value) if isinstance(value, str) else Text(json.dumps_text(value), holds_json=True)
        reading = _reading(text.text)
        hidden = self._hidden(text, reading, self._places(text, reading))
        return json.loads(hidden) if text.holds_json else hidden

    def _places(self, text: Text, reading: str) -> list[Place]:
        """Where something is to be hidden, in order, none overlapping."""
        found: list[Place] = []
        if text.is_searched:
            for start, end, kind in self._found(reading):
                if text.is_ours and _is_prose(text.text, start):
                    continue
                found += self._between_quotes(reading, start, end, kind) if text.holds_json else [(start, end, kind)]
        if "[" not in text.text or self._for_good:
            return list(_disjoint(reading, found, ()))
        return list(_disjoint(reading, found, [(*match.span(), _LITERAL) for match in PLACEHOLDER.finditer(text.text)]))

    def _found(self, reading: str) -> Iterator[Place]:
        for each in self._detector.find(reading, self._ends_at):
            if each.entity in self._entities:
                yield each.start, each.end, each.entity.value

    def _between_quotes(self, reading: str, start: int, end: int, kind: str) -> Iterator[Place]:
        """The parts of a place between the quotes and brackets of JSON. Names of fields that merely stand between two
        values are none of it: they are searched by themselves."""
        marks = [match.start() for match in _STRUCTURE.finditer(reading, start, end)]
        for first, last in zip([start, *(mark + 1 for mark in marks)], [*marks, end], strict=True):
            if marks and _NAME_ENDS.match(reading, last):
                for at, stop, named in self._found(reading[first:last]):
                    yield first + at, first + stop, named
            elif reading[first:last].strip(_AROUND) not in _CONSTANTS:
                yield first, last, kind

    def _hidden(self, text: Text, reading: str, found: Sequence[Place]) -> str:
        if time.monotonic() > self._ends_at:
            raise DetectionTooSlow("Personal data could not be hidden in time.")
        places = found
        if text.is_searched and (again := list(self._repeated[text.holds_json].places(text.text, reading))):
            literals = [place for place in found if place[2] == _LITERAL]
            places = list(_disjoint(reading, [*(place for place in found if place[2] != _LITERAL), *again], literals))
        pieces: list[str] = []
        reached, is_within = 0, False
        for start, end, kind in places:
            if start < reached:  # a number that has been hidden whole
                continue
            is_within ^= reading.count('"', reached, start) % 2 == 1
            if text.holds_json and not text.is_ours and not is_within and kind != _LITERAL:
                start, end = _whole(reading, reached, start, end)
                shown = f'"{self._placeholder(_value(text, start, end), kind)}"'
            else:
                shown = self._placeholder(_value(text, start, end), kind)
            pieces += (text.text[reached:start], shown)
            reached = end
        return "".join((*pieces, text.text[reached:]))

    def _placeholder(self, value: str, kind: str) -> str:
        known = self._placeholders.get(value)
        if known is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            known = self._placeholders[value] = f"[{kind}_{number}]"
            self._values[known] = value
        return known


class _Repeated:
    """Values that may stand where nothing was found. A text is looked through once, however many they are: by the
    first word of a value and the lengths of those that begin with it."""

    def __init__(self, kinds: dict[str, str], *, holds_json: bool) -> None:
        """`kinds`: of placeholders, by value."""
        self._kinds = {_escaped(value): kind for value, kind in kinds.items()} if holds_json else kinds
        lengths: dict[str, set[tuple[int, int]]] = {}
        for value in self._kinds:
            if (word := _WORD.search(_reading(value))) is not None:
                lengths.setdefault(word.group(), set()).add((len(value), word.start()))
        # By the first word: of the values with it, length and characters before the word, the longest first.
        self._lengths = {word: sorted(found, reverse=True) for word, found in lengths.items()}

    def places(self, text: str, reading: str) -> Iterator[Place]:
        """Where one stands, not as a part of a longer word; some may overlap."""
        if not self._lengths:
            return
        for word in _WORD.finditer(reading):
            for length, before in self._lengths.get(word.group(), ()):
                start = word.start() - before
                end = start + length
                kind = self._kinds.get(text[start:end]) if start >= 0 else None
                if kind is not None and not _is_cut(reading, start) and not _is_cut(reading, end):
                    yield start, end, kind
                    break


class Restoring:
    """Passes a stream on with the values: a placeholder that comes in pieces is held back until it is whole."""

    def __init__(self, redaction: Redaction, tell: Callable[[str], None]) -> None:
        self._redaction = redaction
        self._tell = tell
        self.held = ""  # may be the beginning of a placeholder

    def feed(self, piece: str) -> None:
        text = self.held + piece
        begun = _BEGUN.search(text, max(0, text.rfind("[")))
        self.held = "" if begun is None else begun.group()
        self._pass_on(text[: len(text) - len(self.held)])

    def end(self) -> None:
        """Nothing more comes: what is held back was no placeholder."""
        held, self.held = self.held, ""
        self._pass_on(held)

    def begin_anew(self) -> None:
        self.held = ""

    def _pass_on(self, text: str) -> None:
        if text:
            self._tell(self._redaction.restored(text))


def _reading(text: str) -> str:
    """The text as it is searched, of the same length: blanks and ends of lines stand for the escapes of JSON, which
    would stick to the words behind them. In any text, since JSON may be quoted in it."""
    return _ESCAPE.sub(_blank, text) if "\\" in text else text


def _blank(escape: re.Match[str]) -> str:
    written = escape.group()
    return _WHITE.get(written[-1], " ").rjust(len(written))


def _value(text: Text, start: int, end: int) -> str:
    """The value itself, without the escapes of the JSON that it stands in."""
    written = text.text[start:end]
    if not text.holds_json or "\\" not in written:
        return written
    try:
        return str(orjson.loads(f'"{written}"'))
    except orjson.JSONDecodeError:  # no JSON after all, or cut within an escape
        return written


def _escaped(value: str) -> str:
    return json.dumps_text(value)[1:-1]


def _kind(placeholder: str) -> str:
    return placeholder[1:-1].rpartition("_")[0]


def _disjoint(reading: str, places: Iterable[Place], literals: Sequence[Place]) -> Iterator[Place]:
    """All of them in order. Of what overlaps nothing is lost: the later begins where the earlier ends, and literals,
    which are in order, stay whole."""
    ends = [end for _, end, _ in literals]
    pieces = list(literals)
    for start, end, kind in places:
        at = start
        for number in range(bisect_right(ends, start), len(literals)):
            if literals[number][0] >= end:
                break
            pieces.append((at, literals[number][0], kind))
            at = literals[number][1]
        pieces.append((at, end, kind))
    reached = 0
    for start, end, kind in sorted(pieces, key=lambda place: (place[0], -place[1])):
        if kind == _LITERAL:
            yield start, end, kind
        else:
            start, end = _trimmed(reading, max(start, reached), end)
            if start >= end:
                continue
            yield start, end, kind
        reached = end


def _trimmed(reading: str, start: int, end: int) -> tuple[int, int]:
    """From its first letter or figure, or what may stand before one, to its last; empty where there is none."""
    part = reading[start:end]
    if not any(map(str.isalnum, part)):
        return start, start
    return end - len(part.lstrip(_AROUND)), start + len(part.rstrip(_AROUND))


def _whole(reading: str, reached: int, start: int, end: int) -> tuple[int, int]:
    """The whole number of which a part was found."""
    while start > reached and not _ENDS_NUMBER.match(reading, start - 1):
        start -= 1
    behind = _ENDS_NUMBER.search(reading, end)
    return start, len(reading) if behind is None else behind.start()


def _is_prose(text: str, at: int) -> bool:
    """Whether no quote or bracket stands before it in its line."""
    return _QUOTED.search(text, text.rfind("\n", 0, at) + 1, at) is None


def _is_cut(text: str, at: int) -> bool:
    """Whether a word goes on there."""
    return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()

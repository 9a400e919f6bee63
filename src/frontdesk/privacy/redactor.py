"""Placeholders in place of personal data, and back: `[EMAIL_1]` for the first address of a request, wherever it stands.

A `Redaction` belongs to one request. The same value has the same placeholder in all its texts; another request's values
it does not know, so that no placeholder opens what somebody else wrote. Text that merely looks like a placeholder is
itself replaced, and comes back as it was.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any  # tool arguments are untyped wire data

import orjson

from frontdesk.core import json
from frontdesk.privacy.detector import Detector
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


@dataclass(frozen=True, slots=True)
class Text:
    """A text to be hidden. In one that holds JSON, values are read without its escapes and end at its quotes."""

    text: str
    holds_json: bool = False
    # Of what is ours, nothing is hidden but what looks like a placeholder, and what others said where we quote them:
    # in JSON, from the first quote or bracket of a line to its end.
    is_ours: bool = False


Place = tuple[int, int, str]  # start, end, kind


class Redaction:
    """The values of one request and their placeholders, numbered in the order in which they are met."""

    def __init__(self, detector: Detector, entities: frozenset[Entity], *, for_good: bool = False) -> None:
        """`for_good`: nothing will be put back, so what looks like a placeholder may stay."""
        self._detector = detector
        self._entities = entities
        self._for_good = for_good
        self._placeholders: dict[str, str] = {}  # by value
        self._values: dict[str, str] = {}  # by placeholder
        self._counts: dict[str, int] = {}
        self._repeated: list[str] = []  # values that may stand where nothing was found, the longest first

    @property
    def is_empty(self) -> bool:
        """Whether nothing was hidden."""
        return not self._values

    def hide(self, texts: Sequence[Text]) -> list[str]:
        """The texts with placeholders; a value found in one of them is hidden in all. Raises DetectionTooSlow."""
        places = [list(self._places(text)) for text in texts]
        for text, found in zip(texts, places, strict=True):
            for start, end, kind in found:
                self._placeholder(_read(text, start, end), kind)
        if self.is_empty:
            return [text.text for text in texts]
        long = (value for value in self._placeholders if len(value) >= _SHORTEST_REPEATED)
        self._repeated = sorted(long, key=len, reverse=True)
        return [self._hidden(text, found, self._repeated) for text, found in zip(texts, places, strict=True)]

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
        """A JSON value with placeholders for what `hide` met and for what its texts hold, in the same structure; a
        number that is one of the values becomes a text. Raises DetectionTooSlow."""
        match value:
            case str():
                text = Text(value)
                return self._placeholders.get(value) or self._hidden(text, list(self._places(text)), self._repeated)
            case dict():
                return {name: self.hidden_value(inner) for name, inner in value.items()}
            case list():
                return [self.hidden_value(inner) for inner in value]
            case int() | float():
                return self._placeholders.get(str(value), value)
            case _:
                return value

    def _places(self, text: Text) -> Iterator[Place]:
        """Where something is to be hidden, in order."""
        found: list[Place] = []
        if not text.is_ours or text.holds_json:
            found = [
                (each.start, each.end, each.entity.value)
                for each in self._detector.find(text.text)
                if each.entity in self._entities and not (text.is_ours and _is_prose(text.text, each.start))
            ]
        if "[" in text.text and not self._for_good:
            looks_like = [(*match.span(), _LITERAL) for match in PLACEHOLDER.finditer(text.text)]
            found = [place for place in found if not any(_overlap(place, other) for other in looks_like)] + looks_like
            found.sort()
        for start, end, kind in found:
            if text.holds_json and kind != _LITERAL:
                yield from ((*part, kind) for part in _unquoted(text.text, start, end))
            else:
                yield start, end, kind

    def _hidden(self, text: Text, found: Sequence[Place], repeated: Sequence[str]) -> str:
        places = list(found)
        if not text.is_ours or text.holds_json:
            for value in repeated:
                written = _escaped(value) if text.holds_json else value
                if written in text.text:
                    kind = self._placeholders[value][1:-1].rpartition("_")[0]
                    again = ((*span, kind) for span in _standing_alone(text.text, written))
                    places += [place for place in again if not any(_overlap(place, other) for other in places)]
        if not places:
            return text.text
        pieces: list[str] = []
        reached = 0
        for start, end, kind in sorted(places):
            pieces += (text.text[reached:start], self._placeholder(_read(text, start, end), kind))
            reached = end
        return "".join((*pieces, text.text[reached:]))

    def _placeholder(self, value: str, kind: str) -> str:
        known = self._placeholders.get(value)
        if known is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            known = self._placeholders[value] = f"[{kind}_{number}]"
            self._values[known] = value
        return known


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


def _read(text: Text, start: int, end: int) -> str:
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


def _unquoted(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of a place between the quotes and brackets of JSON, those with letters or figures in them."""
    at = start
    for match in [*_STRUCTURE.finditer(text, start, end), None]:
        stop = end if match is None else match.start()
        part = text[at:stop]
        if any(map(str.isalnum, part)):
            yield at + len(part) - len(part.lstrip(" ,:\\")), stop - len(part) + len(part.rstrip(" ,:\\"))
        at = stop if match is None else match.end()


def _standing_alone(text: str, value: str) -> Iterator[tuple[int, int]]:
    """Where the value stands, not as a part of a longer word."""
    start = text.find(value)
    while start >= 0:
        end = start + len(value)
        if not (_is_word(text, start - 1) and _is_word(text, start)) and not (
            _is_word(text, end - 1) and _is_word(text, end)
        ):
            yield start, end
            start = text.find(value, end)
        else:
            start = text.find(value, start + 1)


def _is_prose(text: str, at: int) -> bool:
    """Whether no quote or bracket stands before it in its line."""
    return _QUOTED.search(text, text.rfind("\n", 0, at) + 1, at) is None


def _is_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and text[at].isalnum()


def _overlap(one: Place, other: Place) -> bool:
    return one[0] < other[1] and other[0] < one[1]

"""Markers such as `[2]` in an answer: checked against what was really found, renumbered, turned into citations."""

import re
from collections.abc import Mapping, Sequence
from uuid import UUID

from frontdesk.knowledge.models import Citation, Passage

_NUMBERS = r"\d{1,3}(?:, ?\d{1,3}){0,7}"
_MARKER = re.compile(rf" ?\[({_NUMBERS})\]")
# What may still become a marker when more text comes: held back until it is decided.
_BEGUN = re.compile(rf"\[(?:{_NUMBERS},?)?\Z")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")
_LIST_MARK = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_SHORTEST_QUOTE = 12


class References:
    """The numbers under which the model sees passages: one each, however often it is found."""

    def __init__(self) -> None:
        self._refs: dict[UUID, int] = {}
        self.passages: dict[int, Passage] = {}

    def ref(self, passage: Passage) -> int:
        ref = self._refs.setdefault(passage.id, len(self._refs) + 1)
        self.passages.setdefault(ref, passage)
        return ref


class MarkerFilter:
    """Lets text through as it comes. Markers of passages that were found are renumbered 1, 2, … in the order of their
    first appearance; others, which the model made up, are taken out. How the text was cut makes no difference.

    Blanks at the beginning and the end are no part of an answer: they wait until something else comes."""

    def __init__(self, passages: Mapping[int, Passage]) -> None:
        self._passages = passages
        self._numbers: dict[int, int] = {}
        self._held = ""
        self._has_begun = False

    @property
    def cited(self) -> list[Passage]:
        """What marker 1, 2, … stand for."""
        return [self._passages[ref] for ref in self._numbers]

    def feed(self, text: str) -> str:
        text = self._held + text
        if not self._has_begun:
            text = text.lstrip()
        ready = text.rstrip()
        if begun := _BEGUN.search(ready):
            ready = ready[: begun.start()].rstrip()
        cut = len(ready)
        self._held = text[cut:]
        self._has_begun = self._has_begun or cut > 0
        return self._in_order(text[:cut])

    def flush(self) -> str:
        """What was held back, at the end of the text."""
        rest, self._held = self._held.rstrip(), ""
        return self._in_order(rest)

    def _in_order(self, text: str) -> str:
        return _MARKER.sub(self._renumbered, text) if "[" in text else text

    def _renumbered(self, found: re.Match[str]) -> str:
        numbers = []
        for ref in map(int, found[1].split(",")):
            if ref in self._passages:
                numbers.append(self._numbers.setdefault(ref, len(self._numbers) + 1))
        if not numbers:
            return ""
        space = " " if found[0].startswith(" ") else ""
        return space + "".join(f"[{number}]" for number in dict.fromkeys(numbers))


def cite(text: str, passages: Mapping[int, Passage]) -> tuple[str, tuple[Citation, ...]]:
    """The answer with its markers in order, and what they stand for: `[n]` is the n-th citation."""
    markers = MarkerFilter(passages)
    clean = markers.feed(text) + markers.flush()
    return clean, citations(clean, markers.cited)


def citations(text: str, cited: Sequence[Passage]) -> tuple[Citation, ...]:
    """A citation quotes the words that the answer took over; the whole passage where it was put in other words."""
    if not cited:
        return ()
    claims: dict[int, list[str]] = {}
    end, claim = 0, ""
    for found in _MARKER.finditer(text):
        claim = text[end : found.start()].strip() or claim
        end = found.end()
        claims.setdefault(int(found[1]), []).append(claim)
    return tuple(_citation(passage, claims.get(number, [])) for number, passage in enumerate(cited, 1))


def without_markers(text: str) -> str:
    """An earlier answer as history: its numbers stand for nothing any more."""
    return _MARKER.sub("", text) if "[" in text else text


def _citation(passage: Passage, claims: list[str]) -> Citation:
    spans = [_span(passage.text, claim) for claim in claims]
    found = [span for span in spans if span is not None]
    if found and len(found) == len(spans):
        first, last = min(start for start, _ in found), max(end for _, end in found)
    else:
        first, last = 0, len(passage.text)
    return Citation(
        document=passage.document,
        title=passage.title,
        passage_id=passage.id,
        start=passage.start + first,
        end=passage.start + last,
        quote=passage.text[first:last],
    )


def _span(passage: str, claim: str) -> tuple[int, int] | None:
    """Where the claim's last line, or at least its last sentence, stands in the passage word by word."""
    line = _LIST_MARK.sub("", claim.rsplit("\n", 1)[-1]).strip()
    for candidate in (line, _SENTENCE_END.split(line)[-1]):
        start = passage.find(candidate)
        if start >= 0 and len(candidate) >= _SHORTEST_QUOTE:
            return start, start + len(candidate)
    return None

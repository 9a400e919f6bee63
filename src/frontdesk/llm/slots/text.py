"""Text as the finders read it: folded without moving a character, cut into words, and mentions found in it."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar  # Any: where only the offsets of a mention matter

T = TypeVar("T")

_WORD = re.compile(r"[^\W_]+(?:['.\-][^\W_]+)*")
# Latin letters lose their accents; typographic quotes and spaces become plain ones. One character for one.
_PLAIN = {
    code: base
    for code in range(0x00C0, 0x0250)
    if len(base := unicodedata.normalize("NFD", chr(code))[0].lower()) == 1 and base.isascii()
} | {
    0x2019: "'",
    0x2018: "'",
    0x02BC: "'",
    0x201C: '"',
    0x201D: '"',
    0x00A0: " ",
    0x202F: " ",
    0x2013: "-",
    0x2014: "-",
}


@dataclass(frozen=True, slots=True)
class Mention(Generic[T]):
    """A value that the text names between two offsets."""

    start: int
    end: int
    value: T


@dataclass(frozen=True, slots=True)
class Word:
    start: int
    end: int
    text: str


def word_set(text: str) -> frozenset[str]:
    """The words of a lexicon's line."""
    return frozenset(text.split())


def phrase_set(text: str) -> frozenset[str]:
    """The phrases of a lexicon's line, between commas."""
    return frozenset(text.split(","))


def fold(text: str) -> str:
    """Lower case without accents, exactly as long as `text`, so that offsets hold in both."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters grow when lowered (İ): keep them
        lowered = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    return lowered.translate(_PLAIN)


def words(text: str) -> list[Word]:
    return [Word(match.start(), match.end(), match.group()) for match in _WORD.finditer(text)]


def stem(word: str) -> str:
    """The first letters: enough to see that `tickets`, `ticket` and `ticketing` are about the same."""
    return word[:5] if len(word) > 5 else word.removesuffix("s") if len(word) > 3 else word


def akin(spoken: Iterable[str], stems: Iterable[str]) -> bool:
    """Whether a spoken word and a stem begin alike: `bedroom` and `bed`, `travelers` and `trave`."""
    known = tuple(each for each in stems if len(each) >= 3)
    return any(
        len(word) >= 3 and any(word.startswith(each) or each.startswith(word) for each in known) for word in spoken
    )


def overlaps(mention: Mention[Any], others: Iterable[Mention[Any]]) -> bool:
    return any(mention.start < other.end and other.start < mention.end for other in others)


def without_overlaps(mentions: Iterable[Mention[T]]) -> list[Mention[T]]:
    """In order of appearance; of two that share characters the longer stays, then the earlier."""
    kept: list[Mention[T]] = []
    for mention in sorted(mentions, key=lambda found: (found.start - found.end, found.start)):
        if not overlaps(mention, kept):
            kept.append(mention)
    return sorted(kept, key=lambda found: found.start)


def one_of(phrases: Iterable[str]) -> str:
    """A regular expression for any of these phrases, longest first, with any white space between their words."""
    ordered = sorted(set(phrases), key=lambda phrase: (-len(phrase), phrase))
    return "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in ordered)

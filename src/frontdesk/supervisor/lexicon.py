"""The guard's lexicons: phrases of danger in one language, and the words that take the danger out of them.

Notation of a phrase: words in order with at most three others between them; `a|b` is either; `turn*` and `*turn` are
beginnings and ends; `can_not` is exactly together; `{who}` stands for a set; `x & y` is both in any order; `x + y` is
both in one clause's reach (at most six words apart, in any order).
"""

import re
import tomllib
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import permutations
from pathlib import Path
from typing import Any  # TOML is untyped until it is parsed here

import msgspec
from rapidfuzz.distance import OSA

from frontdesk.supervisor.words import COMMA, STOP, fold

FOLDER = Path(__file__).parent / "lexicons"

SCOPES = ("negation", "not_negation", "idiom", "now", "past", "if", "question", "booking", "unreal", "mild")

_SHORTEST_TYPO = 5  # letters of a word that may be misspelt; shorter ones have too many neighbours
_FOUR_LETTERS = 4  # … but for two swapped letters
_LONG = 9  # letters of a word that may have two mistakes


class Part:
    """A regular expression, compiled when a text first needs it: all of them at the start would cost a second."""

    __slots__ = ("_pattern", "_source")

    def __init__(self, source: str) -> None:
        self._source = source
        self._pattern: re.Pattern[str] | None = None

    @property
    def pattern(self) -> re.Pattern[str]:
        if self._pattern is None:
            self._pattern = re.compile(self._source)
        return self._pattern


class Phrase(msgspec.Struct, frozen=True):
    """One phrase. `parts` must all be found; `weight` is what it adds to the danger."""

    source: str
    kind: str
    weight: float
    parts: tuple[Part, ...]
    anchors: frozenset[str]  # words, or `begin*`: one of them is in every text that matches; empty: try always
    words: frozenset[str]  # all that it names

    def stands_in(self, words: Sequence[str]) -> bool:
        return _match(self, f" {' '.join(words)} ") is not None


class Hit(msgspec.Struct, frozen=True):
    """A phrase that was found, and its parts' places as (first word, last word + 1)."""

    phrase: Phrase
    spans: tuple[tuple[int, int], ...]


class Lexicon:
    """One language. Reads words as `words.tokens` makes them."""

    def __init__(self, language: str, body: dict[str, Any]) -> None:
        body = _folded(body)
        self.language = language
        self.negation_after: int = body.get("negation_after", 0)
        self._sets = {name: words.split() for name, words in body["sets"].items()}
        self.shorthand = {fold(short): words for short, words in body.get("shorthand", {}).items()}
        self.common = frozenset(body["common"].split())
        danger = [
            self._phrase(source, kind, weight)
            for group, weight in (("strong", 1.0), ("weak", 0.5))
            for kind, sources in body.get(group, {}).items()
            for source in sources
        ]
        self._danger = _Index(danger)
        self._scopes = {
            name: _Index([self._phrase(source, name, 0.0) for source in body["scopes"].get(name, ())])
            for name in SCOPES
        }
        self._human = _Index([self._phrase(source, "human", 1.0) for source in body["human"]["wish"]])
        self._human_alone = frozenset(body["human"]["alone"])
        self._not_human = _Index([self._phrase(source, "human", 0.0) for source in body["human"].get("not", ())])
        breaks = body.get("breaks", "").split()
        self.breaks = frozenset([COMMA, STOP, *breaks])
        self.joins = frozenset(body.get("joins", "").split())  # words such as `and`: a clause ends, a negation does not
        self._known, self._spellings = self._vocabulary(body.get("spellings", "").split())

    def knows(self, words: Iterable[str]) -> int:
        """How many of `words` are of this language, as far as this lexicon can tell."""
        return sum(map(self._known.__contains__, words))

    def corrected(self, words: Sequence[str]) -> list[str]:
        """`words` with shorthand written out and misspelt words of danger put right; no other word is touched."""
        written: list[str] = []
        for word in words:
            for part in self.shorthand.get(word, word).split():
                written.append(part if part in self._known else self._spelt(part))
        return written

    def dangers(self, words: Sequence[str]) -> list[Hit]:
        return self._danger.hits(words)

    def found(self, scope: str, words: Sequence[str]) -> list[Hit]:
        return self._scopes[scope].hits(words)

    def found_all(self, scope: str, words: Sequence[str]) -> list[Hit]:
        """As `found`, but every place of each phrase, which must be of one part."""
        return self._scopes[scope].every_hit(words)

    def wishes_human(self, words: Sequence[str]) -> list[Hit]:
        """Hits of an explicit wish for a human; `words` are the whole message."""
        bare = [word for word in words if word not in (COMMA, STOP)]
        if " ".join(bare) in self._human_alone:
            return [Hit(Phrase("alone", "human", 1.0, (), frozenset(), frozenset()), ())]
        if self._not_human.hits(words):
            return []
        return self._human.hits(words)

    def _phrase(self, source: str, kind: str, weight: float) -> Phrase:
        parts: list[Part] = []
        elements: list[list[str]] = []
        for part in source.split(" & "):
            near = [self._elements(piece) for piece in part.split(" + ")]
            parts.append(Part("|".join(_near(order) for order in permutations(near))))
            elements += [element for piece in near for element in piece]
        anchors = frozenset(_anchor(word) for word in _rarest(elements))
        words = frozenset(piece for element in elements for word in element for piece in word.rstrip("*").split("_"))
        return Phrase(source, kind, weight, tuple(parts), anchors, words)

    def _elements(self, piece: str) -> list[list[str]]:
        """Alternatives of each element of a sequence, sets written out."""
        elements = []
        for element in piece.split():
            words: list[str] = []
            for word in element.split("|"):
                words += self._set(word[1:-1]) if word.startswith("{") else [word]
            elements.append(words)
        return elements

    def _set(self, name: str) -> list[str]:
        words: list[str] = []
        for word in self._sets[name]:
            words += self._set(word[1:-1]) if word.startswith("{") else [word]
        return words

    def _vocabulary(self, spellings: list[str]) -> tuple[frozenset[str], dict[str, list[str]]]:
        """Words that are not to be corrected, and words to correct to by their first letter."""
        indexes = [self._danger, self._human, *self._scopes.values()]
        known = {word for index in indexes for phrase in index.phrases for word in phrase.words}
        by_letter: dict[str, list[str]] = {}
        for word in sorted(spellings):
            by_letter.setdefault(word[0], []).append(word)
        return frozenset(known) | self.common | frozenset(spellings), by_letter

    def _spelt(self, word: str) -> str:
        if len(word) < _FOUR_LETTERS or not word.isalpha():
            return word
        best, least = word, 9
        for known in self._spellings.get(word[0], ()):
            most = _mistakes(word, known)
            if abs(len(known) - len(word)) > most or known == word:
                continue
            distance = OSA.distance(word, known, score_cutoff=most)
            if distance <= most and distance < least:
                best, least = known, distance
        return best


def _folded(body: Any) -> Any:
    """Every text of a lexicon as the text of a message will be."""
    if isinstance(body, str):
        return fold(body)
    if isinstance(body, list):
        return [_folded(item) for item in body]
    if isinstance(body, dict):
        return {key: _folded(item) for key, item in body.items()}
    return body


def _mistakes(word: str, known: str) -> int:
    """How many mistakes may lie between a word and the one that is meant."""
    short = min(len(word), len(known))
    if short < _SHORTEST_TYPO:
        return 1 if sorted(word) == sorted(known) else 0
    return 1 if short < _LONG else 2


class _Index:
    """Phrases by their anchors, so that a text meets only those that it may match."""

    def __init__(self, phrases: list[Phrase]) -> None:
        self.phrases = phrases
        self._always = [n for n, phrase in enumerate(phrases) if not phrase.anchors]
        self._by_word: dict[str, list[int]] = {}
        self._by_beginning: dict[str, list[int]] = {}
        for n, phrase in enumerate(phrases):
            for anchor in phrase.anchors:
                index = self._by_beginning if anchor.endswith("*") else self._by_word
                index.setdefault(anchor.rstrip("*"), []).append(n)
        self._lengths = sorted({len(beginning) for beginning in self._by_beginning})

    def hits(self, words: Sequence[str]) -> list[Hit]:
        text = f" {' '.join(words)} "
        numbers = set(self._always)
        by_word, by_beginning, lengths = self._by_word, self._by_beginning, self._lengths
        for word in words:
            if word in by_word:
                numbers.update(by_word[word])
            for length in lengths:
                if length > len(word):
                    break
                if (beginning := word[:length]) in by_beginning:
                    numbers.update(by_beginning[beginning])
        return [hit for n in sorted(numbers) if (hit := _match(self.phrases[n], text)) is not None]

    def every_hit(self, words: Sequence[str]) -> list[Hit]:
        text = f" {' '.join(words)} "
        return [
            Hit(hit.phrase, (_span(text, found),))
            for hit in self.hits(words)
            for found in hit.phrase.parts[0].pattern.finditer(text)
        ]


def _span(text: str, found: re.Match[str]) -> tuple[int, int]:
    return text.count(" ", 0, found.start() + 1) - 1, text.count(" ", 0, found.end())


def _match(phrase: Phrase, text: str) -> Hit | None:
    spans = []
    for part in phrase.parts:
        found = part.pattern.search(text)
        if found is None:
            return None
        spans.append(_span(text, found))
    return Hit(phrase, tuple(spans))


def _near(pieces: Sequence[list[list[str]]]) -> str:
    return r"(?: \S+){0,6}?".join(_sequence(elements) for elements in pieces) + "(?= )"


def _sequence(elements: list[list[str]]) -> str:
    return r"(?: \S+){0,3}?".join(f" (?:{'|'.join(map(_regex, words))})" for words in elements)


def _regex(word: str) -> str:
    return re.escape(word).replace(r"\*", r"[^ ]*").replace("_", " ")


def _anchor(word: str) -> str:
    """The part of an alternative that is looked up: its longest word of those joined by `_`."""
    return max(word.split("_"), key=len)


def _rarest(candidates: Sequence[list[str]]) -> list[str]:
    """The element that the fewest texts have: long words, then few alternatives. Ends (`*x`) can't be looked up."""

    def rarity(words: list[str]) -> tuple[int, int]:
        return (min(len(_anchor(word).rstrip("*")) for word in words), -len(words))

    usable = [words for words in candidates if words and not any(_anchor(word).startswith("*") for word in words)]
    return reduce(lambda a, b: b if rarity(b) > rarity(a) else a, usable) if usable else []


def load(folder: Path = FOLDER) -> list[Lexicon]:
    """Every language that stands in `folder` as `<language>.toml` (`hi-latn` is Hindi in Latin letters)."""
    return [
        Lexicon(path.stem.partition("-")[0], tomllib.loads(path.read_text(encoding="utf-8")))
        for path in sorted(folder.glob("*.toml"))
    ]

"""How much a text reads like an emergency: a linear model over its words, pairs of words and pieces of words.

It is learnt by `likeness_fitting` from the phrases of `phrases/` and stored beside this module. Features are hashed to
places of one table of weights for all languages; their mean is taken with the root of their number, so that long texts
weigh no more than short ones.
"""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import sqrt
from pathlib import Path

import msgspec

from frontdesk.supervisor.words import COMMA, STOP

FILE = Path(__file__).parent / "likeness.bin"
FORMAT = 2  # of the features: another number, another table
PLACES = 1 << 19

_PIECES = (3, 4, 5)  # letters
_MOST_LETTERS = 24  # of a word that are read
_REMEMBERED = 8_192  # words, a few MB
_START, _QUESTION = "^", "?"


class Body(msgspec.Struct, frozen=True):
    """What is stored. A weight is its byte times `step`."""

    format: int
    phrases: str  # fingerprint of what it was learnt from
    bias: float
    step: float
    weights: bytes  # int8, (PLACES,)


class Likeness:
    """The fitted model. Tens of microseconds a text."""

    def __init__(self, body: Body) -> None:
        if body.format != FORMAT or len(body.weights) != PLACES:
            raise ValueError(f"{FILE.name} is not of this version: run `make likeness`.")
        self._weights = memoryview(body.weights).cast("b")
        self._bias, self._step = body.bias, body.step
        self._word = lru_cache(_REMEMBERED)(self._weighed)

    @classmethod
    def load(cls, path: Path = FILE) -> "Likeness":
        """Raises OSError or ValueError: without it emergencies would pass unseen, so no server starts without it."""
        return cls(msgspec.msgpack.decode(path.read_bytes(), type=Body))

    def of(self, words: Sequence[str], *, is_question: bool) -> float:
        """Log odds that `words` (of `words.tokens`) are an emergency; above 0 rather so."""
        total, number = 0, 0
        for word in set(words) - {COMMA, STOP}:
            weight, features = self._word(word)
            total += weight
            number += features
        places = _pairs(words)
        if is_question:
            places.append(place(_QUESTION))
        weights = self._weights
        for at in places:
            total += weights[at]
        number += len(places)
        return self._bias + self._step * total / sqrt(number) if number else self._bias

    def heaviest(self, words: Sequence[str], most: int) -> list[str]:
        """The words that speak most for an emergency, in the order of the text."""
        weighed = {word: self._word(word)[0] for word in words if word not in (COMMA, STOP)}
        heavy = sorted((word for word in weighed if weighed[word] > 0), key=lambda word: -weighed[word])[:most]
        return [word for word in weighed if word in heavy]

    def _weighed(self, word: str) -> tuple[int, int]:
        """(Sum of the weights, number) of a word's features."""
        places = _of_word(word)
        return sum(self._weights[at] for at in places), len(places)


def features(words: Sequence[str], *, is_question: bool) -> list[int]:
    """Places of all features of a text; one of several words comes several times."""
    found = [at for word in sorted(set(words) - {COMMA, STOP}) for at in _of_word(word)]
    return found + _pairs(words) + ([place(_QUESTION)] if is_question else [])


def place(feature: str) -> int:
    return zlib.crc32(feature.encode()) % PLACES


def _of_word(word: str) -> list[int]:
    word = word[:_MOST_LETTERS]
    edged = f"<{word}>"
    pieces = [edged[at : at + size] for size in _PIECES for at in range(len(edged) - size + 1)]
    return [place(f"={word}"), *map(place, pieces)]


def _pairs(words: Sequence[str]) -> list[int]:
    row = [_START, *[word for word in words if word != COMMA]]
    return [zlib.crc32(f"{first} {second}".encode()) % PLACES for first, second in dict.fromkeys(pairwise(row))]

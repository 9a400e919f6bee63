"""Text to hashed n-grams: the same code when a classifier is fitted and when it serves, and no vocabulary."""

import itertools
import re
import unicodedata
import zlib
from array import array
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint32]
Counts = NDArray[np.uint8]

MAX_CHARACTERS = 2_000  # of a text; what follows is not looked at
CHARACTER_GRAMS = (2, 3, 4, 5)
MOST_COUNTED = 255
REMEMBERED, REMEMBERED_LETTERS = 4_096, 24  # words whose hashes are kept, some 300 bytes each; of such a word

_WORD = re.compile(r"\w+")


def grams(text: str) -> tuple[Hashes, Counts]:
    """The text's distinct n-grams, sorted by hash, and how often each occurs (at most 255).

    Words and pairs of words, and runs of 2 to 5 characters inside each word (its borders are characters too).
    32-bit hashes: among some 30,000 n-grams a collision is rare and costs next to nothing.
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).casefold())
    hashed = [_remembered(word) if len(word) <= REMEMBERED_LETTERS else _of_word(word) for word in words]
    hashed.append(_hashed(f"{first} {second}" for first, second in itertools.pairwise(words)))
    distinct, times = np.unique(np.frombuffer(b"".join(hashed), np.uint32), return_counts=True)
    return distinct, np.minimum(times, MOST_COUNTED).astype(np.uint8)


def _of_word(word: str) -> bytes:
    """Hashes of the word and of the runs of characters in it, each as often as it occurs."""
    padded = f" {word} "
    # The mark keeps a run of characters apart from a word that is spelt like it.
    runs = (
        "#" + padded[start : start + size]
        for size in CHARACTER_GRAMS
        for start in range(max(1, len(padded) - size + 1))
    )
    return _hashed(itertools.chain((word,), runs))


_remembered = lru_cache(REMEMBERED)(_of_word)


def _hashed(parts: Iterable[str]) -> bytes:
    return array("I", (zlib.crc32(part.encode("utf-8", "replace")) for part in parts)).tobytes()

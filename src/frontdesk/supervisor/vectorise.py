"""Text to hashed n-grams: the same code when a classifier is fitted and when it serves, and no vocabulary."""

import itertools
import re
import unicodedata
import zlib
from collections import Counter

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint32]
Counts = NDArray[np.uint8]

MAX_CHARACTERS = 2_000  # of a text; what follows is not looked at
CHARACTER_GRAMS = (2, 3, 4, 5)
MOST_COUNTED = 255

_WORD = re.compile(r"\w+")


def grams(text: str) -> tuple[Hashes, Counts]:
    """The text's distinct n-grams, sorted by hash, and how often each occurs (at most 255).

    Words and pairs of words, and runs of 2 to 5 characters inside each word (its borders are characters too).
    32-bit hashes: among some 30,000 n-grams a collision is rare and costs next to nothing.
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).casefold())
    counts: Counter[str] = Counter(words)
    counts.update(f"{first} {second}" for first, second in itertools.pairwise(words))
    for word in words:
        padded = f" {word} "
        for size in CHARACTER_GRAMS:
            # The mark keeps a run of characters apart from a word that is spelt like it.
            counts.update("#" + padded[start : start + size] for start in range(max(1, len(padded) - size + 1)))
    hashes = np.fromiter((zlib.crc32(gram.encode("utf-8", "replace")) for gram in counts), np.uint32, len(counts))
    times = np.fromiter(counts.values(), np.int64, len(counts))
    distinct, places = np.unique(hashes, return_inverse=True)
    summed = np.bincount(places, times, minlength=len(distinct))
    return distinct, np.minimum(summed, MOST_COUNTED).astype(np.uint8)

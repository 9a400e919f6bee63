"""A text as weighted words and pieces of words (TF-IDF), and how alike it is to many others. NumPy alone."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_WORD = re.compile(r"\w+")
_CHARACTERS = (2, 3, 4, 5)


def words(text: str) -> Counter[str]:
    """Single words and pairs of neighbours."""
    found = _WORD.findall(text.lower())
    return Counter(found) + Counter(" ".join(pair) for pair in pairwise(found))


def pieces(text: str) -> Counter[str]:
    """Runs of 2 to 5 characters within a word and the spaces around it: they survive misspelling and inflection."""
    counts: Counter[str] = Counter()
    for word in text.lower().split():
        padded = f" {word} "
        for length in _CHARACTERS:
            if length >= len(padded):
                counts[padded] += 1
                break
            counts.update(padded[at : at + length] for at in range(len(padded) - length + 1))
    return counts


Terms = Callable[[str], Counter[str]]


class Likeness:
    """Cosine of TF-IDF vectors (sublinear counts) between a text and the texts that it was made from.

    Terms are known by their CRC-32. `terms` is sorted; the examples that have term `t`, and the term's weight in each,
    stand in `examples` and `weights` from `starts[t]` to `starts[t + 1]`.
    """

    def __init__(
        self, kind: Terms, size: int, terms: NDArray[np.uint32], idf: Floats,
        starts: NDArray[np.int32], examples: NDArray[np.int32], weights: Floats,
    ) -> None:  # fmt: skip
        self._kind = kind
        self._size = size
        self._terms = terms
        self._idf = idf
        self._starts = starts
        self._examples = examples
        self._weights = weights

    @classmethod
    def of(cls, kind: Terms, texts: Sequence[str]) -> "Likeness":
        rows = [_hashed(kind(text)) for text in texts]
        terms, frequency = np.unique(np.concatenate([row[0] for row in rows]), return_counts=True)
        idf = (np.log((1 + len(texts)) / (1 + frequency)) + 1).astype(np.float32)
        columns, weights = [], []
        for hashes, counts in rows:
            column = np.searchsorted(terms, hashes)
            columns.append(column)
            weights.append(_normalised(counts * idf[column]))
        every = np.concatenate(columns)
        order = np.argsort(every, kind="stable")
        rows_of = np.repeat(np.arange(len(texts), dtype=np.int32), [len(column) for column in columns])
        starts = np.searchsorted(every[order], np.arange(len(terms) + 1)).astype(np.int32)
        return cls(kind, len(texts), terms, idf, starts, rows_of[order], np.concatenate(weights)[order])

    def to(self, text: str) -> Floats:
        """How alike `text` is to each example, 0 to 1. Terms that no example has count for nothing."""
        hashes, counts = _hashed(self._kind(text))
        at = np.minimum(np.searchsorted(self._terms, hashes), len(self._terms) - 1)
        known = self._terms[at] == hashes
        columns = at[known]
        if not len(columns):
            return np.zeros(self._size, np.float32)
        own = _normalised(counts[known] * self._idf[columns])
        begin, end = self._starts[columns], self._starts[columns + 1]
        spans = [slice(a, b) for a, b in zip(begin.tolist(), end.tolist(), strict=True)]
        examples = np.concatenate([self._examples[span] for span in spans])
        weights = np.concatenate([self._weights[span] for span in spans]) * np.repeat(own, end - begin)
        return np.bincount(examples, weights, self._size).astype(np.float32)

    def arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """What `from_arrays` needs, small enough to store."""
        return {
            f"{prefix}_terms": self._terms,
            f"{prefix}_idf": self._idf.astype(np.float16),
            f"{prefix}_starts": self._starts,
            f"{prefix}_examples": self._examples,
            f"{prefix}_weights": self._weights.astype(np.float16),
        }

    @classmethod
    def from_arrays(cls, kind: Terms, size: int, prefix: str, arrays: dict[str, NDArray[np.generic]]) -> "Likeness":
        return cls(
            kind,
            size,
            arrays[f"{prefix}_terms"].astype(np.uint32),
            arrays[f"{prefix}_idf"].astype(np.float32),
            arrays[f"{prefix}_starts"].astype(np.int32),
            arrays[f"{prefix}_examples"].astype(np.int32),
            arrays[f"{prefix}_weights"].astype(np.float32),
        )

    def columns(self) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
        """The same as a sparse matrix of examples by terms: (starts by term, examples, weights)."""
        return self._starts, self._examples, self._weights


def _hashed(counts: Counter[str]) -> tuple[NDArray[np.uint32], Floats]:
    if not counts:
        return np.zeros(0, np.uint32), np.zeros(0, np.float32)
    hashes = np.fromiter((crc32(term.encode()) for term in counts), np.uint32, len(counts))
    return hashes, np.fromiter((1 + math.log(count) for count in counts.values()), np.float32, len(counts))


def _normalised(weights: Floats) -> Floats:
    norm = float(np.sqrt((weights * weights).sum()))
    return weights / norm if norm else weights

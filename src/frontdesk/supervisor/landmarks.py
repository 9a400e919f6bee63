"""A classifier's landmarks: examples that every text is compared with, by meaning and by spelling."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from frontdesk.embedding import Vectors
from frontdesk.supervisor.vectorise import Counts, Hashes, grams

Floats = NDArray[np.float32]
Grams = tuple[Hashes, Counts]

# How much spelling counts beside meaning; tuned on all public sets together, like what `fitting` holds.
SPELLING = 0.2


class Landmarks:
    """`vectors` of the landmarks, how fast likeness falls with distance, and an inverted index of their n-grams.

    The n-gram `hashes[i]` (sorted) weighs `idf[i]` and occurs in the landmarks `rows[starts[i]:starts[i + 1]]`,
    `counts` times. Serving needs numpy alone.
    """

    def __init__(
        self,
        vectors: Vectors,
        sharpness: float,
        hashes: Hashes,
        idf: Floats,
        starts: NDArray[np.int64],
        rows: NDArray[np.uint16],
        counts: Counts,
    ) -> None:
        self.vectors, self.sharpness = vectors, sharpness
        self.hashes, self.idf = hashes, idf
        self.starts, self.rows, self.counts = starts, rows, counts
        weights = _weight(counts) * np.repeat(idf, np.diff(starts))
        lengths = np.sqrt(np.bincount(rows, weights * weights, minlength=len(vectors)))
        self._weights = (weights / np.maximum(lengths, 1e-9)[rows]).astype(np.float32)

    def __len__(self) -> int:
        return len(self.vectors)

    def cosines(self, vectors: Vectors) -> Floats:
        """By meaning; shape (texts, landmarks)."""
        return vectors @ self.vectors.T

    def likeness(self, texts: Sequence[Grams], cosines: Floats) -> Floats:
        """The kernel: meaning and spelling together; shape (texts, landmarks)."""
        spelling = np.stack([self._spelling(text) for text in texts]) if texts else np.zeros_like(cosines)
        likeness: Floats = np.exp(self.sharpness * (cosines - 1)) + SPELLING * spelling
        return likeness

    def _spelling(self, text: Grams) -> Floats:
        """The cosine of the TF-IDF vectors of one text and each landmark."""
        hashes, counts = text
        places = np.searchsorted(self.hashes, hashes)
        places[places == len(self.hashes)] = 0
        known = self.hashes[places] == hashes if len(self.hashes) else np.zeros(len(hashes), bool)
        places = places[known]
        weights = _weight(counts[known]) * self.idf[places]
        length = float(np.sqrt(weights @ weights))
        if not length:
            return np.zeros(len(self), np.float32)
        sizes = self.starts[places + 1] - self.starts[places]
        # The entries of all the text's n-grams, one run of the index after another.
        ends = np.cumsum(sizes)
        entries = np.arange(ends[-1]) + np.repeat(self.starts[places] - (ends - sizes), sizes)
        products = self._weights[entries] * np.repeat(weights / length, sizes)
        return np.bincount(self.rows[entries], products, minlength=len(self)).astype(np.float32)


def index(
    texts: Sequence[Grams], documents: Sequence[Grams], at_least: int
) -> tuple[Hashes, Floats, NDArray[np.int64], NDArray[np.uint16], Counts]:
    """The inverted index of `texts`, of n-grams that are in `at_least` of the `documents`, which also give the idf."""
    found, frequencies = np.unique(np.concatenate([hashes for hashes, _ in documents]), return_counts=True)
    kept = frequencies >= at_least
    hashes = found[kept]
    idf = (np.log((1 + len(documents)) / (1 + frequencies[kept])) + 1).astype(np.float32)
    rows = np.repeat(np.arange(len(texts), dtype=np.uint16), [len(text) for text, _ in texts])
    grams_of_rows = np.concatenate([text for text, _ in texts])
    counts = np.concatenate([times for _, times in texts])
    known = np.isin(grams_of_rows, hashes)
    rows, counts, places = rows[known], counts[known], np.searchsorted(hashes, grams_of_rows[known])
    order = np.lexsort((rows, places))
    starts = np.concatenate([[0], np.cumsum(np.bincount(places, minlength=len(hashes)))])
    return hashes, idf, starts, rows[order], counts[order]


def grams_of(texts: Sequence[str]) -> list[Grams]:
    return [grams(text) for text in texts]


def _weight(counts: Counts) -> Floats:
    weights: Floats = 1 + np.log(counts.astype(np.float32))
    return weights

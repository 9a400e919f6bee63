"""Spelling as vectors of unit length: TF-IDF over hashed n-grams; the same code when fitted and when served."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from frontdesk.supervisor.vectorise import Counts, Hashes, grams

Floats = NDArray[np.float32]
Grams = tuple[Hashes, Counts]
Places = NDArray[np.int64]


class Spelling:
    """The n-grams that count: `hashes`, sorted, and what each weighs."""

    def __init__(self, hashes: Hashes, idf: Floats) -> None:
        self.hashes, self.idf = hashes, idf

    def __len__(self) -> int:
        return len(self.hashes)

    def vector(self, text: Grams) -> tuple[Places, Floats]:
        """Which n-grams the text has, and their shares, of length one together; nothing where none is known."""
        hashes, counts = text
        places = np.searchsorted(self.hashes, hashes)
        places[places == len(self.hashes)] = 0
        known = self.hashes[places] == hashes if len(self.hashes) else np.zeros(len(hashes), bool)
        places = places[known]
        weights = (1 + np.log(counts[known].astype(np.float32))) * self.idf[places]
        shares: Floats = weights / max(float(np.sqrt(weights @ weights)), 1e-9)
        return places, shares


def spelling_of(texts: Sequence[Grams], at_least: int, at_most: int) -> Spelling:
    """Of the n-grams that are in `at_least` of the texts, and of those the `at_most` commonest."""
    found, frequencies = np.unique(np.concatenate([hashes for hashes, _ in texts]), return_counts=True)
    kept = np.flatnonzero(frequencies >= at_least)
    kept = np.sort(kept[np.argsort(-frequencies[kept], kind="stable")[:at_most]])
    idf = (np.log((1 + len(texts)) / (1 + frequencies[kept])) + 1).astype(np.float32)
    return Spelling(found[kept], idf)


def grams_of(texts: Sequence[str]) -> list[Grams]:
    return [grams(text) for text in texts]

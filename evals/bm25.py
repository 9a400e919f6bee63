"""Plain BM25 over whole documents (Robertson and Zaragoza 2009), the yardstick of retrieval."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping

_WORD = re.compile(r"\w+")
K1, B = 1.2, 0.75


class BM25:
    """Words as they are written, without case; no stems, no stop words; one that the query repeats counts as often."""

    def __init__(self, documents: Mapping[str, str]) -> None:
        self._counts: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._lengths: dict[str, int] = {}
        for name, text in documents.items():
            words = _words(text)
            self._lengths[name] = len(words)
            for word, count in Counter(words).items():
                self._counts[word].append((name, count))
        self._mean = sum(self._lengths.values()) / max(1, len(self._lengths))

    def ranked(self, query: str, most: int) -> list[str]:
        """Names of documents, best first; those without a word of the query are left out."""
        scores: dict[str, float] = defaultdict(float)
        for word, often in Counter(_words(query)).items():
            holders = self._counts.get(word, ())
            rarity = math.log(1 + (len(self._lengths) - len(holders) + 0.5) / (len(holders) + 0.5))
            for name, count in holders:
                saturation = K1 * (1 - B + B * self._lengths[name] / self._mean)
                scores[name] += often * rarity * count * (K1 + 1) / (count + saturation)
        return sorted(scores, key=lambda name: (-scores[name], name))[:most]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())

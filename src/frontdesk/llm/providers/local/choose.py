"""Which tool a message calls for: likeness to the tools' examples and descriptions, by meaning and by spelling."""

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from frontdesk.llm.slots.text import fold, stem, words
from frontdesk.llm.types import ToolSpec

# An embedder's method. Handed in: the floor of `llm` and that of `embedding` do not know each other.
Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]

# Of a tool's fit, chosen on the clinic's tools: requests for them score above, other messages below.
CALLS, CALLS_FOR_QUESTION = 0.50, 0.62

_KEPT_TOOLS = 1024
_SPELLING = 0.3  # weight beside meaning; the model of meaning is weak outside English, examples in the language are not
_DESCRIPTION = 0.9  # a description talks about requests, an example is one


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a tool fits, roughly from 0 to 1.3."""

    tool: ToolSpec
    score: float


class ToolChooser:
    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        # Keyed by the very texts: a changed definition has another key, and equal texts have equal vectors anywhere.
        self._vectors: LRUCache[tuple[str, ...], NDArray[np.float32]] = LRUCache(_KEPT_TOOLS)

    async def rank(self, text: str, tools: Sequence[ToolSpec]) -> list[Fit]:
        """The tools by fit, best first."""
        if not tools:
            return []
        message = (await self._embed([text]))[0]
        said = _stems(text)
        spoken = {tool.name: [_stems(example) for example in tool.examples] for tool in tools}
        telling = _telling(spoken.values())
        fits = []
        for tool in tools:
            texts = (f"{tool.name.replace('_', ' ')}: {tool.description}", *tool.examples)
            vectors = self._vectors.get(texts)
            if vectors is None:
                vectors = self._vectors[texts] = await self._embed(texts)
            meaning = vectors @ message
            spelling = [0.0, *(_likeness(said, example, telling) for example in spoken[tool.name])]
            weights = np.array([_DESCRIPTION, *[1.0] * len(tool.examples)])
            fits.append(Fit(tool, float(np.max(meaning * weights + _SPELLING * np.array(spelling)))))
        return sorted(fits, key=lambda fit: -fit.score)


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word.text) for word in words(fold(text[:400])))


def _telling(spoken: Iterable[list[frozenset[str]]]) -> dict[str, float]:
    """How much a word tells tools apart: one that all tools' examples have tells little."""
    owners = [frozenset().union(*examples) for examples in spoken]
    often = Counter(word for words_of in owners for word in words_of)
    return {word: math.log(1 + len(owners) / count) for word, count in often.items()}


def _likeness(one: frozenset[str], other: frozenset[str], telling: Mapping[str, float]) -> float:
    """Dice's coefficient of the words, weighted by what they tell; a word of no tool weighs as little as possible."""

    def weight(of: Iterable[str]) -> float:
        return sum(telling.get(word, math.log(2)) for word in of)

    whole = weight(one) + weight(other)
    return 2 * weight(one & other) / whole if whole else 0.0

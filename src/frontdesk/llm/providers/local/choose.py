"""Which tool a message calls for: likeness to the tools' examples and descriptions, by meaning and by spelling."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from frontdesk.llm.slots.text import fold
from frontdesk.llm.types import ToolSpec

# An embedder's method. Handed in: the floor of `llm` and that of `embedding` do not know each other.
Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]

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
        shape = _trigrams(text)
        fits = []
        for tool in tools:
            texts = (f"{tool.name.replace('_', ' ')}: {tool.description}", *tool.examples)
            vectors = self._vectors.get(texts)
            if vectors is None:
                vectors = self._vectors[texts] = await self._embed(texts)
            meaning = vectors @ message
            meaning[0] *= _DESCRIPTION
            spelling = [0.0, *(_likeness(shape, _trigrams(example)) for example in tool.examples)]
            fits.append(Fit(tool, float(np.max(meaning + _SPELLING * np.array(spelling)))))
        return sorted(fits, key=lambda fit: -fit.score)


def _trigrams(text: str) -> frozenset[str]:
    padded = f"  {' '.join(fold(text).split())[:300]} "
    return frozenset(padded[at : at + 3] for at in range(len(padded) - 2))


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one or other else 0.0

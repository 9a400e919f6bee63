"""The seam of embedders."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

DIMENSIONS = 384


class Embedder(Protocol):
    name: str  # of the model; stored with the vectors, so that another model's are never compared with them

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), 384), L2-normalised. Never blocks the event loop. Long texts are cut at 256 tokens."""
        ...

    def count_tokens(self, text: str) -> int:
        """How much of the 256 a text takes. CPU work for long texts."""
        ...

"""Text to vectors: one runtime, loaded once."""

from frontdesk.embedding.types import DIMENSIONS, Embedder, Vectors

__all__ = ["DIMENSIONS", "Embedder", "Vectors"]

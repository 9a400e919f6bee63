"""Text to vectors: one runtime, loaded once."""

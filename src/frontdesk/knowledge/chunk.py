"""Extracts cut into passages of a size the embedding model reads whole, at the seams of the text."""

from collections.abc import Callable, Iterator

import msgspec
from semantic_text_splitter import TextSplitter

from frontdesk.core.errors import Invalid
from frontdesk.knowledge.models import Chunk, Extract

# A token is at most this long on average: text without words (base64, one endless word) is few tokens to the model.
CHARACTERS_PER_TOKEN = 10

PATH_SEPARATOR = " › "
MAX_PATH = 300


class ChunkSettings(msgspec.Struct, frozen=True):
    """In tokens of the embedding model. 200 leaves room for title and headings, which are embedded with each piece."""

    tokens: int = 200
    overlap: int = 20

    def __post_init__(self) -> None:
        if not 16 <= self.tokens <= 240:
            raise Invalid(f"chunk_tokens must be 16 to 240, not {self.tokens}: the embedding model reads 256 tokens.")
        if not 0 <= self.overlap <= self.tokens // 2:
            raise Invalid(f"chunk_overlap must be 0 to half of chunk_tokens ({self.tokens // 2}), not {self.overlap}.")


def chunk(extract: Extract, settings: ChunkSettings, count_tokens: Callable[[str], int]) -> list[Chunk]:
    """Pieces in order, none across a heading. CPU work: call it in a thread."""

    def size(text: str) -> int:
        return max(count_tokens(text), -(-len(text) // CHARACTERS_PER_TOKEN))

    splitter = TextSplitter.from_callback(size, settings.tokens, settings.overlap)
    chunks = []
    for path, start, end in _sections(extract):
        for offset, piece in splitter.chunk_indices(extract.text[start:end]):
            chunks.append(Chunk(path, start + offset, start + offset + len(piece)))
    if not chunks:  # headings only: then they are the text
        for offset, piece in splitter.chunk_indices(extract.text):
            chunks.append(Chunk("", offset, offset + len(piece)))
    return chunks


def embedded_text(extract: Extract, piece: Chunk) -> str:
    """What a piece is found by: title and headings say what it is about, where it often does not."""
    path = piece.heading
    head = path if path.startswith(extract.title) else f"{extract.title}\n{path}"
    return f"{head}\n{extract.text[piece.start : piece.end]}"


def _sections(extract: Extract) -> Iterator[tuple[str, int, int]]:
    """(heading path, start, end) of what stands between headings; a heading's own line is in none."""
    path: list[tuple[int, str]] = []
    start = 0
    for heading in extract.headings:
        yield _joined(path), start, heading.start
        while path and path[-1][0] >= heading.level:
            path.pop()
        path.append((heading.level, extract.text[heading.start : heading.end]))
        start = heading.end
    yield _joined(path), start, len(extract.text)


def _joined(path: list[tuple[int, str]]) -> str:
    return PATH_SEPARATOR.join(text for _, text in path)[:MAX_PATH]

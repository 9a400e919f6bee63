"""Documents and the passages found in them."""

from pathlib import PurePosixPath
from uuid import UUID

import msgspec


class Source(msgspec.Struct, frozen=True):
    """A document to ingest: its name (a path inside the tenant's folder, the key of updates) and its bytes."""

    name: str
    content: bytes

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix.lower()


class Passage(msgspec.Struct, frozen=True):
    """A piece of a document. `start` and `end` are offsets in characters of the document's extracted text."""

    id: UUID
    document_id: UUID
    document: str  # the source's name
    title: str
    heading: str
    start: int
    end: int
    text: str
    score: float  # cosine similarity to the query, -1 to 1; 0 where there was no query


class Citation(msgspec.Struct, frozen=True):
    """What an answer rests on, in the API's form: `quote` is the document's text from `start` to `end`."""

    document: str
    title: str
    passage_id: UUID
    start: int
    end: int
    quote: str

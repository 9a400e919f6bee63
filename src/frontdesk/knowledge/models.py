"""Documents and the passages found in them."""

from datetime import datetime
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


class Heading(msgspec.Struct, frozen=True):
    """A heading's line in the extracted text: `text[start:end]`."""

    level: int  # 1 to 6
    start: int
    end: int


class Extract(msgspec.Struct, frozen=True):
    """What parsing leaves of a document: text without markup. All offsets of the document are in this text."""

    title: str
    text: str
    headings: tuple[Heading, ...]
    media_type: str
    questions: tuple[str, ...] = ()  # that the document says it answers


class Chunk(msgspec.Struct, frozen=True):
    """A piece of an extract, not empty: `text[start:end]`, under the heading path `heading`."""

    heading: str
    start: int
    end: int


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


class Excerpt(msgspec.Struct, frozen=True):
    """A passage as a reader opens it: `quote`, with what stands before and after it in the document."""

    passage_id: UUID
    document: str
    title: str
    heading: str
    start: int
    end: int
    before: str
    quote: str
    after: str


class DocumentEntry(msgspec.Struct, frozen=True):
    """A document in the list of a tenant's documents."""

    id: UUID
    name: str
    title: str
    media_type: str
    characters: int
    updated_at: datetime


class Refusal(msgspec.Struct, frozen=True):
    name: str
    reason: str


class Comparison(msgspec.Struct, frozen=True):
    """What an ingest with `prune` would do, as documents' names; `removed` holds the first 1,000."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


class IngestReport(msgspec.Struct, frozen=True):
    """What an ingest did, in documents; `passages` were written by it. A refused source's older version stays."""

    added: int
    changed: int
    unchanged: int
    removed: int
    passages: int
    refused: tuple[Refusal, ...]

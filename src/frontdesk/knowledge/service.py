"""What a tenant knows: ingest its documents, search them, open what is cited."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from frontdesk.core.errors import NotFound, PassageNotFound
from frontdesk.core.limits import Limits
from frontdesk.db import Database, TenantScope
from frontdesk.embedding import Embedder, Vectors
from frontdesk.knowledge import store
from frontdesk.knowledge.chunk import ChunkSettings, chunk, embedded_text
from frontdesk.knowledge.models import (
    Chunk,
    Comparison,
    DocumentEntry,
    Excerpt,
    Extract,
    IngestReport,
    Passage,
    Refusal,
    Source,
)
from frontdesk.knowledge.parse import DocumentRefused, parse

# Of parsing and chunking: grows when they find other passages in the same bytes, so that documents are read again.
READING = 1

MAX_RESULTS = 50
MAX_AROUND = 10_000
_NAMES_AT_ONCE = 1000
_PASSAGES_AT_ONCE = 500  # a second or so of indexing, far below a statement's time limit

Progress = Callable[[int, int, str], None]
Putting = Callable[[TenantScope, UUID | None], Awaitable[None]]
Removing = Callable[[TenantScope, UUID], Awaitable[None]]


def _silent(_done: int, _total: int, _name: str) -> None:
    return None


class Knowledge:
    def __init__(self, db: Database, embedder: Embedder) -> None:
        self._db = db
        self._embedder = embedder

    async def ingest(
        self,
        tenant_id: UUID,
        sources: Sequence[Source],
        *,
        chunk_tokens: int = 200,
        chunk_overlap: int = 20,
        prune: bool = False,
        limits: Limits = Limits(),
        remove: Sequence[str] = (),
        progress: Progress = _silent,
    ) -> IngestReport:
        """Reads what is new or changed, a transaction a document: a search meets the old one or the new one, whole.

        `prune` removes documents that are not among `sources`, `remove` those of these names. `progress` hears (done,
        total, name) after each source.
        A source that can't be read is in the report and stops nothing. Raises Invalid for chunk sizes out of range.
        """
        settings = ChunkSettings(chunk_tokens, chunk_overlap)
        counts: Counter[str] = Counter()
        refused: list[Refusal] = []
        names = [source.name for source in sources]
        known = await self._fingerprints(tenant_id, names)
        seen: set[str] = set()
        removed = await self._remove(tenant_id, remove)  # first: there may be no room for the new ones beside these
        room = _Room(limits, names if prune else None)
        for done, source in enumerate(sources, start=1):
            fingerprint = await asyncio.to_thread(self._fingerprint, source, settings)
            if source.name in seen:
                refused.append(Refusal(source.name, f"{source.name} is given twice; the first one was taken."))
            elif known.get(source.name) == fingerprint:
                counts["unchanged"] += 1
            else:
                try:
                    counts["passages"] += await self._replace(tenant_id, source, fingerprint, settings, room)
                    counts["changed" if source.name in known else "added"] += 1
                except DocumentRefused as error:
                    refused.append(Refusal(source.name, error.detail))
            seen.add(source.name)
            progress(done, len(sources), source.name)
        removed += await self._prune(tenant_id, names) if prune else 0
        if removed or counts["changed"]:
            async with self._db.scope(tenant_id) as scope:
                await store.lock(scope)
                await store.forget_unused_words(scope)
        return IngestReport(
            added=counts["added"],
            changed=counts["changed"],
            unchanged=counts["unchanged"],
            removed=removed,
            passages=counts["passages"],
            refused=tuple(refused),
        )

    async def compare(
        self, tenant_id: UUID, sources: Sequence[Source], *, chunk_tokens: int = 200, chunk_overlap: int = 20
    ) -> Comparison:
        """What `ingest` with `prune` would do, without doing it. Raises Invalid for chunk sizes out of range."""
        settings = ChunkSettings(chunk_tokens, chunk_overlap)
        names = [source.name for source in sources]
        known = await self._fingerprints(tenant_id, names)
        prints = await asyncio.to_thread(lambda: [self._fingerprint(source, settings) for source in sources])
        async with self._db.scope(tenant_id) as scope:
            removed = await store.names_other_than(scope, names, _NAMES_AT_ONCE)
        return Comparison(
            added=tuple(name for name in names if name not in known),
            changed=tuple(
                name
                for name, fingerprint in zip(names, prints, strict=True)
                if known.get(name, fingerprint) != fingerprint
            ),
            removed=tuple(removed),
        )

    async def search(
        self, tenant_id: UUID, query: str, *, top_k: int = 5, min_score: float = 0.25, vector: Vectors | None = None
    ) -> list[Passage]:
        """Best first, at most `top_k`. Below `min_score` (cosine) only what has most of the query's words.

        `vector`: the query's, if it is there.
        """
        if not query.strip():
            return []
        if vector is None:
            vector = (await self._embedder.embed([query]))[0]
        async with self._db.scope(tenant_id) as scope:
            return await store.search(scope, query, vector, min_score, min(top_k, MAX_RESULTS))

    async def passage(self, tenant_id: UUID, passage_id: UUID) -> Passage:
        """Raises PassageNotFound, also when its document was replaced since."""
        async with self._db.scope(tenant_id) as scope:
            found = await store.passage(scope, passage_id)
        if found is None:
            raise _not_found()
        return found

    async def document_around(self, tenant_id: UUID, passage_id: UUID, context_chars: int = 600) -> Excerpt:
        """The passage with what stands around it. Raises PassageNotFound."""
        async with self._db.scope(tenant_id) as scope:
            found = await store.excerpt(scope, passage_id, max(0, min(context_chars, MAX_AROUND)))
        if found is None:
            raise _not_found()
        return found

    async def documents(
        self, tenant_id: UUID, limit: int = 50, cursor: str = "", beginning: str = ""
    ) -> list[DocumentEntry]:
        """By name; `cursor` is the last name of the page before, `beginning` how the names begin."""
        async with self._db.scope(tenant_id) as scope:
            return await store.documents(scope, cursor, limit, beginning)

    async def document(self, tenant_id: UUID, name: str) -> tuple[DocumentEntry, str]:
        """(what it is, its text). Raises NotFound."""
        async with self._db.scope(tenant_id) as scope:
            found = await store.document(scope, name)
        if found is None:
            raise NotFound("There is no such document.")
        return found

    async def put(
        self,
        tenant_id: UUID,
        source: Source,
        may: Putting,
        *,
        limits: Limits,
        chunk_tokens: int,
        chunk_overlap: int,
    ) -> DocumentEntry:
        """One document, as `ingest` would read it. `may` is asked in the transaction, with the id of the one that is
        there; what it raises leaves everything as it was. Raises DocumentRefused.
        """
        settings = ChunkSettings(chunk_tokens, chunk_overlap)
        fingerprint = await asyncio.to_thread(self._fingerprint, source, settings)
        await self._replace(tenant_id, source, fingerprint, settings, _Room(limits, None), may)
        entry, _ = await self.document(tenant_id, source.name)
        return entry

    async def remove(self, tenant_id: UUID, name: str, may: Removing) -> None:
        """Safe to repeat. `may` as of `put`; it isn't asked where there is none."""
        async with self._db.scope(tenant_id) as scope:
            await store.lock(scope)
            found = await store.document_id(scope, name)
            if found is not None:
                await store.remove(scope, name)
                await store.forget_unused_words(scope)
                await may(scope, found)

    async def _fingerprints(self, tenant_id: UUID, names: Sequence[str]) -> dict[str, str]:
        known: dict[str, str] = {}
        async with self._db.scope(tenant_id) as scope:
            for start in range(0, len(names), _NAMES_AT_ONCE):
                known |= await store.fingerprints(scope, names[start : start + _NAMES_AT_ONCE])
        return known

    def _fingerprint(self, source: Source, settings: ChunkSettings) -> str:
        made_by = f"{READING}:{settings.tokens}:{settings.overlap}:{self._embedder.name}:"
        return hashlib.sha256(made_by.encode() + source.content).hexdigest()

    async def _replace(
        self,
        tenant_id: UUID,
        source: Source,
        fingerprint: str,
        settings: ChunkSettings,
        room: "_Room",
        may: Putting | None = None,
    ) -> int:
        """How many passages it has now. Raises DocumentRefused, also for want of room; the old one stays then."""
        extract, chunks, texts = await asyncio.to_thread(self._read, source, settings)
        vectors = await self._embedder.embed(texts)
        questions = await self._embedder.embed(extract.questions)
        passages = [
            store.NewPassage(place, piece, extract.text[piece.start : piece.end], text, vector)
            for place, (piece, text, vector) in enumerate(zip(chunks, texts, vectors, strict=True))
        ]
        async with self._db.scope(tenant_id) as scope:
            await store.lock(scope)
            found = await store.document_id(scope, source.name) if may is not None else None
            await store.remove(scope, source.name)
            await room.check(scope, extract)
            document_id = await store.insert_document(scope, source, fingerprint, extract)
            for start in range(0, len(passages), _PASSAGES_AT_ONCE):
                await store.insert_passages(scope, document_id, passages[start : start + _PASSAGES_AT_ONCE])
            if len(questions):
                await store.insert_questions(scope, document_id, list(questions))
            if may is not None:
                await may(scope, found)
        return len(chunks)

    def _read(self, source: Source, settings: ChunkSettings) -> tuple[Extract, list[Chunk], list[str]]:
        extract = parse(source)
        chunks = chunk(extract, settings, self._embedder.count_tokens)
        return extract, chunks, [embedded_text(extract, piece) for piece in chunks]

    async def keep_originals(
        self, tenant_id: UUID, sources: Sequence[Source], *, chunk_tokens: int, chunk_overlap: int
    ) -> int:
        """Keeps the bytes of documents that were read from the same ones before these were kept; how many."""
        settings = ChunkSettings(chunk_tokens, chunk_overlap)
        async with self._db.scope(tenant_id) as scope:
            bare = set(await store.without_original(scope, len(sources)))
        lacking = [source for source in sources if source.name in bare]
        for source in lacking:
            fingerprint = await asyncio.to_thread(self._fingerprint, source, settings)
            async with self._db.scope(tenant_id) as scope:
                await store.put_original(scope, source.name, fingerprint, source.content)
        return len(lacking)

    async def original(self, tenant_id: UUID, name: str) -> bytes | None:
        """The document's bytes as they came; None when it was read before they were kept."""
        async with self._db.scope(tenant_id) as scope:
            return await store.original(scope, name)

    async def _remove(self, tenant_id: UUID, names: Sequence[str]) -> int:
        removed = 0
        for start in range(0, len(names), _NAMES_AT_ONCE):
            async with self._db.scope(tenant_id) as scope:
                await store.lock(scope)
                for name in names[start : start + _NAMES_AT_ONCE]:
                    removed += await store.remove(scope, name)
        return removed

    async def _prune(self, tenant_id: UUID, keep: Sequence[str]) -> int:
        removed = 0
        while True:
            async with self._db.scope(tenant_id) as scope:
                await store.lock(scope)
                names = await store.names_other_than(scope, keep, _NAMES_AT_ONCE)
                for name in names:
                    await store.remove(scope, name)
            removed += len(names)
            if len(names) < _NAMES_AT_ONCE:
                return removed


class _Room:
    """What a tenant may still keep. `staying`: names of those that will be there afterwards; None: all stay."""

    def __init__(self, limits: Limits, staying: Sequence[str] | None) -> None:
        self._limits = limits
        self._staying = staying

    async def check(self, scope: TenantScope, extract: Extract) -> None:
        """Raises DocumentRefused for one more than there may be, or larger than what is left."""
        documents, megabytes = self._limits.documents, self._limits.storage_mb
        if documents is None and megabytes is None:
            return
        held, held_bytes = await store.held(scope, self._staying)
        if documents is not None and held >= documents:
            raise DocumentRefused(f"The tenant has its {documents} documents. Remove one, or raise `limits`.")
        if megabytes is not None and held_bytes + len(extract.text.encode()) > megabytes * 1_000_000:
            raise DocumentRefused(f"The tenant's documents would have more than {megabytes} MB of text.")


def _not_found() -> PassageNotFound:
    return PassageNotFound("There is no such passage; its document may have been replaced since it was cited.")

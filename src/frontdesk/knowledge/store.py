"""Documents, passages and the words' counts in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any  # asyncpg's rows are untyped
from uuid import UUID

from frontdesk.core import json
from frontdesk.core.ids import new_id
from frontdesk.db import TenantScope
from frontdesk.embedding import Vectors
from frontdesk.knowledge.models import Chunk, DocumentEntry, Excerpt, Extract, Passage, Source
from frontdesk.knowledge.words import searchable


@dataclass(frozen=True, slots=True)
class NewPassage:
    place: int  # in its document, from 0
    chunk: Chunk
    text: str  # the quote
    found_by: str  # the quote with title and headings
    vector: Vectors


async def lock(scope: TenantScope) -> None:
    """One writer of a tenant's knowledge at a time, so that the counts of words and passages stay right."""
    await scope.execute("SELECT pg_advisory_xact_lock(hashtextextended('knowledge:' || $1::uuid, 0))", scope.tenant_id)


async def fingerprints(scope: TenantScope, names: Sequence[str]) -> dict[str, str]:
    """By name, of those of `names` that are there."""
    query = """
        SELECT name, fingerprint
          FROM documents
         WHERE tenant_id = $1
           AND name = ANY ($2)
         LIMIT $3
    """
    rows = await scope.fetch(query, scope.tenant_id, list(names), len(names))
    return {row["name"]: row["fingerprint"] for row in rows}


async def names_other_than(scope: TenantScope, names: Sequence[str], limit: int) -> list[str]:
    query = """
        SELECT name
          FROM documents
         WHERE tenant_id = $1
           AND name <> ALL ($2)
         ORDER BY name
         LIMIT $3
    """
    return [row["name"] for row in await scope.fetch(query, scope.tenant_id, list(names), limit)]


async def remove(scope: TenantScope, name: str) -> bool:
    """The document with its passages and their words' counts; whether it was there. The caller holds the lock."""
    query = """
        WITH passage AS (  -- by hand, not by the foreign key: the words are needed
            DELETE FROM passages AS p
             USING documents AS d
             WHERE d.tenant_id = $1
               AND d.name = $2
               AND p.tenant_id = d.tenant_id
               AND p.document_id = d.id
            RETURNING p.words
        ), word AS (
            SELECT w.lexeme, count(*) AS used
              FROM passage AS p, unnest(p.words) AS w
             GROUP BY w.lexeme
        ), fewer AS (
            UPDATE knowledge_words AS k
               SET passages = k.passages - w.used
              FROM word AS w
             WHERE k.tenant_id = $1
               AND k.word = w.lexeme
        ), total AS (
            UPDATE knowledge AS k
               SET version = k.version + 1, passages = k.passages - (SELECT count(*) FROM passage)
             WHERE k.tenant_id = $1
        )
        DELETE FROM documents AS d
         WHERE d.tenant_id = $1
           AND d.name = $2
        RETURNING d.id
    """
    return await scope.fetchval(query, scope.tenant_id, name) is not None


async def held(scope: TenantScope, names: Sequence[str] | None) -> tuple[int, int]:
    """(documents, bytes of their text) of the tenant; of those of `names` alone, where there are any."""
    query = """
        SELECT count(*) AS documents, coalesce(sum(octet_length(text)), 0) AS bytes
          FROM documents
         WHERE tenant_id = $1
           AND ($2::text[] IS NULL OR name = ANY ($2))
    """
    row = await scope.fetchrow(query, scope.tenant_id, names)
    return row["documents"], row["bytes"]


async def insert_document(scope: TenantScope, source: Source, fingerprint: str, extract: Extract) -> UUID:
    """With its bytes as they came, for exports."""
    document_id = new_id()
    query = """
        INSERT INTO documents (tenant_id, id, name, title, media_type, fingerprint, text, original)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    """
    await scope.execute(
        query, scope.tenant_id, document_id, source.name, extract.title, extract.media_type, fingerprint, extract.text,
        source.content,
    )  # fmt: skip
    return document_id


async def without_original(scope: TenantScope, limit: int) -> list[str]:
    """Names of documents that were read before their bytes were kept."""
    query = """
        SELECT name
          FROM documents
         WHERE tenant_id = $1
           AND original IS NULL
         ORDER BY name
         LIMIT $2
    """
    return [row["name"] for row in await scope.fetch(query, scope.tenant_id, limit)]


async def put_original(scope: TenantScope, name: str, fingerprint: str, content: bytes) -> None:
    """Of the document that was read from these bytes, and no other."""
    query = """
        UPDATE documents
           SET original = $4
         WHERE tenant_id = $1
           AND name = $2
           AND fingerprint = $3
    """
    await scope.execute(query, scope.tenant_id, name, fingerprint, content)


async def original(scope: TenantScope, name: str) -> bytes | None:
    query = """
        SELECT original
          FROM documents
         WHERE tenant_id = $1
           AND name = $2
    """
    content: bytes | None = await scope.fetchval(query, scope.tenant_id, name)
    return content


async def insert_passages(scope: TenantScope, document_id: UUID, passages: Sequence[NewPassage]) -> None:
    """With their words' counts. The caller holds the lock."""
    query = """
        WITH passage AS (
            INSERT INTO passages (tenant_id, id, document_id, place, heading, start_at, end_at, text, embedding, words)
            SELECT $1, n.id, $2, n.place, n.heading, n.start_at, n.end_at, n.text, n.embedding::halfvec,
                   to_tsvector('english', n.words)
              FROM unnest($3::uuid[], $4::int[], $5::text[], $6::int[], $7::int[], $8::text[], $9::text[], $10::text[])
                AS n (id, place, heading, start_at, end_at, text, embedding, words)
            RETURNING words
        ), word AS (
            INSERT INTO knowledge_words AS k (tenant_id, word, passages)
            SELECT $1, w.lexeme, count(*)
              FROM passage AS p, unnest(p.words) AS w
             GROUP BY w.lexeme
                ON CONFLICT (tenant_id, word) DO UPDATE
               SET passages = k.passages + EXCLUDED.passages
        )
        INSERT INTO knowledge AS k (tenant_id, version, passages)
        VALUES ($1, 1, (SELECT count(*) FROM passage))
            ON CONFLICT (tenant_id) DO UPDATE
           SET version = k.version + 1, passages = k.passages + EXCLUDED.passages
    """
    await scope.execute(
        query,
        scope.tenant_id,
        document_id,
        [new_id() for _ in passages],
        [passage.place for passage in passages],
        [passage.chunk.heading for passage in passages],
        [passage.chunk.start for passage in passages],
        [passage.chunk.end for passage in passages],
        [passage.text for passage in passages],
        [_literal(passage.vector) for passage in passages],
        [searchable(passage.found_by) for passage in passages],
    )


async def insert_questions(scope: TenantScope, document_id: UUID, questions: Sequence[Vectors]) -> None:
    """Each leads to the passage of the document that is nearest to it. The passages are there already."""
    query = """
        INSERT INTO passage_questions (tenant_id, passage_id, number, embedding)
        SELECT $1, (SELECT p.id
                      FROM passages AS p
                     WHERE p.tenant_id = $1
                       AND p.document_id = $2
                     ORDER BY (p.embedding <=> q.vector::halfvec) + 0, p.place  -- not by the index of all
                     LIMIT 1),
               q.number, q.vector::halfvec
          FROM unnest($3::text[]) WITH ORDINALITY AS q (vector, number)
    """
    await scope.execute(query, scope.tenant_id, document_id, [_literal(vector) for vector in questions])


async def forget_unused_words(scope: TenantScope) -> None:
    """The caller holds the lock."""
    await scope.execute("DELETE FROM knowledge_words WHERE tenant_id = $1 AND passages <= 0", scope.tenant_id)


async def search(scope: TenantScope, query_text: str, vector: Vectors, min_score: float, limit: int) -> list[Passage]:
    """Best first (`search.sql`), at most `limit`; below `min_score` only what has most of the query's words."""
    query = f"""
        SELECT {_PASSAGE}, f.score
          FROM search_passages($2, $3::text::halfvec, $4, $5) AS f
          JOIN passages AS p ON p.tenant_id = $1 AND p.id = f.passage_id
          JOIN documents AS d ON d.tenant_id = $1 AND d.id = p.document_id
         ORDER BY f.rank DESC, p.id
         LIMIT $5
    """
    rows = await scope.fetch(query, scope.tenant_id, searchable(query_text), _literal(vector), min_score, limit)
    return [_passage(row, row["score"]) for row in rows]


async def passage(scope: TenantScope, passage_id: UUID) -> Passage | None:
    query = f"""
        SELECT {_PASSAGE}
          FROM passages AS p
          JOIN documents AS d ON d.tenant_id = p.tenant_id AND d.id = p.document_id
         WHERE p.tenant_id = $1
           AND p.id = $2
    """
    row = await scope.fetchrow(query, scope.tenant_id, passage_id)
    return None if row is None else _passage(row, 0.0)


async def excerpt(scope: TenantScope, passage_id: UUID, around: int) -> Excerpt | None:
    """With up to `around` characters before and after."""
    query = """
        SELECT p.id, d.name, d.title, p.heading, p.start_at, p.end_at, p.text,
               substr(d.text, greatest(p.start_at - $3, 0) + 1, least(p.start_at, $3)) AS before,
               substr(d.text, p.end_at + 1, $3) AS after
          FROM passages AS p
          JOIN documents AS d ON d.tenant_id = p.tenant_id AND d.id = p.document_id
         WHERE p.tenant_id = $1
           AND p.id = $2
    """
    row = await scope.fetchrow(query, scope.tenant_id, passage_id, around)
    if row is None:
        return None
    return Excerpt(
        passage_id=row["id"],
        document=row["name"],
        title=row["title"],
        heading=row["heading"],
        start=row["start_at"],
        end=row["end_at"],
        before=row["before"],
        quote=row["text"],
        after=row["after"],
    )


async def documents(scope: TenantScope, after_name: str, limit: int, beginning: str = "") -> list[DocumentEntry]:
    """By name, those above `after_name` that begin with `beginning`, at most `limit`."""
    query = """
        SELECT id, name, title, media_type, length(text) AS characters, updated_at
          FROM documents
         WHERE tenant_id = $1
           AND name > $2
           AND starts_with(name, $4)
         ORDER BY name
         LIMIT $3
    """
    return [_entry(row) for row in await scope.fetch(query, scope.tenant_id, after_name, limit, beginning)]


async def document(scope: TenantScope, name: str) -> tuple[DocumentEntry, str] | None:
    """With its text."""
    query = """
        SELECT id, name, title, media_type, length(text) AS characters, updated_at, text
          FROM documents
         WHERE tenant_id = $1
           AND name = $2
    """
    row = await scope.fetchrow(query, scope.tenant_id, name)
    return (_entry(row), row["text"]) if row is not None else None


async def document_id(scope: TenantScope, name: str) -> UUID | None:
    query = """
        SELECT id
          FROM documents
         WHERE tenant_id = $1
           AND name = $2
    """
    found: UUID | None = await scope.fetchval(query, scope.tenant_id, name)
    return found


def _entry(row: Any) -> DocumentEntry:
    return DocumentEntry(row["id"], row["name"], row["title"], row["media_type"], row["characters"], row["updated_at"])


_PASSAGE = "p.id, p.document_id, d.name, d.title, p.heading, p.start_at, p.end_at, p.text"


def _passage(row: Any, score: float) -> Passage:
    return Passage(
        id=row["id"],
        document_id=row["document_id"],
        document=row["name"],
        title=row["title"],
        heading=row["heading"],
        start=row["start_at"],
        end=row["end_at"],
        text=row["text"],
        score=score,
    )


def _literal(vector: Vectors) -> str:
    """pgvector's text form."""
    return json.dumps_text(vector.tolist())

"""A database that has grown: real conversations, made by the server, copied many times in every table that they fill.

Bodies, decisions and payloads are copied as they are sealed, so that the server can read them. Ids that the server
makes stay in the order of time, those of conversations are random, as clients make them; moments are spread over the
past. Copied conversations have expired, as old ones have, and their events have been read.
"""

from collections.abc import Mapping
from typing import Any  # asyncpg is untyped
from uuid import UUID

AT_ONCE = 1000  # conversations in a transaction
# Days over which the copies are spread; events no further than they are kept.
DAYS, EVENT_DAYS = 30.0, 6.0

_PLACED = """
    CREATE OR REPLACE FUNCTION pg_temp.placed(id uuid, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
        SELECT (lpad(to_hex(('x' || left(h, 12))::bit(48)::bigint - n), 12, '0') || substr(h, 13))::uuid
          FROM (SELECT replace(id::text, '-', '')) AS hex(h)
    $$
"""
_OTHER = """
    CREATE OR REPLACE FUNCTION pg_temp.other(id uuid, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
        SELECT md5(id::text || '-' || n)::uuid
    $$
"""
_MOVED = """
    CREATE OR REPLACE FUNCTION pg_temp.moved(seqs int[], n bigint) RETURNS int[] LANGUAGE sql IMMUTABLE AS $$
        SELECT array_agg(seq + n::int ORDER BY seq) FROM unnest(seqs) AS seq
    $$
"""
# table -> (which rows are the conversation's, what its columns become in copy number n; the rest stays as it is)
_OF_TURNS = "turn_id IN (SELECT t.id FROM turns AS t WHERE t.conversation_id = $1)"
_COPIES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "contacts": (
        "external_id = (SELECT c.contact FROM conversations AS c WHERE c.id = $1)",
        {"external_id": "external_id || '-' || n"},
    ),
    "conversations": (
        "id = $1",
        {"id": "pg_temp.other(id, n)", "contact": "contact || '-' || n", "state": "'expired'"},
    ),
    "turns": (
        "conversation_id = $1",
        {"id": "pg_temp.placed(id, n)", "conversation_id": "pg_temp.other(conversation_id, n)"},
    ),
    "messages": (
        "conversation_id = $1",
        {
            "id": "pg_temp.placed(id, n)",
            "conversation_id": "pg_temp.other(conversation_id, n)",
            "turn_id": "pg_temp.placed(turn_id, n)",
            "idempotency_key": "idempotency_key || '-' || n",
        },
    ),
    "steps": (_OF_TURNS, {"turn_id": "pg_temp.placed(turn_id, n)"}),
    "llm_calls": (_OF_TURNS, {"id": "pg_temp.placed(id, n)", "turn_id": "pg_temp.placed(turn_id, n)"}),
    "outbox": (
        "key = $1::uuid::text",
        {"event_id": "pg_temp.placed(event_id, n)", "key": "pg_temp.other(key::uuid, n)::text"},
    ),
}
_LENGTHENED = """
    UPDATE conversations
       SET last_seq = last_seq * $2, answers = answers * $2, summary_seq = greatest(0, last_seq * $2 - $3)
     WHERE id = $1
"""
_NOT_COPIED = ("xid", "position")  # the outbox numbers its rows itself


async def copy_conversation(owner: Any, conversation_id: UUID, copies: int) -> None:
    """The conversation `copies` times more, each another contact's."""
    for function in (_PLACED, _OTHER):
        await owner.execute(function)
    for first in range(1, copies + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, copies)
        async with owner.transaction():
            for table, (where, changes) in _COPIES.items():
                days = EVENT_DAYS if table == "outbox" else DAYS
                back = f"make_interval(secs => {days * 86400} * (1 - n::float / {copies + 1}))"
                await _insert(owner, table, where, changes, back, conversation_id, first, last)


async def copy_tenant(owner: Any, source: UUID, tenant: UUID, slug: str) -> None:
    """Its settings and all that files define; nothing that is sealed."""
    for name in ("tenants", "agents", "tools", "agent_tools", "prompts", "aliases", "classifiers", "applied"):
        columns = await _columns(owner, name)
        key = "id" if name == "tenants" else "tenant_id"
        values = ["$2::uuid" if each == key else f"'{slug}'" if each == "slug" else each for each in columns]
        await owner.execute(
            f"INSERT INTO {name} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {name} WHERE {key} = $1",
            source, tenant,
        )  # fmt: skip


async def copy_into_tenant(owner: Any, conversation_id: UUID, tenant: UUID, first: int, last: int) -> None:
    """Copies number `first` to `last` of the conversation, as the tenant's: it could not open what they hold."""
    for function in (_PLACED, _OTHER):
        await owner.execute(function)
    for start in range(first, last + 1, AT_ONCE):
        end = min(start + AT_ONCE - 1, last)
        async with owner.transaction():
            for name, (where, changes) in _COPIES.items():
                days = EVENT_DAYS if name == "outbox" else DAYS
                back = f"make_interval(secs => {days * 86400} * ((n % {AT_ONCE}) + 1) / {AT_ONCE + 1})"
                own = dict(changes) | {"tenant_id": f"'{tenant}'::uuid"}
                await _insert(owner, name, where, own, back, conversation_id, start, end)


async def lengthen_conversation(owner: Any, conversation_id: UUID, times: int, window: int) -> int:
    """The conversation so many times as long, what fell out of the window summed up; its last seq."""
    for function in (_PLACED, _MOVED):
        await owner.execute(function)
    length = await owner.fetchval("SELECT last_seq FROM conversations WHERE id = $1", conversation_id)
    moved = {
        "turns": {"id": "pg_temp.placed(id, n)", "seqs": f"pg_temp.moved(seqs, n * {length})"},
        "messages": {
            "id": "pg_temp.placed(id, n)",
            "turn_id": "pg_temp.placed(turn_id, n)",
            "seq": f"seq + n * {length}",
            "in_reply_to": f"pg_temp.moved(in_reply_to, n * {length})",
        },
        "steps": {"turn_id": "pg_temp.placed(turn_id, n)"},
        "llm_calls": {"id": "pg_temp.placed(id, n)", "turn_id": "pg_temp.placed(turn_id, n)"},
        "outbox": {"event_id": "pg_temp.placed(event_id, n)"},
    }
    async with owner.transaction():
        for table in ("steps", "llm_calls", "outbox", "messages", "turns"):  # what looks turns up comes before them
            where = _COPIES[table][0]
            await _insert(owner, table, where, moved[table], "interval '0'", conversation_id, 1, times - 1)
        await owner.execute(_LENGTHENED, conversation_id, times, window)
    return int(length) * times


async def settle(owner: Any) -> None:
    """As a database is that grew over weeks: read, vacuumed, with statistics, on disk."""
    await owner.execute(
        "UPDATE consumer_positions SET worker = NULL, lease_until = NULL,"
        " xid = pg_snapshot_xmin(pg_current_snapshot()), position = 0"
    )
    await owner.execute("VACUUM (ANALYZE)")
    await owner.execute("CHECKPOINT")


async def _insert(
    owner: Any, table: str, where: str, changes: Mapping[str, str], back: str, conversation_id: UUID, *span: int
) -> None:
    """`back`: the interval by which each moment lies further in the past."""
    values = {
        name: f"{name} - {back}" if "timestamp" in kind else name
        for name, kind in (await _columns(owner, table)).items()
        if name not in _NOT_COPIED
    } | dict(changes)
    await owner.execute(
        f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())}"
        f" FROM generate_series($2::bigint, $3::bigint) AS n CROSS JOIN {table} WHERE {where}",
        conversation_id,
        *span,
    )


async def _columns(owner: Any, table: str) -> dict[str, str]:
    """Name -> type. By the catalogue itself: the standard's views of it take as long as a thousand rows."""
    query = """
        SELECT attname, format_type(atttypid, NULL) AS type
          FROM pg_attribute
         WHERE attrelid = $1::text::regclass
           AND attnum > 0
           AND NOT attisdropped
         ORDER BY attname
         LIMIT 100
    """
    return {row["attname"]: row["type"] for row in await owner.fetch(query, table)}

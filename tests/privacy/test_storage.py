"""What a tenant wants hidden where it is kept: in storage after the session, in the log of events, in logs."""

import hashlib
import math
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tests.screens import detector

from frontdesk.conversations.redacting import Redactions
from frontdesk.conversations.sealed import Sealed
from frontdesk.core import json
from frontdesk.core.clock import SystemClock
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.events.models import Event
from frontdesk.privacy.detector import Detector
from frontdesk.privacy.models import Finding
from frontdesk.privacy.redactor import WITHHELD
from frontdesk.privacy.tagger import Tagger

SEALED = Sealed(Cipher([bytes(32)]))
SAID = "My name is Ann Miller, write to ann@example.com about order 12."


class Broken(Detector):
    def find(self, text: str, ends_at: float = math.inf) -> tuple[Finding, ...]:
        raise RuntimeError("broken")


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def expired(owner: Any, tenant: UUID) -> UUID:
    conversation, turn = new_id(), new_id()
    await owner.execute(
        "INSERT INTO conversations (tenant_id, id, contact, channel, state, owner, context, summary) "
        "VALUES ($1, $2, 'u1', 'WEB', 'expired', 'agent', $3, $4)",
        tenant, conversation, SEALED.json(tenant, {"customer": {"name": "Ann Miller"}, "visits": 3}),
        SEALED.text(tenant, b"Asked for mail to ann@example.com."),
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO messages "
        "(tenant_id, conversation_id, seq, id, role, body, turn_id, idempotency_key, request_hash) "
        "VALUES ($1, $2, 1, $3, 'user', $4, $5, $6, $7)",
        tenant, conversation, new_id(), SEALED.body(tenant, SAID, {}), turn, f"key-{turn}",
        hashlib.sha256(SAID.encode()).digest(),
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO turns (tenant_id, id, conversation_id, state, seqs, epoch, correlation_id, decision) "
        "VALUES ($1, $2, $3, 'completed', '{1}', 1, '', $4)",
        tenant, turn, conversation, SEALED.json(tenant, {"query": SAID}),
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO steps (tenant_id, turn_id, number, agent, kind, name, status, input, output) "
        "VALUES ($1, $2, 1, 'a', 'tool', 'book', 'ok', $3, NULL)",
        tenant, turn, SEALED.json(tenant, {"to": "ann@example.com", "seats": 2}),
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO outbox (tenant_id, event_id, topic, key, type, correlation_id, payload) "
        "VALUES ($1, $2, 'messages.raw', $3, 'message.accepted', '', $4)",
        tenant, new_id(), str(conversation), SEALED.json(tenant, {"content": SAID}),
    )  # fmt: skip
    return conversation


async def stored(owner: Any, tenant: UUID) -> dict[str, Any]:
    """Every sealed value, opened."""
    row = await owner.fetchrow(
        "SELECT m.body, c.context, c.summary, t.decision, s.input, o.payload FROM messages AS m, conversations AS c, "
        "turns AS t, steps AS s, outbox AS o WHERE m.tenant_id = $1",
        tenant,
    )
    opened = {name: SEALED.open_text(tenant, value) for name, value in row.items()}
    return {
        name: value.decode() if name == "summary" or not value else json.loads(value) for name, value in opened.items()
    }


async def redact(
    database: Database,
    tenant: UUID,
    conversation: UUID,
    search: Detector,
    meanwhile: str = "SELECT 1",
) -> bool:
    """Whether anything was to be done. `meanwhile`: a statement between the search and the change."""
    redactions = Redactions(database, SEALED, search)
    event = Event(
        event_id=new_id(), topic="conversations.state", key=str(conversation), tenant_id=tenant,
        type="conversation.expired", version=1, occurred_at=SystemClock().now(), correlation_id="", causation_id=None,
        payload={},
    )  # fmt: skip
    derived = await redactions.derive(event)
    if derived is None:
        return False
    async with database.scope(tenant) as scope:
        await scope.execute(meanwhile)
    async with database.scope(tenant) as scope:
        await redactions.apply(scope, event, derived)
    return True


async def wants(owner: Any, tenant: UUID, **privacy: object) -> None:
    await owner.execute("UPDATE tenants SET settings = $2 WHERE id = $1", tenant, json.dumps_text({"privacy": privacy}))


async def test_after_the_session_nothing_personal_that_is_found_stays(
    database: Database, owner: Any, tenant_id: UUID
) -> None:
    await wants(owner, tenant_id, storage="redact")
    assert await redact(database, tenant_id, await expired(owner, tenant_id), detector())
    kept = await stored(owner, tenant_id)
    assert kept["body"]["content"] == "My name is [PERSON_1], write to [EMAIL_1] about order 12."
    assert kept["context"] == {"customer": {"name": "[PERSON_1]"}, "visits": 3}
    assert kept["summary"] == "Asked for mail to [EMAIL_1]."
    assert kept["input"] == {"to": "[EMAIL_1]", "seats": 2}
    assert kept["payload"] == ""
    assert "Ann Miller" not in str(kept)
    # Whoever has the hash of what was said could try values until one fits.
    assert await owner.fetchval("SELECT count(*) FROM messages WHERE request_hash IS NOT NULL") == 0


async def test_the_policy_that_is_in_force_decides_and_not_one_that_is_kept(
    database: Database, owner: Any, tenant_id: UUID
) -> None:
    conversation = await expired(owner, tenant_id)
    assert not await redact(database, tenant_id, conversation, detector())
    await wants(owner, tenant_id, storage="redact")
    assert await redact(database, tenant_id, conversation, detector())


async def test_redacting_again_changes_nothing(database: Database, owner: Any, tenant_id: UUID) -> None:
    await wants(owner, tenant_id, storage="redact")
    conversation = await expired(owner, tenant_id)
    await redact(database, tenant_id, conversation, detector())
    once = await stored(owner, tenant_id)
    await redact(database, tenant_id, conversation, detector())
    assert await stored(owner, tenant_id) == once


async def test_as_a_rule_what_was_said_stays(database: Database, owner: Any, tenant_id: UUID) -> None:
    conversation = await expired(owner, tenant_id)
    assert not await redact(database, tenant_id, conversation, detector())
    assert (await stored(owner, tenant_id))["body"]["content"] == SAID


async def test_when_the_search_breaks_nothing_that_was_said_stays(
    database: Database, owner: Any, tenant_id: UUID
) -> None:
    await wants(owner, tenant_id, storage="redact")
    await redact(database, tenant_id, await expired(owner, tenant_id), Broken(Tagger.load()))
    kept = await stored(owner, tenant_id)
    assert kept["body"]["content"] == kept["summary"] == WITHHELD
    assert kept["input"] == {"to": WITHHELD, "seats": 2}


@pytest.mark.parametrize(
    "meanwhile",
    [
        "UPDATE conversations SET state = 'cleared', context = NULL, summary = NULL",
        "UPDATE turns SET decision = NULL",  # as retention does
    ],
)
async def test_what_was_removed_meanwhile_does_not_come_back(
    database: Database, owner: Any, tenant_id: UUID, meanwhile: str
) -> None:
    await wants(owner, tenant_id, storage="redact")
    await redact(database, tenant_id, await expired(owner, tenant_id), detector(), meanwhile)
    kept = await stored(owner, tenant_id)
    removed = ("context", "summary") if "cleared" in meanwhile else ("decision",)
    assert not any(kept[name] for name in removed)
    assert kept["payload"] == ""


async def test_redacting_reads_its_own_conversation_and_no_definitions(
    database: Database, owner: Any, tenant_id: UUID
) -> None:
    await wants(owner, tenant_id, storage="redact")
    await owner.execute("SET session_replication_role = replica")
    for query in (
        "INSERT INTO turns (tenant_id, id, conversation_id, state, seqs, epoch, correlation_id) "
        "SELECT $1, gen_random_uuid(), gen_random_uuid(), 'completed', '{1}', 1, '' FROM generate_series(1, 3000)",
        "INSERT INTO steps (tenant_id, turn_id, number, agent, kind, name, status, input) "
        "SELECT $1, gen_random_uuid(), 1, 'a', 'tool', 'book', 'ok', ''::bytea FROM generate_series(1, 3000)",
        "INSERT INTO outbox (tenant_id, event_id, topic, key, type, correlation_id, payload, occurred_at) "
        "SELECT $1, gen_random_uuid(), 'turns', n::text, 't', '', ''::bytea, now() - interval '1 day' "
        "FROM generate_series(1, 3000) AS n",
        "INSERT INTO agents (tenant_id, name, definition) SELECT $1, n::text, '{}' FROM generate_series(1, 3000) AS n",
    ):
        await owner.execute(query, tenant_id)
    conversation = await expired(owner, tenant_id)
    await owner.execute("ANALYZE")
    before = await rows_read(owner)
    await redact(database, tenant_id, conversation, detector())
    await database.call("SELECT pg_stat_force_next_flush()")
    await database.call("SELECT 1")
    after = await rows_read(owner)
    assert {name: after[name] - before[name] for name in before if after[name] - before[name] > 64} == {}


async def rows_read(owner: Any) -> dict[str, int]:
    query = """
        SELECT indexrelname AS name, idx_tup_read AS count FROM pg_stat_user_indexes
         WHERE relname IN ('turns', 'steps', 'outbox', 'messages', 'agents')
         UNION ALL
        SELECT relname, seq_tup_read FROM pg_stat_user_tables
         WHERE relname IN ('turns', 'steps', 'outbox', 'messages', 'agents')
    """
    return {row["name"]: row["count"] for row in await owner.fetch(query)}

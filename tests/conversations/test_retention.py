"""What is kept how long, per tenant, and that nothing is left of what is over."""

import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tests.conftest import make_tenant
from tests.conversations.room import Room, room
from tests.crash.bells import Bells, bells
from tests.crash.desk import FILES, Desk
from tests.vendors.replies import Reply
from tests.vendors.server import Vendor

from frontdesk.conversations import retention
from frontdesk.conversations.retention import Retention
from frontdesk.conversations.sealed import Sealed
from frontdesk.core import json
from frontdesk.core.errors import ConversationNotFound
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.events.log import PostgresLog

__all__ = ["bells"]

SEALED = Sealed(Cipher([bytes(32)]))
EVENTS_DAYS = 7.0


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def keeps(owner: Any, tenant_id: UUID, **days: object) -> None:
    settings = json.dumps_text({"retention": days})
    await owner.execute("UPDATE tenants SET settings = $2 WHERE id = $1", tenant_id, settings)


async def id_of(owner: Any, days: float) -> UUID:
    """Of something made so many days ago."""
    moment = datetime.now(UTC) - timedelta(days=days)
    first: UUID = await owner.fetchval("SELECT first_id_of($1)", moment)
    return UUID(int=first.int | (new_id().int & ((1 << 72) - 1)))


async def a_conversation(owner: Any, tenant_id: UUID, days: float, state: str = "expired", began: float = 0) -> UUID:
    """One whose last word was said `days` ago, with a turn and its step."""
    conversation, turn = new_id(), await id_of(owner, days)
    said = datetime.now(UTC) - timedelta(days=days)
    await owner.execute(
        "INSERT INTO conversations (tenant_id, id, contact, channel, state, owner, created_at, last_activity) "
        "VALUES ($1, $2, 'ann', 'WEB', $3, 'agent', $4, $5)",
        tenant_id, conversation, state, said - timedelta(days=began), said,
    )  # fmt: skip
    body = SEALED.body(tenant_id, "hello", {})
    await owner.execute(
        "INSERT INTO messages (tenant_id, conversation_id, seq, id, role, body, turn_id) "
        "VALUES ($1, $2, 1, $3, 'user', $4, $5)",
        tenant_id, conversation, new_id(), body, turn,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO turns (tenant_id, id, conversation_id, state, seqs, epoch, correlation_id, decision) "
        "VALUES ($1, $2, $3, 'completed', '{1}', 1, '', $4)",
        tenant_id, turn, conversation, body,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO steps (tenant_id, turn_id, number, agent, kind, name, status, input) "
        "VALUES ($1, $2, 1, '', 'llm', '', '', $3)",
        tenant_id, turn, body,
    )  # fmt: skip
    return conversation


async def conversations_of(owner: Any, tenant_id: UUID) -> set[UUID]:
    return {row[0] for row in await owner.fetch("SELECT id FROM conversations WHERE tenant_id = $1", tenant_id)}


async def test_conversations_go_when_nothing_was_said_for_as_long_as_their_tenant_says(
    database: Database, owner: Any, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    broken = await make_tenant(database, "broken")
    await keeps(owner, tenant_id, conversations_days=10)
    await keeps(owner, broken, conversations_days="soon")
    kept = {
        tenant_id: {
            await a_conversation(owner, tenant_id, 9.9, began=50),
            await a_conversation(owner, tenant_id, 10.1, "active"),  # not before it has ended
        },
        other_tenant_id: {await a_conversation(owner, other_tenant_id, 364)},
        broken: {await a_conversation(owner, broken, 364)},
    }
    for tenant, days in ((tenant_id, 10.1), (tenant_id, 400.0), (other_tenant_id, 366.0), (broken, 366.0)):
        await a_conversation(owner, tenant, days)
    await a_conversation(owner, tenant_id, 10.1, "cleared")
    retained = Retention(database, SEALED, events_days=EVENTS_DAYS)
    assert await retained.remove_conversations() == 5
    assert await retained.remove_conversations() == 0
    for tenant, left in kept.items():
        assert await conversations_of(owner, tenant) == left
        for table in ("messages", "turns", "steps"):
            assert await owner.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", tenant) == len(left)


async def test_a_tenant_with_much_to_remove_does_not_hold_the_others_up(
    database: Database, owner: Any, tenant_id: UUID, other_tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "OF_A_TENANT", 2)
    for _ in range(5):
        await a_conversation(owner, tenant_id, 400)
    await a_conversation(owner, other_tenant_id, 400)
    over = await database.call("SELECT tenant_id FROM conversations_over(365, 2, 1000)")
    assert sorted(row["tenant_id"] for row in over) == sorted([tenant_id, tenant_id, other_tenant_id])
    assert await Retention(database, SEALED, events_days=EVENTS_DAYS).remove_conversations() == 6


async def test_explanations_go_before_what_was_said(
    database: Database, owner: Any, tenant_id: UUID, other_tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    await keeps(owner, tenant_id, explanations_days=5)
    for days in (5.1, 6, 7, 80, 4.9):
        await a_conversation(owner, tenant_id, days)
    for days in (89.0, 91.0):
        await a_conversation(owner, other_tenant_id, days)
    retained = Retention(database, SEALED, events_days=EVENTS_DAYS)
    assert await retained.remove_records() == 5
    query = """
        SELECT count(decision) + (SELECT count(*) FROM steps AS s WHERE s.tenant_id = $1)
          FROM turns
         WHERE tenant_id = $1
    """
    assert await owner.fetchval(query, tenant_id) == 2
    assert await owner.fetchval(query, other_tenant_id) == 2
    assert await owner.fetchval("SELECT count(*) FROM messages") == 7
    assert await retained.remove_records() == 0
    assert await database.call("SELECT * FROM retention_due(90, 400, 7)") == []
    # What grows old later is found too.
    await keeps(owner, tenant_id, explanations_days=4)
    assert await retained.remove_records() == 1


async def test_the_ledger_and_dead_letters_go_in_their_time(
    database: Database, owner: Any, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    await keeps(owner, tenant_id, ledger_days=40, events_days=1)
    for tenant in (tenant_id, other_tenant_id):
        for days in (0.9, 1.1, 39, 41, 399, 401):
            await owner.execute(
                "INSERT INTO llm_calls (tenant_id, id, purpose, alias, provider, model, outcome, input_tokens, "
                "cached_tokens, output_tokens, reasoning_tokens, estimated, latency_ms, created_at) "
                "VALUES ($1, $2, '', '', '', '', '', 0, 0, 0, 0, false, 0, now())",
                tenant, await id_of(owner, days),
            )  # fmt: skip
            await owner.execute(
                "INSERT INTO dead_letters (tenant_id, id, consumer, topic, event_id, error, event) "
                "VALUES ($1, $2, '', '', $2, '', '{}')",
                tenant, await id_of(owner, days),
            )  # fmt: skip
    await Retention(database, SEALED, events_days=EVENTS_DAYS).remove_records()
    for table, tenant, left in (
        ("llm_calls", tenant_id, 3), ("llm_calls", other_tenant_id, 5),
        ("dead_letters", tenant_id, 1), ("dead_letters", other_tenant_id, 2),
    ):  # fmt: skip
        assert await owner.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", tenant) == left, table


async def test_a_tenant_may_keep_events_for_a_shorter_time_than_the_deployment_and_no_longer(
    database: Database, owner: Any, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    await keeps(owner, tenant_id, events_days=2)
    await keeps(owner, other_tenant_id, events_days=100)
    events = PostgresLog(database, Cipher([bytes(32)]))
    for tenant in (tenant_id, other_tenant_id):
        for days in (1.9, 2.1, 6.9, 7.1):
            async with database.scope(tenant) as scope:
                event = await events.append(scope, "messages.raw", "a", "message.accepted", {})
            await owner.execute(
                "UPDATE outbox SET occurred_at = now() - make_interval(secs => $2) WHERE event_id = $1",
                event, days * 86400,
            )  # fmt: skip
    assert await Retention(database, SEALED, events_days=EVENTS_DAYS).remove_events() == 3
    assert await events.prune(EVENTS_DAYS, 100) == 1
    for tenant, left in ((tenant_id, 1), (other_tenant_id, 3)):
        assert await owner.fetchval("SELECT count(*) FROM outbox WHERE tenant_id = $1", tenant) == left


@pytest.fixture
async def forgetful(vendor: Vendor, bells: Bells, database_url: str) -> AsyncIterator[Room]:
    files = {"tenant.yaml": FILES["tenant.yaml"] + "retention: {conversations_days: 0}\n"}
    with tempfile.TemporaryDirectory(prefix="frontdesk-retention-") as folder:
        desk = Desk(Path(folder), vendor, bells, {}, files)
        vendor.responder = lambda _request: Reply("Plantedanswer.")
        async with room(desk, database_url) as opened:
            yield opened


async def test_a_tenant_that_keeps_nothing_keeps_nothing_of_a_session_that_is_over(forgetful: Room) -> None:
    services, conversation_id = forgetful.services, new_id()
    assert (await forgetful.chat("Plantedwords", conversation_id)).text == "Plantedanswer."
    assert await services.housekeeping.expire_sessions() == 0
    assert {table for table, _ in await left_of_it(forgetful)} >= {"messages", "turns", "outbox", "contacts"}
    retained = Retention(services.database, Sealed(services.cipher), events_days=EVENTS_DAYS)
    assert await retained.remove_conversations() == 0, "it is not over yet"
    await forgetful.owner.execute("UPDATE conversations SET last_activity = last_activity - interval '2 hours'")
    await forgetful.owner.execute("UPDATE conversations SET created_at = created_at - interval '2 hours'")
    await forgetful.owner.execute("UPDATE outbox SET occurred_at = occurred_at - interval '2 hours'")
    assert await services.housekeeping.expire_sessions() == 1
    assert await retained.remove_conversations() == 1
    with pytest.raises(ConversationNotFound):
        await forgetful.session(conversation_id)
    assert await left_of_it(forgetful) == []
    # The same session begins anew.
    assert (await forgetful.chat("Plantedwords", conversation_id)).text == "Plantedanswer."
    assert [message.seq for message in await forgetful.messages(conversation_id)] == [1, 2]


async def left_of_it(room: Room) -> list[tuple[str, str]]:
    """Every value of every table that names the contact or what was said, with the table."""
    found = []
    for (table,) in await room.owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        for row in await room.owner.fetch(f"SELECT * FROM {table}"):
            told = [_opened(room.services.cipher, room.tenant.id, value) for value in row.values()]
            found += [(table, text) for text in told if "Planted" in text or text == "ann" or '"ann"' in text]
    return found


def _opened(cipher: Cipher, tenant_id: UUID, value: object) -> str:
    if isinstance(value, bytes) and value[1:5] in cipher.ids:
        return cipher.open(tenant_id, value).decode()
    return str(value)

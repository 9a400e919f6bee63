"""Everything about one contact: given out whole, erased without a rest, and nobody else's touched."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from frontdesk.audit import Actor, contact_target
from frontdesk.conversations.personal_data import OF_NOBODY, OF_THE_CONTACT, PARTS, PersonalData
from frontdesk.conversations.sealed import Sealed
from frontdesk.core import json
from frontdesk.core.clock import SystemClock
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher

SEALED = Sealed(Cipher([bytes(32)]))
STAFF = Actor("staff", "42", "203.0.113.7")


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def personal(database: Database) -> PersonalData:
    return PersonalData(database, SEALED, SystemClock(), lambda: None)


async def talked(owner: Any, tenant: UUID, contact: str) -> UUID:
    """A conversation of the contact with something in every table that may hold a word of it."""
    conversation, turn, key = new_id(), new_id(), f"key-{new_id()}"
    said = SEALED.body(tenant, f"I am {contact}", {})
    inserts: list[tuple[str, dict[str, Any]]] = [
        ("contacts", {"external_id": contact}),
        ("conversations", {"id": conversation, "contact": contact, "channel": "WEB", "state": "active",
                           "owner": "agent", "context": SEALED.json(tenant, {"mail": contact}),
                           "summary": SEALED.text(tenant, b"a summary")}),
        ("turns", {"id": turn, "conversation_id": conversation, "state": "completed", "seqs": [1], "epoch": 1,
                   "correlation_id": "", "decision": SEALED.json(tenant, {"stage": "default"})}),
        ("messages", {"conversation_id": conversation, "seq": 1, "id": new_id(), "role": "user", "body": said,
                      "turn_id": turn}),
        ("steps", {"turn_id": turn, "number": 1, "agent": "", "kind": "tool", "name": "book", "status": "ok",
                   "input": SEALED.json(tenant, {"who": contact}), "key": key}),
        ("feedback", {"turn_id": turn, "author": "staff", "verdict": "right"}),
        ("llm_calls", {"id": new_id(), "turn_id": turn, "purpose": "agent", "alias": "a", "provider": "p",
                       "model": "m", "outcome": "ok", "input_tokens": 1, "cached_tokens": 0, "output_tokens": 1,
                       "reasoning_tokens": 0, "estimated": False, "latency_ms": 1, "cost_usd": 1,
                       "created_at": datetime.now(UTC)}),
        ("outbox", {"event_id": new_id(), "topic": "messages.raw", "key": str(conversation), "type": "message.accepted",
                    "correlation_id": "", "payload": SEALED.json(tenant, {"text": contact})}),
        ("dead_letters", {"id": new_id(), "consumer": "c", "topic": "t", "event_id": new_id(), "error": "e",
                          "event": json.dumps_text({"key": str(conversation)})}),
        ("records", {"collection": "bookings", "key": f"by-call-{key}", "value": '{"seat": 4}', "made_by": key,
                     "contact": contact}),
        ("records", {"collection": "bookings", "key": f"named-{key}", "made_by": "other",
                     "value": json.dumps_text({"by": [{"who": contact}]})}),
    ]  # fmt: skip
    for table, values in inserts:
        places = ", ".join(f"${number}" for number in range(2, len(values) + 2))
        await owner.execute(
            f"INSERT INTO {table} (tenant_id, {', '.join(values)}) VALUES ($1, {places}) ON CONFLICT DO NOTHING",
            tenant, *values.values(),
        )  # fmt: skip
    return conversation


async def counts(owner: Any, tenant: UUID) -> dict[str, int]:
    tables = [part.table for part in PARTS] + list(OF_THE_CONTACT)
    query = "SELECT count(*) FROM {} WHERE tenant_id = $1"
    return {table: await owner.fetchval(query.format(table), tenant) for table in tables}


async def exported(personal: PersonalData, tenant: UUID, contact: str) -> list[Any]:
    return [json.loads(line) async for line in personal.export(tenant, contact, STAFF)]


async def test_every_table_of_tenants_is_considered(owner: Any) -> None:
    query = """
        SELECT c.table_name
          FROM information_schema.columns AS c
          JOIN information_schema.tables AS t USING (table_schema, table_name)
         WHERE c.column_name = 'tenant_id'
           AND c.table_schema = 'public'
           AND t.table_type = 'BASE TABLE'
    """
    tables = {row["table_name"] for row in await owner.fetch(query)}
    considered = {part.table for part in PARTS} | set(OF_THE_CONTACT) | set(OF_NOBODY)
    assert tables - considered == set(), "say in conversations/personal_data.py whether a contact's data can be there"
    assert considered - tables == set()


async def test_an_export_has_everything_opened_and_nothing_of_others(
    personal: PersonalData, owner: Any, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    mine = [str(await talked(owner, tenant_id, "ann")) for _ in range(25)]  # more than one portion
    await talked(owner, tenant_id, "bob")
    await talked(owner, other_tenant_id, "ann")
    lines = [line async for line in personal.export(tenant_id, "ann", STAFF)]
    *rows, last = [json.loads(line) for line in lines]
    assert {row["table"] for row in rows} == {part.table for part in PARTS} | {"contacts", "records"}
    assert sorted(row["row"]["id"] for row in rows if row["table"] == "conversations") == sorted(mine)
    assert {row["row"]["body"]["content"] for row in rows if row["table"] == "messages"} == {"I am ann"}
    assert {row["row"]["summary"] for row in rows if row["table"] == "conversations"} == {"a summary"}
    assert b"bob" not in b"".join(lines)
    assert last["receipt"]["rows"]["messages"] == 25
    assert last["receipt"]["sha256"] == hashlib.sha256(b"".join(lines[:-1])).hexdigest()


async def test_what_can_not_be_opened_is_said_and_the_rest_is_given(
    personal: PersonalData, owner: Any, tenant_id: UUID
) -> None:
    await talked(owner, tenant_id, "ann")
    await owner.execute("UPDATE messages SET body = 'damaged'::bytea")
    rows = await exported(personal, tenant_id, "ann")
    assert [row["row"]["body"] for row in rows if row.get("table") == "messages"] == [{"damaged": True}]


async def test_an_erasure_leaves_nothing_of_the_contact_and_everything_of_others(
    personal: PersonalData, owner: Any, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    for _ in range(25):
        await talked(owner, tenant_id, "ann")
    await talked(owner, tenant_id, "bob")
    await talked(owner, other_tenant_id, "ann")
    others = await exported(personal, tenant_id, "bob")
    receipt = await personal.erase(tenant_id, "ann", STAFF)
    assert receipt.rows == {
        "records": 25 + 25, "steps": 25, "feedback": 25, "llm_calls": 25, "outbox": 25, "dead_letters": 25,
        "messages": 25, "turns": 25, "conversations": 25, "contacts": 1,
    }  # fmt: skip
    assert len(await exported(personal, tenant_id, "ann")) == 2  # that he was erased, and the receipt
    left = await counts(owner, tenant_id)
    # What calls cost stays, as nobody's, and so do the places of events; the rest is bob's.
    assert left == dict.fromkeys(left, 1) | {"llm_calls": 26, "outbox": 26, "records": 2}
    assert await owner.fetchval("SELECT count(*) FROM outbox WHERE payload = ''") == 25
    assert await owner.fetchval("SELECT sum(cost_usd) FROM llm_calls WHERE tenant_id = $1", tenant_id) == 26
    again = await exported(personal, tenant_id, "bob")
    assert [row for row in again if row.get("table") != "audit"][:-1] == others[:-1]
    assert (await counts(owner, other_tenant_id))["messages"] == 1


async def test_a_receipt_can_be_checked_and_is_in_the_audit_log_without_the_name(
    personal: PersonalData, owner: Any, tenant_id: UUID
) -> None:
    await talked(owner, tenant_id, "ann@example.com")
    receipt = await personal.erase(tenant_id, "ann@example.com", STAFF)
    assert receipt.contact == contact_target(tenant_id, "ann@example.com")
    entries = await owner.fetch(
        "SELECT action, target, after::text AS after FROM audit WHERE tenant_id = $1", tenant_id
    )
    (entry,) = entries
    assert (entry["action"], entry["target"]) == ("contact.erased", receipt.contact)
    assert json.loads(entry["after"])["sha256"] == receipt.sha256
    assert "ann@" not in str([dict(each) for each in entries])


async def test_erasing_again_or_somebody_unknown_finds_nothing(personal: PersonalData, tenant_id: UUID) -> None:
    receipt = await personal.erase(tenant_id, "nobody", STAFF)
    assert set(receipt.rows.values()) == {0}


async def test_what_he_said_of_others_conversations_is_his(personal: PersonalData, owner: Any, tenant_id: UUID) -> None:
    await talked(owner, tenant_id, "ann")
    await talked(owner, tenant_id, "bob")
    await owner.execute(
        "INSERT INTO feedback (tenant_id, turn_id, author, verdict) "
        "SELECT t.tenant_id, t.id, 'ann', 'wrong' FROM turns AS t JOIN conversations AS c ON c.id = t.conversation_id"
    )
    given = [row["row"] for row in await exported(personal, tenant_id, "ann") if row.get("table") == "feedback"]
    assert sorted(each["author"] for each in given) == ["ann", "ann", "staff"]  # one of bob's conversation
    receipt = await personal.erase(tenant_id, "ann", STAFF)
    assert receipt.rows["feedback"] == 3
    assert [row["author"] for row in await owner.fetch("SELECT author FROM feedback")] == ["staff"]


async def test_of_a_session_that_was_cleared_what_is_left_goes_too(
    personal: PersonalData, owner: Any, tenant_id: UUID
) -> None:
    conversation = await talked(owner, tenant_id, "ann")
    await owner.execute("SELECT clear_conversation($1, $2, $3, $4)", tenant_id, conversation, new_id(), b"")
    tables = {row["table"] for row in await exported(personal, tenant_id, "ann") if "table" in row}
    assert {"turns", "llm_calls", "outbox", "conversations"} <= tables
    await personal.erase(tenant_id, "ann", STAFF)
    assert await counts(owner, tenant_id) == dict.fromkeys(await counts(owner, tenant_id), 0) | {
        "llm_calls": 1, "outbox": 2,
    }  # fmt: skip
    assert await owner.fetchval("SELECT count(*) FROM llm_calls WHERE turn_id IS NULL") == 1


async def test_an_erasure_that_was_stopped_is_closed_to_the_contact_and_done_when_it_is_repeated(
    personal: PersonalData, owner: Any, tenant_id: UUID
) -> None:
    def stop(_done: float) -> None:
        raise KeyboardInterrupt

    conversation = await talked(owner, tenant_id, "ann")
    with pytest.raises(KeyboardInterrupt):
        await personal.erase(tenant_id, "ann", STAFF, stop)
    assert await owner.fetchval("SELECT state FROM conversations WHERE id = $1", conversation) == "cleared"
    assert await owner.fetchval("SELECT count(*) FROM audit") == 0
    receipt = await personal.erase(tenant_id, "ann", STAFF)
    assert (receipt.rows["conversations"], receipt.rows["contacts"], receipt.rows["outbox"]) == (1, 1, 1)
    assert len(await exported(personal, tenant_id, "ann")) == 2


async def test_a_long_time_is_walked_in_stretches_that_meet(
    personal: PersonalData, owner: Any, tenant_id: UUID
) -> None:
    for days in (0, 1, 40, 400):
        conversation = await talked(owner, tenant_id, "ann")
        moment = datetime.now(UTC) - timedelta(days=days)
        await owner.execute("UPDATE conversations SET created_at = $2 WHERE id = $1", conversation, moment)
        await owner.execute("UPDATE outbox SET occurred_at = $2 WHERE key = $1", str(conversation), moment)
    steps: list[float] = []
    receipt = await personal.erase(tenant_id, "ann", STAFF, steps.append)
    assert receipt.rows["outbox"] == 4
    assert steps == sorted(steps)
    assert (len(steps) < 50, steps[-1]) == (True, 1.0)


async def test_the_disk_is_to_be_purged_before_and_after_an_erasure(database: Database, tenant_id: UUID) -> None:
    marks: list[str] = []
    personal = PersonalData(database, SEALED, SystemClock(), lambda: marks.append("marked"))
    await personal.erase(tenant_id, "ann", STAFF, lambda _done: marks.append("walked"))
    assert marks == ["marked", "marked"]

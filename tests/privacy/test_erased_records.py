"""A tool that began before its contact was erased keeps nothing of him, whenever it writes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tests.conftest import HANG_S
from tests.turns import begun_turn

from frontdesk.audit import Actor
from frontdesk.conversations.personal_data import PersonalData, Receipt
from frontdesk.conversations.sealed import Sealed
from frontdesk.core import json
from frontdesk.core.clock import SystemClock
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.tools.records import PostgresRecords
from frontdesk.tools.types import ToolError

SEAT = {"seat": 4}  # says nothing of whose it is


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def records(database: Database, tenant_id: UUID) -> PostgresRecords:
    return PostgresRecords(database, tenant_id, await begun_turn(database, tenant_id, "ann"))


async def erase(database: Database, tenant_id: UUID) -> Receipt:
    personal = PersonalData(database, Sealed(Cipher([bytes(32)])), SystemClock(), lambda: None)
    return await personal.erase(tenant_id, "ann", Actor("staff", "42"))


async def waiting(owner: Any, count: int) -> None:
    """Until so many statements of the application wait for a lock."""
    query = """
        SELECT count(*)
          FROM pg_stat_activity
         WHERE datname = current_database()
           AND wait_event_type = 'Lock'
    """
    async with asyncio.timeout(HANG_S):
        while await owner.fetchval(query) < count:
            await asyncio.sleep(0.01)


async def keys(owner: Any) -> list[str]:
    return [row["key"] for row in await owner.fetch("SELECT key FROM records ORDER BY key")]


async def test_what_is_written_after_the_erasure_is_refused(
    database: Database, owner: Any, records: PostgresRecords, tenant_id: UUID
) -> None:
    bob = PostgresRecords(database, tenant_id, await begun_turn(database, tenant_id, "bob"))
    await bob.insert("seats", "bob's", SEAT, "call-1")
    assert await records.insert("seats", "first", SEAT, "") == SEAT  # by a look-up, which has no key
    assert (await erase(database, tenant_id)).rows["records"] == 1
    with pytest.raises(ToolError):
        await records.insert("seats", "second", SEAT, "call-2")
    with pytest.raises(ToolError):
        await records.move("seats", "bob's", "second", {"mail": "ann@example.com"}, "call-3")
    assert await keys(owner) == ["bob's"]
    # Who comes back is another: his old turns stay what they are.
    back = PostgresRecords(database, tenant_id, await begun_turn(database, tenant_id, "ann"))
    assert await back.insert("seats", "third", SEAT, "call-4") == SEAT
    with pytest.raises(ToolError):
        await records.insert("seats", "fourth", SEAT, "call-5")


async def test_a_write_that_has_begun_is_waited_for_and_erased(
    database: Database, owner: Any, database_url: str, records: PostgresRecords, tenant_id: UUID
) -> None:
    another = await asyncpg.connect(database_url)
    transaction = another.transaction()
    await transaction.start()
    await another.execute(
        "INSERT INTO records (tenant_id, collection, key, value, made_by) VALUES ($1, 'seats', 'one', '{}', 'another')",
        tenant_id,
    )
    try:
        async with asyncio.timeout(HANG_S), asyncio.TaskGroup() as group:
            written = group.create_task(records.insert("seats", "one", SEAT, "call-1"))
            await waiting(owner, 1)  # it has its turn, and waits for the key
            erased = group.create_task(erase(database, tenant_id))
            await waiting(owner, 2)
            await transaction.rollback()
    finally:
        await another.close()
    assert written.result() == SEAT
    assert erased.result().rows["records"] == 1
    assert await keys(owner) == []


async def test_a_write_waits_for_an_erasure_that_has_begun_and_is_refused(
    database: Database, owner: Any, database_url: str, records: PostgresRecords, tenant_id: UUID
) -> None:
    async with database.scope(tenant_id) as scope:
        await scope.execute("INSERT INTO contacts (tenant_id, external_id) VALUES ($1, 'ann')", tenant_id)
    another = await asyncpg.connect(database_url)
    transaction = another.transaction()
    await transaction.start()
    await another.execute("SELECT 1 FROM conversations FOR UPDATE")  # behind the turns in the erasure's way
    try:
        async with asyncio.timeout(HANG_S), asyncio.TaskGroup() as group:
            erased = group.create_task(erase(database, tenant_id))
            await waiting(owner, 1)
            written = group.create_task(_refused(records))
            await waiting(owner, 2)
            await transaction.rollback()
    finally:
        await another.close()
    assert written.result()
    assert (erased.result().rows["turns"], await keys(owner)) == (1, [])


async def _refused(records: PostgresRecords) -> bool:
    try:
        await records.insert("seats", "one", SEAT, "call-1")
    except ToolError:
        return True
    return False


async def test_what_his_tools_kept_is_given_out_and_erased_when_their_steps_are_long_gone(
    database: Database, owner: Any, records: PostgresRecords, tenant_id: UUID
) -> None:
    await records.insert("seats", "one", SEAT, "call-1")
    await records.insert("seats", "two", SEAT, "call-2")
    assert await records.move("seats", "two", "three", SEAT, "call-3")
    personal = PersonalData(database, Sealed(Cipher([bytes(32)])), SystemClock(), lambda: None)
    lines = [json.loads(line) async for line in personal.export(tenant_id, "ann", Actor("staff", "42"))]
    assert sorted(line["row"]["key"] for line in lines if line.get("table") == "records") == ["one", "three"]
    assert (await erase(database, tenant_id)).rows["records"] == 2
    assert await keys(owner) == []


async def test_what_a_server_before_wrote_is_found_by_the_step(database: Database, owner: Any, tenant_id: UUID) -> None:
    turn = await begun_turn(database, tenant_id, "ann")
    await owner.execute(
        "INSERT INTO steps (tenant_id, turn_id, number, agent, kind, name, status, input, key) "
        "VALUES ($1, $2, 1, '', 'tool', 'book', 'ok', ''::bytea, 'call-1')",
        tenant_id, turn,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO records (tenant_id, collection, key, value, made_by) VALUES ($1, 'seats', 'one', '{}', 'call-1')",
        tenant_id,
    )
    assert (await erase(database, tenant_id)).rows["records"] == 1

"""Records in PostgreSQL: taken once, moved in one step, safe to repeat, no other tenant's."""

import asyncio
from uuid import UUID

import pytest
from tests.turns import begun_turn

from frontdesk.db import Database
from frontdesk.tools.records import PostgresRecords


@pytest.fixture
async def records(database: Database, tenant_id: UUID) -> PostgresRecords:
    return PostgresRecords(database, tenant_id, await begun_turn(database, tenant_id))


async def test_a_key_is_given_once_and_the_same_call_may_repeat(records: PostgresRecords) -> None:
    first = await records.insert("slots", "fri/14:00", {"contact": "ana"}, "call-1")
    assert first == {"contact": "ana"}
    assert await records.insert("slots", "fri/14:00", {"contact": "bob"}, "call-2") is None
    assert await records.insert("slots", "fri/14:00", {"contact": "other words"}, "call-1") == {"contact": "ana"}
    assert await records.get("slots", "fri/14:00") == {"contact": "ana"}
    assert await records.get("rooms", "fri/14:00") is None


async def test_of_twenty_who_want_the_same_key_one_gets_it(records: PostgresRecords) -> None:
    got = await asyncio.gather(*(records.insert("slots", "one", {"n": n}, f"call-{n}") for n in range(20)))
    assert len([value for value in got if value is not None]) == 1


async def test_two_runs_of_one_call_both_get_it(records: PostgresRecords) -> None:
    got = await asyncio.gather(*(records.insert("slots", "one", {"n": 1}, "call") for _ in range(5)))
    assert got == [{"n": 1}] * 5


async def test_ranges_are_by_bytes_and_end_before_the_last(records: PostgresRecords) -> None:
    for key in ("2026-11-27/lee/09:00", "2026-11-27/Lee/10:00", "2026-11-28/lee/09:00", "2026-11-26/lee/17:00"):
        await records.insert("slots", key, {}, key)
    assert [key for key, _ in await records.range("slots", "2026-11-27", "2026-11-28")] == [
        "2026-11-27/Lee/10:00",
        "2026-11-27/lee/09:00",
    ]
    assert len(await records.range("slots", "2026", "2027", limit=2)) == 2


async def test_found_by_the_fields_of_the_value(records: PostgresRecords) -> None:
    await records.insert("slots", "b", {"contact": "ana", "doctor": "lee"}, "1")
    await records.insert("slots", "a", {"contact": "ana", "doctor": "kim"}, "2")
    await records.insert("slots", "c", {"contact": "bob", "doctor": "kim"}, "3")
    assert [key for key, _ in await records.find("slots", {"contact": "ana"})] == ["a", "b"]
    assert await records.find("slots", {"contact": "ana", "doctor": "lee"}) == [
        ("b", {"contact": "ana", "doctor": "lee"})
    ]
    assert len(await records.find("slots", {}, limit=1)) == 1


async def test_a_move_frees_the_old_key_and_may_repeat(records: PostgresRecords) -> None:
    await records.insert("slots", "old", {"v": 1}, "book")
    assert await records.move("slots", "old", "new", {"v": 2}, "move-1")
    assert await records.get("slots", "old") is None
    assert await records.get("slots", "new") == {"v": 2}
    # Someone takes what has become free; the move that is repeated after a crash leaves it alone.
    await records.insert("slots", "old", {"v": 3}, "another")
    assert await records.move("slots", "old", "new", {"v": 2}, "move-1")
    assert await records.get("slots", "old") == {"v": 3}


async def test_a_move_onto_a_taken_key_changes_nothing(records: PostgresRecords) -> None:
    await records.insert("slots", "mine", {"v": 1}, "1")
    await records.insert("slots", "theirs", {"v": 2}, "2")
    assert not await records.move("slots", "mine", "theirs", {"v": 9}, "3")
    assert await records.get("slots", "mine") == {"v": 1}
    assert await records.get("slots", "theirs") == {"v": 2}
    assert not await records.move("slots", "nothing", "free", {"v": 9}, "4")


async def test_a_move_to_the_same_key_changes_the_value(records: PostgresRecords) -> None:
    await records.insert("slots", "mine", {"v": 1}, "1")
    assert await records.move("slots", "mine", "mine", {"v": 2}, "2")
    assert await records.get("slots", "mine") == {"v": 2}


async def test_a_delete_may_repeat(records: PostgresRecords) -> None:
    await records.insert("slots", "mine", {}, "1")
    assert await records.delete("slots", "mine")
    assert not await records.delete("slots", "mine")


async def test_another_tenants_records_are_not_there(
    database: Database, records: PostgresRecords, other_tenant_id: UUID
) -> None:
    await records.insert("slots", "one", {"contact": "ana"}, "call")
    others = PostgresRecords(database, other_tenant_id, await begun_turn(database, other_tenant_id))
    assert await others.get("slots", "one") is None
    assert await others.find("slots", {"contact": "ana"}) == []
    assert not await others.delete("slots", "one")
    assert await others.insert("slots", "one", {"contact": "eve"}, "call") == {"contact": "eve"}

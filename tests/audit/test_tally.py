"""What comes in floods reaches the audit log as counts, and nobody fills the disk with it."""

import asyncio
from typing import Any  # asyncpg's connections are untyped
from uuid import UUID

import asyncpg
import pytest

from frontdesk import audit
from frontdesk.audit import chain, store
from frontdesk.audit.models import Filters
from frontdesk.core.ids import new_id
from frontdesk.core.json import loads
from frontdesk.db import Database

MOST, MOST_PER_TENANT = 100, 20

_WAITING = """
    SELECT count(*)
      FROM pg_locks AS l
      JOIN pg_database AS d ON d.oid = l.database AND d.datname = current_database()
     WHERE NOT l.granted
"""

EVE = audit.Actor("anonymous", "", "203.0.113.9")


@pytest.fixture
def refused(database: Database) -> audit.Tally:
    return audit.Tally(database, window_s=3600.0, most=MOST, most_per_tenant=MOST_PER_TENANT)


async def counts(database: Database, tenant_id: UUID) -> list[tuple[str, str, str, int]]:
    """(actor kind, address, target, count), the oldest first."""
    async with database.scope(tenant_id) as scope:
        entries = await store.entries(scope, Filters(), None, 1000)
    return [(e.actor_kind, e.address or "", e.target, loads(bytes(e.after))["count"]) for e in reversed(entries)]


async def test_the_same_refusal_is_one_entry_with_its_count(
    database: Database, tenant_id: UUID, refused: audit.Tally
) -> None:
    for n in range(500):
        refused.count(tenant_id, EVE, "access.denied", f"route/{n}")
    refused.count(None, EVE, "signin.failed", "staff/?")
    await refused.flush()
    await refused.flush()
    assert await counts(database, tenant_id) == [("anonymous", "203.0.113.9", "route/0", 500)]
    assert await counts(database, audit.DEPLOYMENT) == [("anonymous", "203.0.113.9", "staff/?", 1)]


async def test_a_flood_from_many_addresses_takes_a_bounded_number_of_entries(
    database: Database, tenant_id: UUID, other_tenant_id: UUID, refused: audit.Tally
) -> None:
    for n in range(5000):
        refused.count(tenant_id, audit.Actor("anonymous", "", f"2001:db8::{n:x}"), "access.denied", "route/1")
    refused.count(other_tenant_id, EVE, "access.denied", "route/1")
    await refused.flush()
    mine = await counts(database, tenant_id)
    assert (len(mine), sum(entry[3] for entry in mine)) == (MOST_PER_TENANT + 1, 5000)
    assert mine[-1] == ("many", "", "route/1", 5000 - MOST_PER_TENANT)
    assert await counts(database, other_tenant_id) == [
        ("anonymous", "203.0.113.9", "route/1", 1)
    ]  # it is not crowded out


async def test_a_flood_over_many_tenants_is_bounded_too(database: Database, refused: audit.Tally) -> None:
    for _ in range(3000):
        refused.count(new_id(), EVE, "access.denied", "route/1")
    assert len(refused._counts) == MOST + 1
    await refused.flush()  # none of those tenants is there
    assert await counts(database, audit.DEPLOYMENT) == [("many", "", "others", 3000 - MOST)]


async def test_what_is_counted_waits_for_the_database(
    database: Database, database_url: str, tenant_id: UUID, refused: audit.Tally
) -> None:
    owner: Any = await asyncpg.connect(database_url)
    name = await owner.fetchval("SELECT current_database()")
    for _ in range(3):
        refused.count(tenant_id, EVE, "access.denied", "route/1")
    await owner.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    await owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'frontdesk_app'")
    await refused.flush()
    refused.count(tenant_id, EVE, "access.denied", "route/1")
    await owner.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    await owner.close()
    await refused.flush()
    assert await counts(database, tenant_id) == [("anonymous", "203.0.113.9", "route/1", 4)]


async def test_who_stops_appends_what_was_counted(database: Database, tenant_id: UUID, refused: audit.Tally) -> None:
    running = asyncio.create_task(refused.run())
    await asyncio.sleep(0)
    refused.count(tenant_id, EVE, "access.denied", "route/1")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await counts(database, tenant_id) == [("anonymous", "203.0.113.9", "route/1", 1)]
    assert (await chain.verify(database, tenant_id)).number == 1


async def test_who_is_stopped_while_it_appends_loses_nothing(
    database: Database, database_url: str, tenant_id: UUID, refused: audit.Tally
) -> None:
    for n in range(3):
        refused.count(tenant_id, audit.Actor("anonymous", "", f"203.0.113.{n}"), "access.denied", "route/1")
    owner: Any = await asyncpg.connect(database_url)
    async with owner.transaction():
        await owner.execute("LOCK TABLE audit")
        flushing = asyncio.create_task(refused.flush())
        while not await owner.fetchval(_WAITING):
            await asyncio.sleep(0.01)
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
    await owner.close()
    await refused.flush()
    assert {address for _, address, _, _ in await counts(database, tenant_id)} == {f"203.0.113.{n}" for n in range(3)}

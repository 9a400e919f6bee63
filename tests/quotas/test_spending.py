"""Budgets over a real ledger: the sum, the edge, the events, and what is not known."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tests.conftest import as_application
from tests.quotas.conftest import MovedClock

from frontdesk.core.errors import BudgetUsedUp
from frontdesk.core.ids import new_id
from frontdesk.core.limits import Limits
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.events.log import PostgresLog
from frontdesk.llm.ledger import LedgerRow
from frontdesk.llm.store import insert_calls
from frontdesk.quotas import store
from frontdesk.quotas.spending import FRESH_S, KNOWN_S, Spending, seconds_left

CIPHER = Cipher([bytes(32)])


def row(usd: str | None, at: datetime, turn: UUID | None = None) -> LedgerRow:
    cost = None if usd is None else Decimal(usd)
    return LedgerRow(new_id(), turn, "agent", "smart", "openai", "m", "ok", 1, 0, 1, 0, False, cost, 1, None, at)


class Till:
    """One tenant that spends."""

    def __init__(self, database: Database, tenant_id: UUID, clock: MovedClock) -> None:
        self.database, self.tenant_id, self.clock = database, tenant_id, clock
        self.log = PostgresLog(database, CIPHER)
        self.spending = Spending(database, clock, self.log.append)

    async def spends(self, *usd: str | None, at: datetime | None = None) -> list[LedgerRow]:
        turn = new_id()
        rows = [row(each, at or self.clock.now(), turn) for each in usd]
        async with self.database.scope(self.tenant_id) as scope:
            await insert_calls(scope, rows)
        return rows

    async def refusal(self, **limits: Any) -> BudgetUsedUp | None:
        return await self.spending.refusal(self.tenant_id, Limits(**limits))

    async def refusal_later(self, **limits: Any) -> BudgetUsedUp | None:
        self.clock.move(FRESH_S)
        return await self.refusal(**limits)

    async def spent(self) -> tuple[Decimal, Decimal]:
        async with self.database.scope(self.tenant_id) as scope:
            return await store.spent(scope, self.clock.now().date())

    async def told(self) -> list[tuple[str, str]]:
        async with self.database.scope(self.tenant_id) as scope:
            rows = await scope.fetch("SELECT type, payload FROM outbox WHERE topic = 'limits' ORDER BY position")
        return [(each["type"], json.loads(CIPHER.open(self.tenant_id, each["payload"]))["period"]) for each in rows]


@pytest.fixture
async def till(database: Database, tenant_id: UUID, clock: MovedClock) -> Till:
    return Till(database, tenant_id, clock)


async def test_the_running_sum_is_the_ledgers_to_the_last_digit(till: Till, other_tenant_id: UUID) -> None:
    now = till.clock.now()
    rows = await till.spends("0.000000001", "1.5", None, "0")
    await till.spends("2.25", at=now - timedelta(days=3))
    await till.spends("100", at=now - timedelta(days=40))
    async with till.database.scope(till.tenant_id) as scope:
        await insert_calls(scope, rows)  # repeated: counted once
    async with till.database.scope(other_tenant_id) as scope:
        await insert_calls(scope, [row("7", now)])
    assert await till.spent() == (Decimal("1.500000001"), Decimal("3.750000001"))
    async with till.database.scope(till.tenant_id) as scope:
        of_ledger = await scope.fetchval("SELECT sum(cost_usd) FROM llm_calls WHERE tenant_id = $1", till.tenant_id)
        kept = await scope.fetchval("SELECT sum(usd) FROM spend WHERE tenant_id = $1", till.tenant_id)
    assert of_ledger == kept


async def test_the_budget_holds_at_its_edge(till: Till) -> None:
    await till.spends("9.999999999")
    assert await till.refusal(usd_per_day=10.0) is None
    await till.spends("0.000000001")
    refused = await till.refusal_later(usd_per_day=10.0)
    assert refused is not None and "day" in refused.detail
    assert refused.retry_after == 12 * 3600 - FRESH_S
    assert await till.refusal(usd_per_day=10.01) is None
    till.clock.at = datetime(2026, 11, 22, tzinfo=UTC)  # the next day begins
    assert await till.refusal(usd_per_day=10.0) is None
    refused = await till.refusal_later(usd_per_day=10.0, usd_per_month=10.0)
    assert refused is not None and "month" in refused.detail
    assert refused.retry_after == 9 * 86_400 - FRESH_S


async def test_nothing_may_be_spent_of_a_budget_of_nothing(till: Till) -> None:
    assert await till.refusal(usd_per_day=0.0) is not None


async def test_each_budget_is_told_of_once(till: Till, clock: MovedClock) -> None:
    budget = {"usd_per_day": 10.0, "usd_per_month": 100.0}
    await till.spends("7.99")
    await till.refusal(**budget)
    assert await till.told() == []
    await till.spends("0.01")
    for _ in range(3):
        assert await till.refusal_later(**budget) is None
    other = Spending(till.database, clock, till.log.append)  # another process
    await other.refusal(till.tenant_id, Limits(**budget))
    assert await till.told() == [("budget.warning", "2026-11-21")]
    await till.spends("72")
    for _ in range(3):
        assert await till.refusal_later(**budget) is not None
    assert await till.told() == [
        ("budget.warning", "2026-11-21"), ("budget.warning", "2026-11"), ("budget.used_up", "2026-11-21"),
    ]  # fmt: skip


async def test_who_has_no_budget_asks_nobody(till: Till) -> None:
    await till.database.close()
    assert await till.refusal() is None


@pytest.fixture
async def own_database(database_url: str) -> AsyncIterator[Database]:
    database = await Database.connect(as_application(database_url), max_connections=3)
    yield database
    await database.close()


async def test_what_is_not_known_is_not_spent(own_database: Database, tenant_id: UUID, clock: MovedClock) -> None:
    till = Till(own_database, tenant_id, clock)
    await till.spends("1")
    assert await till.refusal(usd_per_day=10.0) is None
    await own_database.close()
    assert await till.refusal_later(usd_per_day=10.0) is None  # known until a moment ago
    clock.move(KNOWN_S)
    refused = await till.refusal(usd_per_day=10.0)
    assert refused is not None and "can't be known" in refused.detail


async def test_turns_that_end_together_add_up(till: Till) -> None:
    await asyncio.gather(*(till.spends("0.01", "0.02") for _ in range(60)))
    assert (await till.spent())[0] == Decimal("1.80")


@pytest.mark.parametrize(
    ("period", "now", "left_s"),
    [
        ("day", datetime(2026, 11, 21, 23, 59, 30, tzinfo=UTC), 30),
        ("day", datetime(2026, 12, 31, tzinfo=UTC), 86_400),
        ("month", datetime(2026, 12, 31, 23, 0, tzinfo=UTC), 3600),
        ("month", datetime(2028, 2, 1, tzinfo=UTC), 29 * 86_400),
    ],
)
def test_a_period_ends_when_the_next_begins(period: str, now: datetime, left_s: float) -> None:
    assert seconds_left(period, now) == left_s


async def test_the_check_reads_by_the_key(database_url: str, till: Till) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute("SET enable_seqscan = off")
    plan = await owner.fetch(
        "EXPLAIN SELECT sum(usd) FROM spend WHERE tenant_id = $1 AND day BETWEEN '2026-11-01' AND '2026-11-21'",
        till.tenant_id,
    )
    await owner.close()
    assert any("spend_pkey" in line[0] for line in plan)

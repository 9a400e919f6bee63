"""Budgets: how much a tenant has spent on models, and whether it may spend more. The ledger is the truth."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any  # an event's payload is JSON
from uuid import UUID

import msgspec
import structlog
from cachetools import LRUCache

from frontdesk.core.clock import Clock
from frontdesk.core.errors import BudgetUsedUp, DatabaseUnavailable
from frontdesk.core.limits import Limits
from frontdesk.db import Database, TenantScope
from frontdesk.quotas import store

# What was read is good for so long: what is spent meanwhile, and by calls that have not ended, is beyond the budget.
FRESH_S = 2.0
# Without the database a reading may be used so long: after that it is not known what was spent, and nothing more is.
KNOWN_S = 30.0
RETRY_S = 5.0
WARN_AT = 0.8
_TENANTS = 10_000

log = structlog.get_logger()

# Adds an event to the transaction: topic, key, type, payload.
Append = Callable[[TenantScope, str, str, str, dict[str, Any]], Awaitable[Any]]


class Reading(msgspec.Struct, frozen=True):
    """USD spent today and this month, as read at a moment."""

    at_s: float
    moment: datetime
    today: Decimal
    month: Decimal


class Spending:
    """Answers before each call that costs money. Tenants without a budget cost nothing here."""

    def __init__(self, db: Database, clock: Clock, append: Append) -> None:
        self._db = db
        self._clock = clock
        self._append = append
        self._readings: LRUCache[UUID, Reading] = LRUCache(_TENANTS)
        self._reading: LRUCache[UUID, asyncio.Lock] = LRUCache(_TENANTS)

    async def refusal(self, tenant_id: UUID, limits: Limits) -> BudgetUsedUp | None:
        """Why nothing more may be spent now, None where it may."""
        if not limits.has_budget:
            return None
        reading = await self._read(tenant_id, limits)
        if reading is None:
            return BudgetUsedUp("What was spent can't be known at this moment.", retry_after=RETRY_S)
        for name, spent, most in _budgets(reading, limits):
            if spent >= most:
                detail = f"This {name}'s budget for language models is used up."
                return BudgetUsedUp(detail, retry_after=seconds_left(name, self._clock.now()))
        return None

    def forget(self, tenant_id: UUID) -> None:
        self._readings.pop(tenant_id, None)
        self._reading.pop(tenant_id, None)

    async def _read(self, tenant_id: UUID, limits: Limits) -> Reading | None:
        known = self._readings.get(tenant_id)
        if known is not None and self._is_within(known, FRESH_S):
            return known
        lock = self._reading.get(tenant_id)
        if lock is None:
            lock = self._reading[tenant_id] = asyncio.Lock()
        async with lock:  # one reads for all who wait
            known = self._readings.get(tenant_id)
            if known is not None and self._is_within(known, FRESH_S):
                return known
            moment, at_s = self._clock.now().astimezone(UTC), self._clock.monotonic()
            try:
                async with self._db.scope(tenant_id) as scope:
                    today, month = await store.spent(scope, moment.date())
                reading = Reading(at_s, moment, today, month)
                await self._tell(tenant_id, reading, limits)
            except DatabaseUnavailable:
                log.warning("spending.unknown", tenant_id=str(tenant_id))
                return known if known is not None and self._is_within(known, KNOWN_S) else None
            self._readings[tenant_id] = reading
            return reading

    def _is_within(self, reading: Reading, seconds: float) -> bool:
        is_recent = self._clock.monotonic() - reading.at_s < seconds
        return is_recent and self._clock.now().astimezone(UTC).date() == reading.moment.date()

    async def _tell(self, tenant_id: UUID, reading: Reading, limits: Limits) -> None:
        """Once for each budget's day or month: that it is nearly used up, and that it is."""
        for name, spent, most in _budgets(reading, limits):
            for state, at in (
                ("budget.warning", most * Decimal(str(limits.warn_at or WARN_AT))),
                ("budget.used_up", most),
            ):
                if spent < at:
                    continue
                period = f"{reading.moment:%Y-%m-%d}" if name == "day" else f"{reading.moment:%Y-%m}"
                async with self._db.scope(tenant_id) as scope:
                    if await store.is_told(scope, period, state):
                        continue
                try:
                    async with self._db.scope(tenant_id) as scope:
                        payload = {"period": period, "spent_usd": str(spent), "budget_usd": str(most)}
                        await self._append(scope, "limits", str(tenant_id), state, payload)
                        if not await store.mark_told(scope, period, state):
                            raise _ToldByAnother
                except _ToldByAnother:
                    continue
                log.warning(state, tenant_id=str(tenant_id), period=period, spent_usd=str(spent), budget_usd=str(most))


class _ToldByAnother(Exception):
    """Another process was first: its event stands."""


def seconds_left(period: str, now: datetime) -> float:
    """Until the next day or month of UTC begins."""
    now = now.astimezone(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    following = midnight + timedelta(days=1)
    if period == "month":
        following = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    return (following - now).total_seconds()


def _budgets(reading: Reading, limits: Limits) -> list[tuple[str, Decimal, Decimal]]:
    """(period, spent, budget) of those that there are; the month first, which lasts longer."""
    found = []
    if limits.usd_per_month is not None:
        found.append(("month", reading.month, Decimal(str(limits.usd_per_month))))
    if limits.usd_per_day is not None:
        found.append(("day", reading.today, Decimal(str(limits.usd_per_day))))
    return found

"""The one loop that all consumers share: order, retries, dead letters, positions, counts."""

import asyncio
from time import monotonic
from typing import Any, Protocol  # what a consumer derives is its own type
from uuid import UUID

import asyncpg
import structlog

from frontdesk.core.errors import DatabaseUnavailable
from frontdesk.db import Database, TenantScope
from frontdesk.events.log import PostgresLog, move_in, put_dead_letter
from frontdesk.events.models import Event, Position
from frontdesk.events.wakeups import Bell
from frontdesk.telemetry.metrics import Metrics

BATCH = 200
POLL_S = 5.0
LEASE_S = 30.0
TRIES = 3
RETRY_S = 0.2
# What is written within this time is read at once: a reader is no part of a turn, it must not slow it down.
COALESCE_S = 0.25

log = structlog.get_logger()


class Consumer(Protocol):
    """One kind of effect of events. `derive` is the slow half, without a connection; `apply` the durable half."""

    @property
    def group(self) -> str: ...

    @property
    def topics(self) -> tuple[str, ...]: ...

    async def derive(self, event: Event) -> Any:
        """None when the event has no effect: nothing is written for it."""
        ...

    async def apply(self, scope: TenantScope, event: Event, derived: Any) -> None:
        """In the transaction that moves the group's position: both happen or neither."""
        ...


class Lost(Exception):
    """Another worker has taken the group."""


class ConsumerLoop:
    """Runs one consumer in this process whenever no other process does."""

    def __init__(
        self, consumer: Consumer, db: Database, events: PostgresLog, bell: Bell, worker: UUID, metrics: Metrics
    ) -> None:
        self._consumer = consumer
        self._db = db
        self._events = events
        self._bell = bell
        self._worker = worker
        self._metrics = metrics
        # Where we are, as long as the group is ours; beyond the stored position by events that had no effect.
        self._position: Position | None = None
        self._renew_at = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            seen = self._bell.count
            try:
                caught_up = await self._read_batch()
            except DatabaseUnavailable as error:
                self._position = None
                await asyncio.sleep(error.retry_after or 1.0)
                continue
            except Lost:
                self._position, caught_up = None, True
            if caught_up:
                await self._bell.wait(seen, POLL_S)
                await asyncio.sleep(COALESCE_S)

    async def _read_batch(self) -> bool:
        """Handles the next events; True when there is nothing more, or the group is another worker's."""
        position = await self._ours()
        if position is None:
            return True
        batch = await self._events.after(position, self._consumer.topics, BATCH)
        for position, event in batch:
            if event is not None:
                await self._handle(position, event)
            self._position = position
        return len(batch) < BATCH

    async def _ours(self) -> Position | None:
        """Keeps the lease, and the position with it, some times a minute instead of with every event."""
        if self._position is not None and monotonic() < self._renew_at:
            return self._position
        if self._position is not None:
            if not await self._events.move(self._consumer.group, self._worker, self._position, LEASE_S):
                raise Lost
        else:
            self._position = await self._events.claim(self._consumer.group, self._worker, LEASE_S)
        self._renew_at = monotonic() + LEASE_S / 3
        return self._position

    async def _handle(self, position: Position, event: Event) -> None:
        """Bounded tries, then the dead letters: one bad event holds nobody up."""
        group = self._consumer.group
        for attempt in range(1, TRIES + 1):
            try:
                derived = await self._consumer.derive(event)
                if derived is None:
                    return
                async with self._db.scope(event.tenant_id) as scope:
                    if not await move_in(scope, group, self._worker, position, LEASE_S):
                        raise Lost
                    await self._consumer.apply(scope, event, derived)
                self._metrics.events_read.labels(group, "applied").inc()
                return
            except Lost:
                raise
            except Exception as error:  # the edge: whatever a consumer raises must not stop the log
                cause = error.__cause__ if isinstance(error, DatabaseUnavailable) else error
                # A statement that took too long is the event's fault: without an end it would hold everybody up.
                if isinstance(error, DatabaseUnavailable) and not isinstance(cause, asyncpg.QueryCanceledError):
                    raise
                failure = type(cause).__name__
                log.warning(
                    "consumer.failed",
                    consumer=group,
                    tenant_id=str(event.tenant_id),
                    event_id=str(event.event_id),
                    error=failure,
                    attempt=attempt,
                )
                await asyncio.sleep(RETRY_S * attempt)
        async with self._db.scope(event.tenant_id) as scope:
            if not await move_in(scope, group, self._worker, position, LEASE_S):
                raise Lost
            await put_dead_letter(scope, group, event, failure)
        self._metrics.events_read.labels(group, "dead_letter").inc()

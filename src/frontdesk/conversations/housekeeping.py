"""What is done now and then: sessions whose time is over expire, what was kept long enough is removed."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import structlog

from frontdesk.agents.models import TenantSettings
from frontdesk.conversations.retention import Retention
from frontdesk.conversations.store import ConversationStore
from frontdesk.core.errors import DatabaseUnavailable
from frontdesk.events.log import PostgresLog
from frontdesk.events.wakeups import Wakeups

AT_ONCE = 200
EVENTS_AT_ONCE = 5000
RARELY = 30  # rounds between two looks at what is kept for days
DEFAULT_TTL_S = TenantSettings().session_ttl_s

log = structlog.get_logger()


class Housekeeping:
    """Every server runs it; what one has done the others find done."""

    def __init__(
        self,
        store: ConversationStore,
        events: PostgresLog,
        wakeups: Wakeups,
        retention: Retention,
        *,
        every_s: float,
        events_days: float,
    ) -> None:
        self._store = store
        self._events = events
        self._wakeups = wakeups
        self._retention = retention
        self._every_s = every_s
        self._events_days = events_days

    async def run(self) -> None:
        """Until cancelled."""
        rounds = count()
        while True:
            await self._do("expired", self.expire_sessions)
            await self._do("conversations_removed", self._retention.remove_conversations)
            await self._do("events_removed", self.remove_events)
            if next(rounds) % RARELY == 0:
                await self._do("records_removed", self._retention.remove_records)
                await self._do("tenants_events_removed", self._retention.remove_events)
            await asyncio.sleep(self._every_s)

    async def _do(self, what: str, work: Callable[[], Awaitable[int]]) -> None:
        """One kind of work: what goes wrong with it must not keep the others from being done."""
        try:
            if done := await work():
                log.info("housekeeping.done", **{what: done})
        except DatabaseUnavailable:
            log.warning("housekeeping.postponed", work=what)
        except Exception as error:  # noqa: BLE001 - the edge: the next round tries again
            log.error("housekeeping.failed", work=what, error=type(error).__name__)

    async def expire_sessions(self) -> int:
        """How many. All that are due, in portions."""
        expired = 0
        while True:
            idle = await self._store.idle(DEFAULT_TTL_S, AT_ONCE)
            done = 0
            for tenant_id, conversation_id, ttl_s in idle:
                done += await self._store.expire(tenant_id, conversation_id, ttl_s)
            expired += done
            if done:
                self._wakeups.wake()
            if not done or len(idle) < AT_ONCE:
                return expired

    async def remove_events(self) -> int:
        """How many. All that are old and read by everybody, in portions."""
        removed = 0
        while True:
            done = await self._events.prune(self._events_days, EVENTS_AT_ONCE)
            removed += done
            if done < EVENTS_AT_ONCE:
                return removed

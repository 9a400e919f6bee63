"""What is done now and then: sessions whose time is over expire, events that everybody has read are removed."""

import asyncio

import structlog

from frontdesk.agents.definitions import DefinitionsCache
from frontdesk.agents.models import TenantSettings
from frontdesk.conversations.store import ConversationStore
from frontdesk.core.errors import DatabaseUnavailable, TenantNotFound
from frontdesk.events.log import PostgresLog
from frontdesk.events.wakeups import Wakeups

AT_ONCE = 200
DEFAULT_TTL_S = TenantSettings().session_ttl_s

log = structlog.get_logger()


class Housekeeping:
    """Every server runs it; what one has done the others find done."""

    def __init__(
        self,
        store: ConversationStore,
        definitions: DefinitionsCache,
        events: PostgresLog,
        wakeups: Wakeups,
        *,
        every_s: float,
        events_days: float,
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._events = events
        self._wakeups = wakeups
        self._every_s = every_s
        self._events_days = events_days

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                expired = await self.expire_sessions()
                pruned = await self._events.prune(self._events_days)
                if expired or pruned:
                    log.info("housekeeping.done", expired=expired, events_removed=pruned)
            except DatabaseUnavailable:
                log.warning("housekeeping.postponed")
            await asyncio.sleep(self._every_s)

    async def expire_sessions(self) -> int:
        """How many. All that are due, in portions."""
        expired = 0
        while True:
            idle = await self._store.idle(DEFAULT_TTL_S, AT_ONCE)
            done = 0
            for tenant_id, conversation_id in idle:
                try:
                    settings = (await self._definitions.at(tenant_id, 0)).tenant.settings
                except TenantNotFound:
                    continue
                done += await self._store.expire(tenant_id, conversation_id, settings.session_ttl_s)
            expired += done
            if done:
                self._wakeups.wake()
            if not done or len(idle) < AT_ONCE:
                return expired

"""What comes in floods, refusals and uses of keys: counted in memory, appended once a window, so that no disk fills."""

import asyncio
from uuid import UUID

import asyncpg
import structlog

from frontdesk.audit.models import DEPLOYMENT, Actor
from frontdesk.audit.store import append
from frontdesk.core.errors import DatabaseUnavailable
from frontdesk.db import Database

log = structlog.get_logger()

LONGEST_WINDOW_S = 3600.0  # while more come than are told apart
_OTHERS = Actor("many", "others")

Key = tuple[UUID, Actor, str]


class Tally:
    """One entry per actor with address, action and window, with how often it came. A killed process loses a window."""

    def __init__(self, db: Database, *, window_s: float = 60.0, most: int = 100, most_per_tenant: int = 20) -> None:
        """`most`: told apart in a window, of all tenants and of one; the others are counted together."""
        self._db = db
        self._window_s = window_s
        self._most = most
        self._most_per_tenant = most_per_tenant
        self._counts: dict[Key, tuple[int, str]] = {}  # with the first target
        self._per_tenant: dict[UUID, int] = {}

    def count(self, tenant_id: UUID | None, actor: Actor, action: str, target: str) -> None:
        """Notes that it happened once; None for a tenant when it is of none. Never waits, never fails."""
        chain = DEPLOYMENT if tenant_id is None else tenant_id
        key, others = (chain, actor, action), (chain, _OTHERS, action)
        has_room = len(self._counts) < self._most
        if key in self._counts or (has_room and self._per_tenant.get(chain, 0) < self._most_per_tenant):
            self._add(key, target)
        elif others in self._counts or has_room:
            self._add(others, target)
        else:
            self._add((DEPLOYMENT, _OTHERS, action), "others")  # actions are a closed set

    async def run(self) -> None:
        """Appends what was counted, window by window, until cancelled; then once more."""
        window_s = self._window_s
        try:
            while True:
                await asyncio.sleep(window_s)
                is_flooded = len(self._counts) >= self._most
                await self.flush()
                window_s = max(min(window_s * 2, LONGEST_WINDOW_S), window_s) if is_flooded else self._window_s
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Appends what was counted. While the database is away it stays counted, as when this is cancelled."""
        counts, self._counts, self._per_tenant = self._counts, {}, {}
        try:
            for key in tuple(counts):
                await self._append(key, *counts[key])
                del counts[key]
        except (DatabaseUnavailable, asyncio.CancelledError) as error:
            for key, (count, target) in counts.items():
                self._add(key, target, count)
            if isinstance(error, asyncio.CancelledError):
                raise

    async def _append(self, key: Key, count: int, target: str) -> None:
        chain, actor, action = key
        try:
            async with self._db.scope(chain) as scope:
                await append(scope, actor, action, target, after={"count": count})
        except asyncpg.ForeignKeyViolationError:
            log.info("audit.tally_dropped", count=count)  # their tenant was deleted meanwhile

    def _add(self, key: Key, target: str, count: int = 1) -> None:
        if key not in self._counts:
            self._per_tenant[key[0]] = self._per_tenant.get(key[0], 0) + 1
        so_far, first_target = self._counts.get(key, (0, target))
        self._counts[key] = so_far + count, first_target

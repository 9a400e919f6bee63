"""Reads that may lag behind: from a replica while it answers, else from the database itself. Never for a turn."""

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar
from uuid import UUID

import asyncpg
import structlog

from frontdesk.core.errors import DatabaseUnavailable
from frontdesk.db.database import Database, TenantScope

Found = TypeVar("Found")

# A replica that was away is left alone for so long: who reads a list must not wait for it each time.
LEFT_ALONE_S = 10.0

# It is there, but not as far as this program needs: a migration has not arrived, or replaying had to go before reading.
_BEHIND = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidAuthorizationSpecificationError,  # nor has the role
    asyncpg.SerializationError,
)

log = structlog.get_logger()


class Reads:
    """`read` by a function of a scope that only reads: it may be called twice."""

    def __init__(self, primary: Database, replica: Database | None, count: Callable[[str], None]) -> None:
        """`count` is told of each read's source: replica, primary (there is no replica), or fallback (it is away)."""
        self._primary = primary
        self._replica = replica
        self._count = count
        self._alone_until = 0.0

    async def read(self, tenant_id: UUID, work: Callable[[TenantScope], Awaitable[Found]]) -> Found:
        """Raises DatabaseUnavailable when neither answers, and what `work` raises."""
        if self._replica is not None and monotonic() >= self._alone_until:
            try:
                async with self._replica.scope(tenant_id) as scope:
                    found = await work(scope)
            except (DatabaseUnavailable, *_BEHIND) as error:
                self._alone_until = monotonic() + LEFT_ALONE_S
                log.warning("replica.left_alone", error=type(error).__name__, for_s=LEFT_ALONE_S)
            else:
                self._count("replica")
                return found
        self._count("primary" if self._replica is None else "fallback")
        async with self._primary.scope(tenant_id) as scope:
            return await work(scope)

    async def lag_s(self) -> float | None:
        """How far the replica is behind; None without one. Raises DatabaseUnavailable."""
        if self._replica is None:
            return None
        [row] = await self._replica.call(_LAG)
        return float(row["lag_s"] or 0.0)


# One that has replayed all that it received is not behind, however long ago that was.
_LAG = """
    SELECT CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
                ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END AS lag_s
"""

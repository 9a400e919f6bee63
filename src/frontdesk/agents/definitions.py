"""Definitions in memory, at the version that a turn is accepted with."""

import asyncio
from uuid import UUID

import msgspec
from cachetools import LRUCache

from frontdesk.agents import store
from frontdesk.agents.models import Definitions, permitted
from frontdesk.core.limits import Limits
from frontdesk.db import Database
from frontdesk.telemetry.metrics import Metrics

# Of definitions as JSON: some thousand small tenants, some hundred with a thousand examples. In memory four times that.
_CACHED_BYTES = 32 * 2**20
_LOADING = 4096


class DefinitionsCache:
    """One `Definitions` per tenant and version, of what is permitted.

    A new version is loaded once, however many turns wait for it.
    """

    def __init__(self, database: Database, metrics: Metrics, limits: Limits) -> None:
        """`limits`: of tenants that have none of their own."""
        self._database = database
        self._limits = limits
        self._hits = metrics.cache.labels("definitions", "hit")
        self._misses = metrics.cache.labels("definitions", "miss")
        self._kept: LRUCache[UUID, Definitions] = LRUCache(_CACHED_BYTES, _size)
        self._loading: LRUCache[UUID, asyncio.Lock] = LRUCache(_LOADING)

    async def at(self, tenant_id: UUID, version: int) -> Definitions:
        """The tenant's definitions at `version` or a later one. Raises TenantNotFound."""
        kept = self._kept.get(tenant_id)
        if kept is not None and kept.tenant.version >= version:
            self._hits.inc()
            return kept
        lock = self._loading.get(tenant_id)
        if lock is None:
            lock = self._loading[tenant_id] = asyncio.Lock()
        async with lock:
            kept = self._kept.get(tenant_id)
            if kept is None or kept.tenant.version < version:
                self._misses.inc()
                kept = self._kept[tenant_id] = await self._loaded(tenant_id)
        return kept

    def forget(self, tenant_id: UUID) -> None:
        self._kept.pop(tenant_id, None)

    async def _loaded(self, tenant_id: UUID) -> Definitions:
        async with self._database.scope(tenant_id) as scope:
            definitions = permitted(await store.load_definitions(scope))
        settings = definitions.tenant.settings
        settings = msgspec.structs.replace(settings, limits=settings.limits.over(self._limits))
        tenant = msgspec.structs.replace(definitions.tenant, settings=settings)
        return msgspec.structs.replace(definitions, tenant=tenant)


def _size(definitions: Definitions) -> int:
    return min(len(msgspec.json.encode(definitions)), _CACHED_BYTES)

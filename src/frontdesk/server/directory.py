"""Finding the tenant that a request names, without asking the database each time."""

import msgspec
from cachetools import TTLCache

from frontdesk.agents.definitions import DefinitionsCache
from frontdesk.agents.models import Tenant
from frontdesk.core.errors import TenantNotFound
from frontdesk.db import Database
from frontdesk.tenants.store import State, tenant_named

# How long a change of a tenant's settings or state may take to reach the door. What a turn does is exact: accept reads
# the version with the message.
FRESH_S = 2.0


class TenantDirectory:
    """Tenants by slug or id."""

    def __init__(self, db: Database, definitions: DefinitionsCache, default: str) -> None:
        """`default`: the slug that the short routes serve; empty for none."""
        self._db = db
        self._definitions = definitions
        self._default = default
        self._fresh: TTLCache[str, Tenant] = TTLCache(1000, FRESH_S)

    async def named(self, slug_or_id: str) -> Tenant:
        """Raises TenantNotFound, also for one that is being deleted. One that is suspended is found."""
        found = self._fresh.get(slug_or_id)
        if found is None:
            row = (
                await tenant_named(self._db, slug_or_id)
                if len(slug_or_id) <= 100 and "\x00" not in slug_or_id
                else None
            )
            if row is None or row.state is State.DELETING:
                raise TenantNotFound(f"There is no tenant {slug_or_id[:100]!r}.")
            tenant = (await self._definitions.at(row.id, row.version)).tenant
            found = msgspec.structs.replace(tenant, is_suspended=row.state is State.SUSPENDED)
            self._fresh[slug_or_id] = found
        return found

    async def default(self) -> Tenant:
        """Raises TenantNotFound."""
        if not self._default:
            raise TenantNotFound("There is no default tenant. Use /api/{tenant}/… or set FRONTDESK_EXAMPLE.")
        return await self.named(self._default)

"""Finding the tenant that a request names, without asking the database each time."""

from collections.abc import Iterable, Mapping
from uuid import UUID

import msgspec

from frontdesk.agents.definitions import DefinitionsCache
from frontdesk.agents.models import Tenant
from frontdesk.core.clock import Clock
from frontdesk.core.errors import TenantNotFound
from frontdesk.core.rechecked import Rechecked
from frontdesk.db import Database
from frontdesk.tenants.store import State, tenant_named, tenants_changed

# How long a change of a tenant's settings or state may take to reach the door. What a turn does is exact: accept reads
# the version with the message.
FRESH_S = 2.0
_TENANTS = 10_000


class _Known(msgspec.Struct, frozen=True):
    version: int  # under which its state was read: what is defined may be newer
    tenant: Tenant


class TenantDirectory:
    """Tenants by slug or id."""

    def __init__(self, db: Database, definitions: DefinitionsCache, clock: Clock, default: str) -> None:
        """`default`: the slug that the short routes serve; empty for none."""
        self._db = db
        self._definitions = definitions
        self._default = default
        self._known: Rechecked[str, _Known] = Rechecked(_TENANTS, FRESH_S, clock, self._changed)

    async def named(self, slug_or_id: str) -> Tenant:
        """Raises TenantNotFound, also for one that is being deleted. One that is suspended is found."""
        known = await self._known.get(slug_or_id)
        if known is not None:
            return known.tenant
        row = await tenant_named(self._db, slug_or_id) if len(slug_or_id) <= 100 and "\x00" not in slug_or_id else None
        if row is None or row.state is State.DELETING:
            raise TenantNotFound(f"There is no tenant {slug_or_id[:100]!r}.")
        tenant = (await self._definitions.at(row.id, row.version)).tenant
        found = msgspec.structs.replace(tenant, is_suspended=row.state is State.SUSPENDED)
        self._known.put(slug_or_id, _Known(row.version, found))
        return found

    async def default(self) -> Tenant:
        """Raises TenantNotFound."""
        if not self._default:
            raise TenantNotFound("There is no default tenant. Use /api/{tenant}/… or set FRONTDESK_EXAMPLE.")
        return await self.named(self._default)

    async def _changed(self, known: Mapping[str, _Known]) -> Iterable[str]:
        versions: dict[UUID, int] = {}
        for each in known.values():  # a tenant asked for by slug and by id may be known twice
            versions[each.tenant.id] = min(each.version, versions.get(each.tenant.id, each.version))
        changed = await tenants_changed(self._db, versions)
        return [name for name, each in known.items() if each.tenant.id in changed]

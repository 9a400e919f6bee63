"""Reading a tenant's log, page by page."""

from uuid import UUID

from frontdesk.audit import store
from frontdesk.audit.models import Entry, Filters
from frontdesk.db import Database


class AuditLog:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def listed(self, tenant_id: UUID, filters: Filters, below: int | None, limit: int) -> list[Entry]:
        """The newest first, those numbered below `below`, at most `limit`."""
        async with self._db.scope(tenant_id) as scope:
            return await store.entries(scope, filters, below, limit)

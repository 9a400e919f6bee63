"""PostgreSQL: the embedded server, the pool, and the tenant scope, the only way to a connection."""

from frontdesk.db.database import Database, TenantScope

__all__ = ["Database", "TenantScope"]

"""A tenant's fitted classifier in PostgreSQL."""

from frontdesk.db import TenantScope


async def put_classifier(scope: TenantScope, fingerprint: str, body: bytes) -> None:
    """In place of the one before."""
    query = """
        INSERT INTO classifiers (tenant_id, fingerprint, body)
        VALUES ($1, $2, $3)
            ON CONFLICT (tenant_id) DO UPDATE
           SET fingerprint = excluded.fingerprint,
               body = excluded.body,
               created_at = now()
    """
    await scope.execute(query, scope.tenant_id, fingerprint, body)


async def classifier(scope: TenantScope) -> tuple[str, bytes] | None:
    """(fingerprint, body); None when none was fitted yet."""
    query = """
        SELECT fingerprint, body
          FROM classifiers
         WHERE tenant_id = $1
    """
    row = await scope.fetchrow(query, scope.tenant_id)
    return (row["fingerprint"], row["body"]) if row is not None else None


async def classifier_fingerprint(scope: TenantScope) -> str | None:
    """Whether it fits the examples still is known by this alone."""
    query = """
        SELECT fingerprint
          FROM classifiers
         WHERE tenant_id = $1
    """
    found: str | None = await scope.fetchval(query, scope.tenant_id)
    return found

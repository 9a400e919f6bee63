"""Tenants' classifiers in PostgreSQL: one each, with the fingerprint of what it was fitted from."""

from frontdesk.db import TenantScope


async def classifier(scope: TenantScope) -> tuple[str, bytes] | None:
    """(fingerprint, packed classifier); None when the tenant has none."""
    query = """
        SELECT fingerprint, body
          FROM classifiers
         WHERE tenant_id = $1
    """
    row = await scope.fetchrow(query, scope.tenant_id)
    return (row["fingerprint"], row["body"]) if row else None


async def put_classifier(scope: TenantScope, fingerprint: str, body: bytes) -> None:
    """In the place of the one before."""
    query = """
        INSERT INTO classifiers (tenant_id, fingerprint, body)
        VALUES ($1, $2, $3)
            ON CONFLICT (tenant_id)
            DO UPDATE SET fingerprint = EXCLUDED.fingerprint,
                          body = EXCLUDED.body,
                          created_at = now()
    """
    await scope.execute(query, scope.tenant_id, fingerprint, body)

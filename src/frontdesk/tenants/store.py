"""Tenants and their secrets in PostgreSQL.

Finding a tenant comes before its scope, so `tenant_named` and `tenants_listed` go through functions of
`tenants.sql`, the only reads across tenants.
"""

from typing import Any  # settings are JSON until the caller has parsed them
from uuid import UUID

import msgspec

from frontdesk.core.json import dumps_text, loads
from frontdesk.db import Database, TenantScope


class TenantRow(msgspec.Struct, frozen=True):
    """A tenant as it is stored; `settings` is JSON (its type stands on a higher floor)."""

    id: UUID
    slug: str
    name: str
    version: int
    settings: dict[str, Any]


class TenantName(msgspec.Struct, frozen=True):
    id: UUID
    slug: str
    name: str


async def tenant_named(db: Database, slug_or_id: str) -> TenantRow | None:
    rows = await db.call("SELECT id, slug, name, version, settings FROM tenant_named($1)", slug_or_id)
    return _tenant(rows[0]) if rows else None


async def tenants_listed(db: Database, after: str = "", limit: int = 50) -> list[TenantName]:
    """Tenants by slug, those after `after`, at most `limit`."""
    rows = await db.call("SELECT id, slug, name FROM tenants_listed($1, $2)", after, limit)
    return [TenantName(row["id"], row["slug"], row["name"]) for row in rows]


async def create_tenant(scope: TenantScope, slug: str, name: str, settings: dict[str, Any]) -> bool:
    """Creates the scope's tenant at version 1. False when the slug is another's."""
    query = """
           INSERT INTO tenants (id, slug, name, settings)
           VALUES ($1, $2, $3, $4)
      ON CONFLICT DO NOTHING
        RETURNING id
    """
    return await scope.fetchval(query, scope.tenant_id, slug, name, dumps_text(settings)) is not None


async def lock_tenant(scope: TenantScope) -> TenantRow | None:
    """The scope's tenant, held until the transaction ends, so that two changes of its definitions take turns."""
    query = """
        SELECT id, slug, name, version, settings
          FROM tenants
         WHERE id = $1
           FOR UPDATE
    """
    row = await scope.fetchrow(query, scope.tenant_id)
    return _tenant(row) if row is not None else None


async def update_tenant(scope: TenantScope, name: str, settings: dict[str, Any]) -> None:
    query = """
        UPDATE tenants
           SET name = $2, settings = $3
         WHERE id = $1
    """
    await scope.execute(query, scope.tenant_id, name, dumps_text(settings))


async def secrets(scope: TenantScope, limit: int = 1000) -> dict[str, bytes]:
    """Name -> value, still encrypted."""
    query = """
        SELECT name, value
          FROM secrets
         WHERE tenant_id = $1
         ORDER BY name
         LIMIT $2
    """
    rows = await scope.fetch(query, scope.tenant_id, limit)
    return {row["name"]: row["value"] for row in rows}


async def put_secret(scope: TenantScope, name: str, encrypted: bytes) -> None:
    query = """
           INSERT INTO secrets (tenant_id, name, value)
           VALUES ($1, $2, $3)
      ON CONFLICT (tenant_id, name)
        DO UPDATE SET value = EXCLUDED.value, updated_at = now()
    """
    await scope.execute(query, scope.tenant_id, name, encrypted)


async def delete_secret(scope: TenantScope, name: str) -> None:
    query = """
        DELETE FROM secrets
         WHERE tenant_id = $1
           AND name = $2
    """
    await scope.execute(query, scope.tenant_id, name)


def _tenant(row: Any) -> TenantRow:
    return TenantRow(row["id"], row["slug"], row["name"], row["version"], loads(row["settings"]))

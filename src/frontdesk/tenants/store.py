"""Tenants and their secrets in PostgreSQL.

Finding a tenant comes before its scope, so `tenant_named`, `tenants_changed` and `tenants_listed` go through functions
of `tenants.sql`, the only reads across tenants.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any  # settings are JSON until the caller has parsed them
from uuid import UUID

import msgspec

from frontdesk.core.json import dumps_text, loads
from frontdesk.db import Database, TenantScope


class State(StrEnum):
    """Of a tenant. From `deleting` there is no way back; `deleted` holds nothing but the id, against late writers."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETING = "deleting"
    DELETED = "deleted"


class TenantRow(msgspec.Struct, frozen=True):
    """A tenant as it is stored; `settings` is JSON (its type stands on a higher floor)."""

    id: UUID
    slug: str
    name: str
    version: int
    settings: dict[str, Any]
    state: State
    created_at: datetime


class TenantName(msgspec.Struct, frozen=True):
    id: UUID
    slug: str
    name: str
    state: State
    created_at: datetime


async def tenant_named(db: Database, slug_or_id: str) -> TenantRow | None:
    """Whatever its state, but for those that are deleted."""
    query = "SELECT id, slug, name, version, settings, state, created_at FROM tenant_named($1)"
    rows = await db.call(query, slug_or_id)
    return _tenant(rows[0]) if rows else None


async def tenants_changed(db: Database, versions: Mapping[UUID, int]) -> set[UUID]:
    """Of tenants at these versions, those that are at another by now, or gone."""
    rows = await db.call("SELECT id FROM tenants_changed($1, $2)", list(versions), list(versions.values()))
    return {row["id"] for row in rows}


async def tenants_listed(db: Database, after: str = "", limit: int = 50) -> list[TenantName]:
    """Tenants by slug, those after `after`, at most `limit`."""
    rows = await db.call("SELECT id, slug, name, state, created_at FROM tenants_listed($1, $2)", after, limit)
    return [TenantName(row["id"], row["slug"], row["name"], State(row["state"]), row["created_at"]) for row in rows]


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
        SELECT id, slug, name, version, settings, state, created_at
          FROM tenants
         WHERE id = $1
           AND state <> 'deleted'
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


async def change_state(scope: TenantScope, state: State) -> None:
    """With a new version, so that every cache that rests on the tenant is read anew. The caller holds the row."""
    query = """
        UPDATE tenants
           SET state = $2, state_since = now(), version = version + 1
         WHERE id = $1
    """
    await scope.execute(query, scope.tenant_id, state)


async def end_turns(scope: TenantScope) -> None:
    """Those that are open fail explicitly; whoever runs one has lost it."""
    await scope.execute("SELECT end_turns($1, 'TENANT_DELETED')", scope.tenant_id)


async def bury(scope: TenantScope) -> bool:
    """Leaves of a tenant whose rows are gone its id alone; the slug is free again. False when it was so already."""
    query = """
        UPDATE tenants
           SET slug = id::text, name = '', settings = '{}', state = 'deleted', state_since = now(),
               version = version + 1
         WHERE id = $1
           AND state = 'deleting'
        RETURNING id
    """
    return await scope.fetchval(query, scope.tenant_id) is not None


async def forget(scope: TenantScope) -> None:
    await scope.execute("DELETE FROM tenants WHERE id = $1 AND state = 'deleted'", scope.tenant_id)


async def leaving(db: Database, limit: int = 100) -> list[tuple[UUID, State, float]]:
    """Tenants that are deleting or deleted, the first to be so first, and for how many seconds they have been."""
    rows = await db.call("SELECT id, state, since_s FROM tenants_leaving($1)", limit)
    return [(row["id"], State(row["state"]), row["since_s"]) for row in rows]


class TenantTable(msgspec.Struct, frozen=True):
    """A table with a `tenant_id`, as the database's catalogue knows it."""

    name: str  # quoted where needed
    is_indexed: bool  # by tenant: else it is read from its beginning to its end


async def tenant_tables(db: Database) -> list[TenantTable]:
    """Those that refer to others before those that they refer to."""
    rows = await db.call("SELECT name, is_indexed FROM tenant_tables()")
    return [TenantTable(row["name"], row["is_indexed"]) for row in rows]


async def erase(db: Database, tenant_id: UUID, table: str, block: int, most: int) -> tuple[int, int | None]:
    """Removes up to `most` of the tenant's rows, or those from `block` on where the table has no index for it.

    (how many, the block to go on from: None at the end). The tenant must be deleting or deleted.
    """
    [row] = await db.call("SELECT erased, next_block FROM tenant_erase($1, $2, $3, $4)", tenant_id, table, block, most)
    return row["erased"], row["next_block"]


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


async def secret_variables(scope: TenantScope, limit: int = 1000) -> dict[str, str | None]:
    """Name -> the variable of the environment that it came from, where that is known."""
    query = """
        SELECT name, variable
          FROM secrets
         WHERE tenant_id = $1
         ORDER BY name
         LIMIT $2
    """
    rows = await scope.fetch(query, scope.tenant_id, limit)
    return {row["name"]: row["variable"] for row in rows}


async def put_secret(scope: TenantScope, name: str, encrypted: bytes, variable: str | None = None) -> None:
    query = """
           INSERT INTO secrets AS s (tenant_id, name, value, variable)
           VALUES ($1, $2, $3, $4)
      ON CONFLICT (tenant_id, name)
        DO UPDATE SET value = EXCLUDED.value, variable = coalesce(EXCLUDED.variable, s.variable), updated_at = now()
    """
    await scope.execute(query, scope.tenant_id, name, encrypted, variable)


async def delete_secret(scope: TenantScope, name: str) -> None:
    query = """
        DELETE FROM secrets
         WHERE tenant_id = $1
           AND name = $2
    """
    await scope.execute(query, scope.tenant_id, name)


def _tenant(row: Any) -> TenantRow:
    settings = loads(row["settings"])
    return TenantRow(
        row["id"], row["slug"], row["name"], row["version"], settings, State(row["state"]), row["created_at"]
    )

"""API keys in PostgreSQL: what is known of them, and their hashes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any  # asyncpg's rows are untyped
from uuid import UUID

import msgspec

from frontdesk.db import Database, TenantScope


class ApiKey(msgspec.Struct, frozen=True):
    """A key as its owner may see it again: `prefix` is its beginning, and there is no more of it anywhere."""

    id: UUID
    prefix: str
    name: str
    scopes: tuple[str, ...]
    made_by: str  # kind/id
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None  # to a minute
    revoked_at: datetime | None


class KeyRow(msgspec.Struct, frozen=True):
    """What tells whether a key is the right one, and what it may."""

    tenant_id: UUID
    id: UUID
    hash: bytes
    scopes: tuple[str, ...]
    expires_at: datetime | None


async def key_of(db: Database, prefix: str) -> KeyRow | None:
    """Of any tenant; None also for one that was revoked."""
    rows = await db.call("SELECT tenant_id, id, hash, scopes, expires_at FROM api_key_of($1)", prefix)
    if not rows:
        return None
    [row] = rows
    return KeyRow(row["tenant_id"], row["id"], row["hash"], tuple(row["scopes"]), row["expires_at"])


async def still_valid(db: Database, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the keys, of any tenants, that were not revoked and are not gone."""
    return {row["id"] for row in await db.call("SELECT id FROM api_keys_valid($1)", ids)}


async def note_used(db: Database, used: Mapping[UUID, datetime]) -> None:
    await db.call("SELECT api_keys_used($1, $2)", list(used), list(used.values()))


async def add(
    scope: TenantScope, key_id: UUID, prefix: str, digest: bytes, name: str, scopes: Sequence[str], made_by: str,
    expires_at: datetime | None,
) -> ApiKey | None:  # fmt: skip
    """None when there is one of that prefix."""
    query = """
           INSERT INTO api_keys (tenant_id, id, prefix, hash, name, scopes, made_by, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
      ON CONFLICT (prefix) DO NOTHING
        RETURNING id, prefix, name, scopes, made_by, created_at, expires_at, last_used_at, revoked_at
    """
    row = await scope.fetchrow(
        query, scope.tenant_id, key_id, prefix, digest, name, list(scopes), made_by, expires_at
    )  # fmt: skip
    return _key(row) if row is not None else None


async def of_prefix(scope: TenantScope, prefix: str) -> ApiKey | None:
    """Revoked ones too. Nobody changes it until the scope ends."""
    query = """
        SELECT id, prefix, name, scopes, made_by, created_at, expires_at, last_used_at, revoked_at
          FROM api_keys
         WHERE tenant_id = $1
           AND prefix = $2
           FOR UPDATE
    """
    row = await scope.fetchrow(query, scope.tenant_id, prefix)
    return _key(row) if row is not None else None


async def remove(scope: TenantScope, key_id: UUID) -> None:
    await scope.execute("DELETE FROM api_keys WHERE tenant_id = $1 AND id = $2", scope.tenant_id, key_id)


async def keys(scope: TenantScope, before: UUID | None, limit: int) -> list[ApiKey]:
    """The newest first, at most `limit` of those made before the key `before`."""
    query = """
        SELECT id, prefix, name, scopes, made_by, created_at, expires_at, last_used_at, revoked_at
          FROM api_keys
         WHERE tenant_id = $1
           AND ($2::uuid IS NULL OR id < $2)
         ORDER BY id DESC
         LIMIT $3
    """
    return [_key(row) for row in await scope.fetch(query, scope.tenant_id, before, limit)]


async def revoke(scope: TenantScope, key_id: UUID) -> ApiKey | None:
    """The key as it was before, without what it is called by; None where there is none of that id."""
    query = """
          WITH before AS (
              SELECT id, prefix, name, scopes, made_by, created_at, expires_at, last_used_at, revoked_at
                FROM api_keys
               WHERE tenant_id = $1
                 AND id = $2
                 FOR UPDATE
          ), revoked AS (  -- a second time changes nothing
              UPDATE api_keys AS k
                 SET revoked_at = now()
                FROM before
               WHERE k.tenant_id = $1
                 AND k.id = before.id
                 AND k.revoked_at IS NULL
          )
        SELECT id, prefix, name, scopes, made_by, created_at, expires_at, last_used_at, revoked_at
          FROM before
    """
    row = await scope.fetchrow(query, scope.tenant_id, key_id)
    return _key(row) if row is not None else None


def _key(row: Any) -> ApiKey:
    return ApiKey(
        row["id"], row["prefix"], row["name"], tuple(row["scopes"]), row["made_by"], row["created_at"],
        row["expires_at"], row["last_used_at"], row["revoked_at"],
    )  # fmt: skip

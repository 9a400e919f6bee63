"""Sign-ins of staff in PostgreSQL, and the refresh tokens that they are kept up with."""

from datetime import datetime
from typing import Any  # asyncpg's rows are untyped
from uuid import UUID

import msgspec

from frontdesk.db import TenantScope
from frontdesk.identity.permissions import OPERATOR, ROLES, Permission, Role
from frontdesk.identity.staff import Device, StaffSession

MOST = 100  # sign-ins of a person at once: the oldest ends
SPENT = 200  # hashes of used tokens that a sign-in remembers
_COLUMNS = "id, staff_id, device, address, created_at, last_seen, expires_at"


class Live(msgspec.Struct, frozen=True):
    """Whose sign-in it is, and what he may now."""

    staff_id: UUID
    role: Role
    is_operator: bool

    @property
    def permissions(self) -> frozenset[Permission]:
        return ROLES[self.role] | OPERATOR if self.is_operator else ROLES[self.role]


class Renewable(msgspec.Struct, frozen=True):
    """A sign-in whose refresh token was presented, held until the transaction ends."""

    session_id: UUID
    staff_id: UUID
    is_current: bool  # the token is the one that is good now
    is_last: bool  # it is the one before that
    is_spent: bool  # it was good once
    renewed_at: datetime
    expires_at: datetime


async def open_session(
    scope: TenantScope, session_id: UUID, staff_id: UUID, token_hash: bytes, device: Device, now: datetime,
    expires_at: datetime,
) -> None:  # fmt: skip
    query = """
        INSERT INTO staff_sessions
               (tenant_id, id, staff_id, token_hash, renewed_at, device, address, created_at, last_seen, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $5, $5, $8)
    """
    args = (session_id, staff_id, token_hash, now, device.name, device.address, expires_at)
    await scope.execute(query, scope.tenant_id, *args)


async def live(scope: TenantScope, session_id: UUID, now: datetime) -> Live | None:
    """None for a sign-in that has ended, and for somebody who is not active."""
    query = """
        SELECT p.id, p.role, p.is_operator
          FROM staff_sessions AS s
          JOIN staff AS p ON p.tenant_id = s.tenant_id AND p.id = s.staff_id
         WHERE s.tenant_id = $1
           AND s.id = $2
           AND s.expires_at > $3
           AND p.state = 'active'
    """
    row = await scope.fetchrow(query, scope.tenant_id, session_id, now)
    return Live(row["id"], Role(row["role"]), row["is_operator"]) if row is not None else None


async def renewable(scope: TenantScope, session_id: UUID, token_hash: bytes, now: datetime) -> Renewable | None:
    """None for a sign-in that has ended."""
    query = """
        SELECT id, staff_id, token_hash = $3 AS is_current, COALESCE(spent[1] = $3, false) AS is_last,
               $3 = ANY (spent) AS is_spent, renewed_at, expires_at
          FROM staff_sessions
         WHERE tenant_id = $1
           AND id = $2
           AND expires_at > $4
           FOR UPDATE
    """
    row = await scope.fetchrow(query, scope.tenant_id, session_id, token_hash, now)
    if row is None:
        return None
    return Renewable(
        row["id"], row["staff_id"], row["is_current"], row["is_last"], row["is_spent"], row["renewed_at"],
        row["expires_at"],
    )  # fmt: skip


async def renew(scope: TenantScope, session_id: UUID, token_hash: bytes, device: Device, now: datetime) -> None:
    query = f"""
        UPDATE staff_sessions
           SET token_hash = $3, spent = (token_hash || spent)[1:{SPENT}], renewed_at = $4, last_seen = $4,
               device = $5, address = $6
         WHERE tenant_id = $1
           AND id = $2
    """
    await scope.execute(query, scope.tenant_id, session_id, token_hash, now, device.name, device.address)


async def sessions_of(
    scope: TenantScope, staff_id: UUID, now: datetime, before: UUID | None, limit: int
) -> list[StaffSession]:
    """The newest first, from the one made before `before`."""
    query = f"""
        SELECT {_COLUMNS}
          FROM staff_sessions
         WHERE tenant_id = $1
           AND staff_id = $2
           AND expires_at > $3
           AND ($4::uuid IS NULL OR id < $4)
         ORDER BY id DESC
         LIMIT $5
    """
    return [_session(row) for row in await scope.fetch(query, scope.tenant_id, staff_id, now, before, limit)]


async def end_session(scope: TenantScope, staff_id: UUID, session_id: UUID) -> bool:
    """False when he has no such sign-in."""
    query = """
        DELETE FROM staff_sessions
         WHERE tenant_id = $1
           AND staff_id = $2
           AND id = $3
     RETURNING id
    """
    return await scope.fetchval(query, scope.tenant_id, staff_id, session_id) is not None


async def end_sessions(scope: TenantScope, staff_id: UUID, but: UUID | None = None) -> list[UUID]:
    """All of a person's, but one: which there were."""
    query = """
        DELETE FROM staff_sessions
         WHERE tenant_id = $1
           AND staff_id = $2
           AND id IS DISTINCT FROM $3
     RETURNING id
    """
    return [row["id"] for row in await scope.fetch(query, scope.tenant_id, staff_id, but)]


async def end_oldest(scope: TenantScope, staff_id: UUID, kept: int) -> list[UUID]:
    """All of a person's but the `kept` newest: which there were."""
    query = """
        DELETE FROM staff_sessions
         WHERE tenant_id = $1
           AND id IN (SELECT id FROM staff_sessions
                       WHERE tenant_id = $1
                         AND staff_id = $2
                       ORDER BY created_at DESC, id DESC
                      OFFSET $3)
     RETURNING id
    """
    return [row["id"] for row in await scope.fetch(query, scope.tenant_id, staff_id, kept)]


async def forget_expired(scope: TenantScope, staff_id: UUID, now: datetime) -> None:
    query = """
        DELETE FROM staff_sessions
         WHERE tenant_id = $1
           AND staff_id = $2
           AND expires_at <= $3
    """
    await scope.execute(query, scope.tenant_id, staff_id, now)


def _session(row: Any) -> StaffSession:
    return StaffSession(
        row["id"], row["staff_id"], row["device"], row["address"], row["created_at"], row["last_seen"],
        row["expires_at"],
    )  # fmt: skip

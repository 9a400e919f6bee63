"""Staff in PostgreSQL: people, their passwords and second factors."""

from datetime import datetime
from typing import Any  # asyncpg's rows are untyped
from uuid import UUID

import msgspec

from frontdesk.db import Database, TenantScope
from frontdesk.identity.permissions import Role
from frontdesk.identity.staff import Staff, State

_COLUMNS = "id, tenant_id, email, name, role, state, is_operator, totp_on, version, created_at, last_sign_in"


class Secrets(msgspec.Struct, frozen=True):
    """What a person's sign-in is checked against. `totp_secret` is sealed."""

    password_hash: str | None
    totp_secret: bytes | None
    totp_step: int
    recovery_codes_left: int


async def take_turns(scope: TenantScope) -> None:
    """Until the transaction ends, no other changes who belongs to the tenant's staff and as what."""
    await scope.execute("SELECT pg_advisory_xact_lock(hashtextextended('staff ' || $1::uuid, 0))", scope.tenant_id)


async def staff_by_id(scope: TenantScope, staff_id: UUID) -> Staff | None:
    return _staff(await _found_by(scope, "id", staff_id))


async def staff_by_email(scope: TenantScope, email: str) -> tuple[Staff, Secrets] | None:
    return _with_secrets(await _found_by(scope, "email", email))


async def staff_with_secrets(scope: TenantScope, staff_id: UUID) -> tuple[Staff, Secrets] | None:
    return _with_secrets(await _found_by(scope, "id", staff_id))


async def staff_by_openid(scope: TenantScope, subject: str) -> Staff | None:
    return _staff(await _found_by(scope, "openid_subject", subject))


async def _found_by(scope: TenantScope, column: str, value: UUID | str) -> Any:
    query = f"""
        SELECT {_COLUMNS}, password_hash, totp_secret, totp_step, cardinality(recovery_codes) AS codes
          FROM staff
         WHERE tenant_id = $1
           AND {column} = $2
    """
    return await scope.fetchrow(query, scope.tenant_id, value)


async def staff_listed(scope: TenantScope, after: str, state: State | None, limit: int) -> list[Staff]:
    """By e-mail address, those after `after`, at most `limit`."""
    query = f"""
        SELECT {_COLUMNS}
          FROM staff
         WHERE tenant_id = $1
           AND email > $2
           AND ($3::text IS NULL OR state = $3)
         ORDER BY email
         LIMIT $4
    """
    rows = await scope.fetch(query, scope.tenant_id, after, state, limit)
    return [staff for row in rows if (staff := _staff(row)) is not None]


async def has_operator(db: Database) -> bool:
    return bool((await db.call("SELECT has_operator() AS found"))[0]["found"])


async def has_owner(scope: TenantScope) -> bool:
    """Whether anybody can sign in as the tenant's owner, or was invited to."""
    query = """
        SELECT EXISTS (SELECT FROM staff WHERE tenant_id = $1 AND role = 'owner' AND state <> 'disabled')
    """
    return bool(await scope.fetchval(query, scope.tenant_id))


async def other_owners(scope: TenantScope, staff_id: UUID) -> int:
    """How many active owners there are beside him."""
    query = """
        SELECT count(*)
          FROM staff
         WHERE tenant_id = $1
           AND id <> $2
           AND role = 'owner'
           AND state = 'active'
    """
    return int(await scope.fetchval(query, scope.tenant_id, staff_id))


async def add_staff(
    scope: TenantScope, staff_id: UUID, email: str, name: str, role: Role, state: State, *, is_operator: bool = False
) -> Staff | None:
    """None when the e-mail address is another's."""
    query = f"""
           INSERT INTO staff (tenant_id, id, email, name, role, state, is_operator)
           VALUES ($1, $2, $3, $4, $5, $6, $7)
      ON CONFLICT DO NOTHING
        RETURNING {_COLUMNS}
    """
    return _staff(await scope.fetchrow(query, scope.tenant_id, staff_id, email, name, role, state, is_operator))


async def change_staff(
    scope: TenantScope, staff_id: UUID, version: int, name: str, role: Role, state: State, *, is_operator: bool
) -> Staff | None:
    """None when it is no longer at `version`.

    Who becomes owner or operator is no longer known by a provider, and is invited anew when that was his only way.
    """
    query = f"""
        UPDATE staff
           SET name = $4, role = $5, is_operator = $7, version = version + 1,
               openid_subject = CASE WHEN NOT ($5 = 'owner' AND role <> 'owner' OR $7 AND NOT is_operator)
                                     THEN openid_subject END,
               -- Who has no way to sign in can't be more than invited.
               state = CASE WHEN $6 = 'active' AND password_hash IS NULL
                             AND (openid_subject IS NULL OR $5 = 'owner' AND role <> 'owner' OR $7 AND NOT is_operator)
                            THEN 'invited'
                            ELSE $6 END
         WHERE tenant_id = $1
           AND id = $2
           AND version = $3
     RETURNING {_COLUMNS}
    """
    args = (scope.tenant_id, staff_id, version, name, role, state, is_operator)
    return _staff(await scope.fetchrow(query, *args))


async def remove_staff(scope: TenantScope, staff_id: UUID, version: int) -> bool:
    """With sessions and links. False when it is no longer at `version`."""
    query = """
        DELETE FROM staff
         WHERE tenant_id = $1
           AND id = $2
           AND version = $3
     RETURNING id
    """
    return await scope.fetchval(query, scope.tenant_id, staff_id, version) is not None


async def put_password(scope: TenantScope, staff_id: UUID, password_hash: str) -> None:
    query = """
        UPDATE staff
           SET password_hash = $3
         WHERE tenant_id = $1
           AND id = $2
    """
    await scope.execute(query, scope.tenant_id, staff_id, password_hash)


async def activate(scope: TenantScope, staff_id: UUID, name: str, password_hash: str) -> Staff | None:
    """An invited person has chosen a password. None when he is no longer invited."""
    query = f"""
        UPDATE staff
           SET state = 'active', name = $3, password_hash = $4, version = version + 1
         WHERE tenant_id = $1
           AND id = $2
           AND state = 'invited'
     RETURNING {_COLUMNS}
    """
    return _staff(await scope.fetchrow(query, scope.tenant_id, staff_id, name, password_hash))


async def activate_by_openid(scope: TenantScope, staff_id: UUID, subject: str) -> Staff | None:
    """Binds a person to who he is at the provider; one who was invited is active by that.

    None when he is disabled, or bound to somebody else there.
    """
    query = f"""
        UPDATE staff
           SET openid_subject = $3, state = 'active'
         WHERE tenant_id = $1
           AND id = $2
           AND state <> 'disabled'
           AND (openid_subject IS NULL OR openid_subject = $3)
     RETURNING {_COLUMNS}
    """
    return _staff(await scope.fetchrow(query, scope.tenant_id, staff_id, subject))


async def hold_unchanged(scope: TenantScope, staff_id: UUID, password_hash: str, *, has_second_factor: bool) -> bool:
    """Whether his password and second factor are still those that a sign-in was checked against, and stay so until the
    transaction ends."""
    query = """
        SELECT id
          FROM staff
         WHERE tenant_id = $1
           AND id = $2
           AND state = 'active'
           AND password_hash = $3
           AND totp_on = $4
           FOR UPDATE
    """
    return await scope.fetchval(query, scope.tenant_id, staff_id, password_hash, has_second_factor) is not None


async def signed_in(scope: TenantScope, staff_id: UUID, now: datetime) -> bool:
    """Notes a sign-in of somebody active; False when he is not. His row is held until the transaction ends."""
    query = """
        UPDATE staff
           SET last_sign_in = $3
         WHERE tenant_id = $1
           AND id = $2
           AND state = 'active'
     RETURNING id
    """
    return await scope.fetchval(query, scope.tenant_id, staff_id, now) is not None


async def propose_totp(scope: TenantScope, staff_id: UUID, sealed: bytes) -> bool:
    """A secret that is not asked for yet. False when a second factor is on already."""
    query = """
        UPDATE staff
           SET totp_secret = $3
         WHERE tenant_id = $1
           AND id = $2
           AND NOT totp_on
     RETURNING id
    """
    return await scope.fetchval(query, scope.tenant_id, staff_id, sealed) is not None


async def turn_totp_on(scope: TenantScope, staff_id: UUID, step: int, recovery_codes: list[bytes]) -> bool:
    query = """
        UPDATE staff
           SET totp_on = true, totp_step = $3, recovery_codes = $4
         WHERE tenant_id = $1
           AND id = $2
           AND NOT totp_on
           AND totp_secret IS NOT NULL
     RETURNING id
    """
    return await scope.fetchval(query, scope.tenant_id, staff_id, step, recovery_codes) is not None


async def turn_totp_off(scope: TenantScope, staff_id: UUID) -> None:
    query = """
        UPDATE staff
           SET totp_on = false, totp_secret = NULL, totp_step = 0, recovery_codes = '{}'
         WHERE tenant_id = $1
           AND id = $2
    """
    await scope.execute(query, scope.tenant_id, staff_id)


async def use_totp_step(scope: TenantScope, staff_id: UUID, step: int) -> bool:
    """False when that step's code, or a later one's, was used."""
    query = """
        UPDATE staff
           SET totp_step = $3
         WHERE tenant_id = $1
           AND id = $2
           AND totp_step < $3
     RETURNING id
    """
    return await scope.fetchval(query, scope.tenant_id, staff_id, step) is not None


async def use_recovery_code(scope: TenantScope, staff_id: UUID, code_hash: bytes) -> bool:
    query = """
        UPDATE staff
           SET recovery_codes = array_remove(recovery_codes, $3)
         WHERE tenant_id = $1
           AND id = $2
           AND $3 = ANY (recovery_codes)
     RETURNING id
    """
    return await scope.fetchval(query, scope.tenant_id, staff_id, code_hash) is not None


def _staff(row: Any) -> Staff | None:
    if row is None:
        return None
    return Staff(
        id=row["id"],
        tenant_id=row["tenant_id"],
        email=row["email"],
        name=row["name"],
        role=Role(row["role"]),
        state=State(row["state"]),
        is_operator=row["is_operator"],
        has_second_factor=row["totp_on"],
        version=row["version"],
        created_at=row["created_at"],
        last_sign_in=row["last_sign_in"],
    )


def _with_secrets(row: Any) -> tuple[Staff, Secrets] | None:
    staff = _staff(row)
    if staff is None:
        return None
    return staff, Secrets(row["password_hash"], row["totp_secret"], row["totp_step"], row["codes"])

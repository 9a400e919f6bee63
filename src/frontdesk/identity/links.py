"""Single-use links: for a tenant's first owner, for who was invited, for who forgot his password."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from frontdesk.core.errors import NotFound
from frontdesk.db import TenantScope
from frontdesk.identity import opaque
from frontdesk.identity.opaque import Opaque

_NOBODY = UUID(int=0)


class LinkInvalid(NotFound):
    """Used, too old, replaced by a newer one, or never made: not told apart."""

    error_code = "LINK_INVALID"

    def __init__(self) -> None:
        super().__init__("This link was used already, or is too old. Ask for a new one.")


class Purpose(StrEnum):
    OWNER = "owner"
    INVITATION = "invitation"
    RESET = "reset"


# How long each is good.
LASTS = {
    Purpose.OWNER: timedelta(hours=12),
    Purpose.INVITATION: timedelta(days=7),
    Purpose.RESET: timedelta(hours=1),
}
# The page that takes its token: behind `#`, which no browser sends and no log sees.
PAGES = {Purpose.OWNER: "/welcome", Purpose.INVITATION: "/welcome", Purpose.RESET: "/reset"}


class Link(msgspec.Struct, frozen=True):
    purpose: Purpose
    staff_id: UUID | None
    is_operator: bool  # whether the owner who begins by it manages the deployment too


def address(base: str, purpose: Purpose, token: str) -> str:
    return f"{base}{PAGES[purpose]}#token={token}"


async def make(
    scope: TenantScope, purpose: Purpose, staff_id: UUID | None, now: datetime, *, is_operator: bool = False
) -> str:
    """A token; those made before for the same end now."""
    token, token_hash = opaque.made(scope.tenant_id, staff_id or _NOBODY)
    query = """
        WITH replaced AS (
            DELETE FROM staff_links
             WHERE tenant_id = $1
               AND staff_id IS NOT DISTINCT FROM $3
               AND (purpose = $4 OR expires_at <= $5)
        )
        INSERT INTO staff_links (tenant_id, token_hash, staff_id, purpose, expires_at, is_operator)
        VALUES ($1, $2, $3, $4, $6, $7)
    """
    args = (scope.tenant_id, token_hash, staff_id, purpose, now, now + LASTS[purpose], is_operator)
    await scope.execute(query, *args)
    return token


async def found(scope: TenantScope, token: Opaque, now: datetime) -> Link:
    """Raises LinkInvalid."""
    query = """
        SELECT purpose, staff_id, is_operator
          FROM staff_links
         WHERE tenant_id = $1
           AND token_hash = $2
           AND expires_at > $3
    """
    row = await scope.fetchrow(query, scope.tenant_id, token.hash, now)
    if row is None:
        raise LinkInvalid
    return Link(Purpose(row["purpose"]), row["staff_id"], row["is_operator"])


async def use(scope: TenantScope, token: Opaque, now: datetime) -> Link:
    """It is gone when the transaction is committed. Raises LinkInvalid, also when another was first."""
    query = """
        DELETE FROM staff_links
         WHERE tenant_id = $1
           AND token_hash = $2
           AND expires_at > $3
     RETURNING purpose, staff_id, is_operator
    """
    row = await scope.fetchrow(query, scope.tenant_id, token.hash, now)
    if row is None:
        raise LinkInvalid
    return Link(Purpose(row["purpose"]), row["staff_id"], row["is_operator"])


async def withdraw(scope: TenantScope, staff_id: UUID) -> None:
    """All of a person's."""
    query = """
        DELETE FROM staff_links
         WHERE tenant_id = $1
           AND staff_id = $2
    """
    await scope.execute(query, scope.tenant_id, staff_id)

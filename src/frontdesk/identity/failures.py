"""Failed attempts to sign in, counted by account and by address, each the longer locked the more there are.
Mails are counted alike: of forgotten passwords by account and by who asks, invitations by whom they go to.

An attempt is counted before it is tried, so that many at once are no way round. Accounts that are not there are counted
alike. Counts are in the database: the same on every server, and after a restart.
"""

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from frontdesk.core.errors import RateLimited
from frontdesk.core.networks import network_of
from frontdesk.db import TenantScope

LONGEST_S = 900
# Counts start anew when nothing was tried for so long.
FORGOTTEN = timedelta(hours=2)


class What(StrEnum):
    """What is counted, in the order in which counts are locked."""

    ACCOUNT = "account"
    ADDRESS = "address"
    MAIL_ACCOUNT = "mail account"
    MAIL_ADDRESS = "mail address"
    INVITED = "invited"


# How many go by before there is a wait: 1 s, doubled with each.
FREE = {What.ACCOUNT: 5, What.ADDRESS: 30, What.MAIL_ACCOUNT: 2, What.MAIL_ADDRESS: 10, What.INVITED: 3}


async def attempt(scope: TenantScope, what: What, whom: str, now: datetime) -> None:
    """Counts one. Raises RateLimited while it is locked; nothing is counted then."""
    query = """
        WITH forgotten AS (
            DELETE FROM sign_in_failures
             WHERE (tenant_id, key) IN (
                       SELECT tenant_id, key FROM sign_in_failures
                        WHERE tenant_id = $1 AND last_at < $3::timestamptz - $4::interval AND key <> $2
                        ORDER BY last_at LIMIT 10 FOR UPDATE SKIP LOCKED)
        )
        INSERT INTO sign_in_failures AS f (tenant_id, key, failures, last_at, free_at)
        VALUES ($1, $2, 1, $3::timestamptz, $3)
            ON CONFLICT (tenant_id, key)
            DO UPDATE SET failures = CASE WHEN f.last_at < $3::timestamptz - $4::interval THEN 1
                                          ELSE f.failures + 1 END,
                          last_at = $3,
                          free_at = $3 + make_interval(secs => CASE
                              WHEN f.last_at < $3::timestamptz - $4::interval OR f.failures + 1 <= $5 THEN 0
                              ELSE LEAST($6::float, power(2, LEAST(f.failures - $5, 20))) END)
            WHERE f.free_at <= $3
     RETURNING failures
    """
    key = _key(scope.tenant_id, what, whom)
    counted = await scope.fetchval(query, scope.tenant_id, key, now, FORGOTTEN, FREE[what], LONGEST_S)
    if counted is None:
        free_at = await scope.fetchval("SELECT free_at FROM sign_in_failures WHERE tenant_id = $1 AND key = $2",
                                       scope.tenant_id, key)  # fmt: skip
        wait_s = max(1.0, (free_at - now).total_seconds()) if free_at is not None else 1.0
        raise RateLimited("Too many attempts. Try again later.", retry_after=wait_s)


async def take_back(scope: TenantScope, what: What, whom: str, at: datetime) -> None:
    """The attempt made `at` was none. What others made meanwhile stays counted, and the wait that came of it."""
    query = """
        UPDATE sign_in_failures
           SET failures = failures - 1,
               free_at = CASE WHEN last_at = $3 THEN last_at ELSE free_at END
         WHERE tenant_id = $1
           AND key = $2
    """
    await scope.execute(query, scope.tenant_id, _key(scope.tenant_id, what, whom), at)


async def forget(scope: TenantScope, what: What, whom: str) -> None:
    query = """
        DELETE FROM sign_in_failures
         WHERE tenant_id = $1
           AND key = $2
    """
    await scope.execute(query, scope.tenant_id, _key(scope.tenant_id, what, whom))


def _key(tenant_id: UUID, what: What, whom: str) -> bytes:
    """No list of addresses for who reads the table."""
    if what in (What.ADDRESS, What.MAIL_ADDRESS):
        whom = network_of(whom)
    return hashlib.sha256(tenant_id.bytes + f"{what}\n{whom}".encode()).digest()[:16]

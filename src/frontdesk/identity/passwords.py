"""Passwords: Argon2id (RFC 9106) off the loop, few at once, and as long for nobody's account as for somebody's."""

import asyncio
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from frontdesk.core.errors import FieldError, Invalid, Unavailable

SHORTEST, LONGEST = 12, 128  # characters

# OWASP's second choice (Password Storage Cheat Sheet): 19 MiB and some 20 ms each.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Of a password that nobody knows, in the same strength: verified where there is no account.
NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$M3Aywyl5oepTyUpk+6KV2A$/W1ofJVEHLbBMWa0GBwxRcXFELqlTkVLWq1+9MFqBCM"
AT_ONCE = 2
WAITING = 50
WAITING_OF_A_TENANT = 20
RETRY_S = 1.0

Done = TypeVar("Done")


class Passwords:
    """At most AT_ONCE are worked on at once, 19 MiB each; beyond WAITING more, or WAITING_OF_A_TENANT of
    one tenant, callers are told to come back."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting: Counter[UUID] = Counter()

    async def hashed(self, tenant_id: UUID, password: str) -> str:
        """Raises Unavailable."""
        return await self._worked(tenant_id, _HASHER.hash, _normal(password))

    async def is_right(self, tenant_id: UUID, password_hash: str | None, password: str) -> bool:
        """Takes the same time whether there is a hash. Raises Unavailable."""
        is_right = await self._worked(tenant_id, _verified, password_hash or NOBODYS, _normal(password))
        return is_right and password_hash is not None

    async def _worked(self, tenant_id: UUID, work: Callable[..., Done], *args: str) -> Done:
        if self._waiting.total() >= WAITING or self._waiting[tenant_id] >= WAITING_OF_A_TENANT:
            raise Unavailable("Too many people are signing in. Try again in a moment.", retry_after=RETRY_S)
        self._waiting[tenant_id] += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work, *args)
        finally:
            self._waiting[tenant_id] -= 1
            if not self._waiting[tenant_id]:
                del self._waiting[tenant_id]


def checked(password: str, field: str = "password") -> str:
    """A password that may be chosen: long enough, nothing else (NIST SP 800-63B). Raises Invalid."""
    if not SHORTEST <= len(_normal(password)) <= LONGEST:
        message = f"must have {SHORTEST} to {LONGEST} characters"
        raise Invalid(f"{field}: {message}.", errors=[FieldError(field, message)])
    return password


def is_outdated(password_hash: str) -> bool:
    """Whether it was made with less than is asked for today."""
    return _HASHER.check_needs_rehash(password_hash)


def _normal(password: str) -> str:
    """The same, whatever keyboard wrote it. More than can be chosen is cut off: nobody's, and not to be worked on."""
    return unicodedata.normalize("NFKC", password[: 4 * LONGEST])


def _verified(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False

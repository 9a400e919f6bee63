"""API keys: `fd_<prefix>_<secret>`, for programs that call for a tenant. Made, looked up, revoked."""

import asyncio
import hashlib
import hmac
import re
import secrets
from base64 import b32encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from cachetools import TTLCache

from frontdesk import audit
from frontdesk.audit import Actor
from frontdesk.core.clock import Clock, iso
from frontdesk.core.errors import (
    Conflict,
    DatabaseUnavailable,
    FieldError,
    Forbidden,
    IdempotencyConflict,
    Invalid,
    NotFound,
    TokenExpired,
    TokenInvalid,
)
from frontdesk.core.ids import new_id
from frontdesk.core.rechecked import Rechecked
from frontdesk.db import Database
from frontdesk.identity import api_key_store as store
from frontdesk.identity.api_key_store import ApiKey
from frontdesk.identity.models import Kind, Principal
from frontdesk.identity.permissions import SCOPES, Permission

# How long another process may go on taking a key after it was revoked; in this process it counts at once.
FRESH_S = 2.0
# Last uses are written so often.
NOTED_EVERY_S = 60.0
# Longer than a look-up can take that has read the key before it was revoked.
_REMEMBERED_S = 60.0

_KEYS = 10_000

_FORM = re.compile(r"fd_([a-z2-7]{12})_([A-Za-z0-9_-]{43})")


class _Known(NamedTuple):
    id: UUID
    principal: Principal
    expires_at: datetime | None


class ApiKeys:
    """Of all tenants. Of keys that were looked up it is asked every FRESH_S which were revoked, not turn by turn."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._known: Rechecked[bytes, _Known] = Rechecked(_KEYS, FRESH_S, clock, self._gone)
        self._revoked: TTLCache[UUID, bool] = TTLCache(10_000, _REMEMBERED_S, clock.monotonic)
        self._used: dict[UUID, datetime] = {}

    async def principal(self, text: str) -> Principal:
        """Whom the key speaks for. Raises TokenInvalid, TokenExpired."""
        digest = hashlib.sha256(text.encode()).digest()
        known = await self._known.get(digest)
        if known is None:
            known = await self._looked_up(text, digest)
            self._known.put(digest, known)
        now = self._clock.now()
        self._used[known.id] = now
        if known.expires_at is not None and now >= known.expires_at:
            raise TokenExpired("The API key has expired.")
        return known.principal

    async def create(
        self,
        tenant_id: UUID,
        maker: Actor,
        name: str,
        scopes: Iterable[str],
        expires_at: datetime | None,
        held: frozenset[Permission] = SCOPES,
        once: str | None = None,
    ) -> tuple[ApiKey, str]:
        """The key, and the text that it is used by, which can't be had again. `held`: what the maker himself may.

        `once`: an idempotency key of the maker's. The second time another key of the same prefix takes the place of the
        first, whose text is nowhere, unless that is in use or was revoked.

        Raises Invalid (an unknown scope, an expiry that has gone by), Forbidden (a scope that the maker lacks),
        IdempotencyConflict, Conflict.
        """
        wanted = sorted(set(scopes))
        unknown = [scope for scope in wanted if scope not in SCOPES]
        if unknown or not wanted:
            message = f"must be some of {', '.join(sorted(SCOPES))}"
            raise Invalid(f"scopes: {message}.", errors=[FieldError("scopes", message)])
        if expires_at is not None and expires_at <= self._clock.now():
            raise Invalid("expires_at: must be to come.", errors=[FieldError("expires_at", "must be to come")])
        lacking = [scope for scope in wanted if scope not in held]
        if lacking:
            raise Forbidden(f"A key can't be given what its maker does not have: {', '.join(lacking)}.")
        made_by = f"{maker.kind}/{maker.id}"
        seed = secrets.token_bytes(32) if once is None else f"{tenant_id}\n{made_by}\n{once}".encode()
        prefix = b32encode(hashlib.sha256(seed).digest())[:12].decode().lower()
        text = f"fd_{prefix}_{secrets.token_urlsafe(32)}"
        digest = hashlib.sha256(text.encode()).digest()
        async with self._db.scope(tenant_id) as scope:
            before = await store.of_prefix(scope, prefix) if once is not None else None
            if before is not None:
                self._refuse_another(before, (name, tuple(wanted), expires_at))
                await store.remove(scope, before.id)
            key = await store.add(scope, new_id(), prefix, digest, name, wanted, made_by, expires_at)
            if key is None:
                raise Conflict("The same key is being made right now. Try again.", retry_after=1)
            await audit.append(
                scope, maker, "key.created", f"key/{key.id}", _recorded(before) if before else None, _recorded(key)
            )
        if before is not None:
            self._known.drop(lambda known: known.id == before.id)
        return key, text

    def _refuse_another(self, made: ApiKey, asked: tuple[str, tuple[str, ...], datetime | None]) -> None:
        """Raises IdempotencyConflict, Conflict."""
        if (made.name, made.scopes, made.expires_at) != asked:
            raise IdempotencyConflict("This Idempotency-Key was used with another body. Use a new key.")
        if made.revoked_at is not None or made.last_used_at is not None or made.id in self._used:
            raise Conflict("This key was made before, and is in use or revoked. Its text was shown once.")

    async def listed(self, tenant_id: UUID, before: UUID | None, limit: int) -> list[ApiKey]:
        """The newest first, revoked ones too."""
        async with self._db.scope(tenant_id) as scope:
            return await store.keys(scope, before, limit)

    async def revoke(self, tenant_id: UUID, actor: Actor, key_id: UUID) -> None:
        """Safe to repeat. Raises NotFound."""
        async with self._db.scope(tenant_id) as scope:
            before = await store.revoke(scope, key_id)
            if before is None:
                raise NotFound("There is no such key.")
            if before.revoked_at is None:
                await audit.append(scope, actor, "key.revoked", f"key/{key_id}", before=_recorded(before))
        self._revoked[key_id] = True
        self._known.drop(lambda known: known.id == key_id)

    async def run(self) -> None:
        """Writes when keys were last used, now and then, and at the end."""
        try:
            while True:
                await asyncio.sleep(NOTED_EVERY_S)
                await self.note_used()
        except asyncio.CancelledError:
            await self.note_used()
            raise

    async def note_used(self) -> None:
        """While the database is away uses wait."""
        used, self._used = self._used, {}
        if used:
            try:
                await store.note_used(self._db, used)
            except DatabaseUnavailable:
                self._used = used | self._used

    async def _looked_up(self, text: str, digest: bytes) -> _Known:
        form = _FORM.fullmatch(text)
        row = await store.key_of(self._db, form[1]) if form is not None else None
        if row is None or not hmac.compare_digest(row.hash, digest) or row.id in self._revoked:
            raise TokenInvalid("The API key is not valid.")
        permissions = frozenset(_permissions(row.scopes))
        return _Known(row.id, Principal(Kind.API_KEY, row.tenant_id, str(row.id), permissions), row.expires_at)

    async def _gone(self, known: Mapping[bytes, _Known]) -> Iterable[bytes]:
        valid = await store.still_valid(self._db, [each.id for each in known.values()])
        return [digest for digest, each in known.items() if each.id not in valid]


def _recorded(key: ApiKey) -> dict[str, object]:
    expires_at = iso(key.expires_at) if key.expires_at is not None else None
    return {"name": key.name, "prefix": key.prefix, "scopes": list(key.scopes), "expires_at": expires_at}


def _permissions(scopes: Iterable[str]) -> Iterable[Permission]:
    """Those of a key that this version knows; what a newer one gave out means nothing here."""
    for scope in scopes:
        with suppress(ValueError):
            if (permission := Permission(scope)) in SCOPES:
                yield permission

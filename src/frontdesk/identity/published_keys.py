"""Keys that others publish for their tokens (JSON Web Key Sets, RFC 7517): kept, and read anew within bounds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any  # what is published is JSON until it is checked
from uuid import UUID

import structlog
from cachetools import LRUCache
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from frontdesk.core.clock import Clock
from frontdesk.core.errors import FrontdeskError, Unavailable
from frontdesk.identity import jwts

# Keys are read anew after so long; for a key that is not among them at most so often.
FRESH_S = 600.0
ASK_AGAIN_S = 60.0
# Keys that can't be read anew are believed for so long.
STALE_S = 24 * 3600.0
# An issuer that could not be reached is left alone for so long while nothing is known of it.
AWAY_S = 5.0
MOST_KEYS = 50
LEAST_RSA_BITS = 2048

log = structlog.get_logger()

# JSON from an address that the tenant names. Raises FrontdeskError.
Fetch = Callable[[UUID, str], Awaitable[Any]]


class _Keys:
    """What is known of an issuer's keys."""

    def __init__(self) -> None:
        self.keys: list[tuple[str | None, jwts.Key]] = []
        self.read_at: float | None = None
        self.tried_at: float | None = None
        self.reading = asyncio.Lock()


class PublishedKeys:
    """Of each address that a tenant names, for that tenant alone."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: LRUCache[tuple[UUID, str], _Keys] = LRUCache(2000)

    async def key(self, tenant_id: UUID, url: str, algorithm: str, kid: str | None) -> jwts.Key:
        """The key that a token names, of the kind that its algorithm needs. Raises TokenInvalid, Unavailable."""
        place = (tenant_id, url)
        known = self._keys.get(place)
        if known is None:
            known = self._keys[place] = _Keys()
        if not self._is_within(known.read_at, FRESH_S):
            await self._read(known, tenant_id, url, ASK_AGAIN_S if known.keys else AWAY_S)
        if not self._is_within(known.read_at, STALE_S):
            raise Unavailable("The keys of the token's issuer can't be read.", retry_after=AWAY_S)
        key = _fitting(known, algorithm, kid)
        if key is None:
            await self._read(known, tenant_id, url, ASK_AGAIN_S)
            key = _fitting(known, algorithm, kid)
        if key is None:
            raise jwts.invalid()
        return key

    def _is_within(self, moment: float | None, seconds: float) -> bool:
        return moment is not None and self._clock.monotonic() - moment < seconds

    async def _read(self, known: _Keys, tenant_id: UUID, url: str, again_s: float) -> None:
        """Unless that was tried within `again_s`. What could not be read leaves what is known."""
        async with known.reading:
            if self._is_within(known.tried_at, again_s):
                return
            try:
                keys = _imported(await self._fetch(tenant_id, url))
            except FrontdeskError as error:
                log.warning("issuer.unreachable", tenant_id=str(tenant_id), error_code=error.error_code)
                return
            finally:
                # Who waited meanwhile does not try it again: an issuer that hangs would hold them one by one.
                known.tried_at = self._clock.monotonic()
            if not keys:
                log.warning("issuer.no_keys", tenant_id=str(tenant_id))
                return
            known.keys = keys
            known.read_at = known.tried_at


def _fitting(known: _Keys, algorithm: str, named: str | None) -> jwts.Key | None:
    """A token that names none has one that fits if that is alone."""
    kind = RSAKey if algorithm == "RS256" else ECKey
    fitting = [key for kid, key in known.keys if isinstance(key, kind) and named in (None, kid)]
    return fitting[0] if len(fitting) == 1 else None


def _imported(published: Any) -> list[tuple[str | None, jwts.Key]]:
    """The keys of a JSON Web Key Set (RFC 7517) that signatures are verified with; others are left out."""
    keys: list[tuple[str | None, jwts.Key]] = []
    listed = published.get("keys") if isinstance(published, dict) else None
    for key in (listed if isinstance(listed, list) else [])[:MOST_KEYS]:
        if not isinstance(key, dict) or key.get("use", "sig") != "sig":
            continue
        public = {name: key[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in key}
        kid = key.get("kid")
        try:
            if key.get("kty") == "RSA":
                found: jwts.Key = RSAKey.import_key(public)
            elif key.get("kty") == "EC" and key.get("crv") == "P-256":
                found = ECKey.import_key(public)
            else:
                continue
        except (JoseError, ValueError, TypeError):
            continue
        if isinstance(found, ECKey) or found.public_key.key_size >= LEAST_RSA_BITS:
            keys.append((kid if isinstance(kid, str) else None, found))
    return keys

"""Tokens that a tenant's own issuer signs: its users converse as contacts whom the issuer vouches for."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any  # what an issuer publishes is JSON until it is checked
from uuid import UUID

import msgspec
import structlog
from cachetools import LRUCache, TTLCache
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from frontdesk.core.clock import Clock
from frontdesk.core.errors import FrontdeskError, TokenInvalid, Unavailable
from frontdesk.identity import jwts
from frontdesk.identity.models import Kind, Principal
from frontdesk.identity.permissions import ROLES, Role

# An issuer's keys are read anew after so long; for a key that is not among them at most so often.
FRESH_S = 600.0
ASK_AGAIN_S = 60.0
# Keys that can't be read anew are believed for so long.
STALE_S = 24 * 3600.0
# An issuer that could not be reached is left alone for so long while nothing is known of it.
AWAY_S = 5.0
KNOWN_S = 60.0
MOST_KEYS = 50
LEAST_RSA_BITS = 2048

log = structlog.get_logger()


class IssuerSettings(msgspec.Struct, frozen=True):
    """One of a tenant's issuers: whose tokens, for whom, with which keys. `user_id`: the claim that names the user."""

    issuer: str
    audience: str
    jwks_url: str
    algorithms: tuple[str, ...] = ("RS256",)
    user_id: str = "sub"


# JSON from an address that the tenant names. Raises FrontdeskError.
Fetch = Callable[[UUID, str], Awaitable[Any]]


class _Claims(msgspec.Struct, frozen=True):
    """What is looked at whoever issued it (RFC 7519, 4.1)."""

    iss: str
    aud: str | list[str]
    exp: float
    nbf: float | None = None


class _Keys:
    """What is known of an issuer's keys."""

    def __init__(self) -> None:
        self.keys: list[tuple[str | None, jwts.Key]] = []
        self.read_at: float | None = None
        self.tried_at: float | None = None
        self.reading = asyncio.Lock()


class Issuers:
    """A token counts for the tenant that is asked for, and only if that tenant names its issuer."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: LRUCache[tuple[UUID, str], _Keys] = LRUCache(2000)
        self._known: TTLCache[tuple[UUID, bytes], tuple[IssuerSettings, Principal, _Claims]] = TTLCache(
            20_000, KNOWN_S, clock.monotonic
        )

    async def principal(self, text: str, tenant_id: UUID, issuers: Sequence[IssuerSettings]) -> Principal:
        """Whom the token speaks for. Raises TokenInvalid, TokenExpired; Unavailable where the keys can't be read."""
        digest = (tenant_id, hashlib.sha256(text.encode()).digest())
        known = self._known.get(digest)
        if known is None or known[0] not in issuers:  # the tenant may have taken it out
            known = self._known[digest] = await self._verified(text, tenant_id, issuers)
        _, principal, claims = known
        jwts.check_times(self._clock.now(), claims.exp, claims.nbf)
        return principal

    async def _verified(
        self, text: str, tenant_id: UUID, issuers: Sequence[IssuerSettings]
    ) -> tuple[IssuerSettings, Principal, _Claims]:
        header, named = jwts.header_of(text), jwts.issuer_of(text)
        candidates = [each for each in issuers if each.issuer == named and header.alg in each.algorithms]
        for issuer in candidates:
            key = await self._key(tenant_id, issuer.jwks_url, header)
            claims = jwts.verified(text, key, [header.alg])
            found = _read(claims, issuer)
            if found is not None:
                principal = Principal(Kind.CONTACT, tenant_id, found[0], ROLES[Role.CONTACT], contact=found[0])
                return issuer, principal, found[1]
        raise jwts.invalid()

    async def _key(self, tenant_id: UUID, url: str, header: jwts.Header) -> jwts.Key:
        """Raises TokenInvalid, Unavailable."""
        place = (tenant_id, url)
        known = self._keys.get(place)
        if known is None:
            known = self._keys[place] = _Keys()
        if not self._is_within(known.read_at, FRESH_S):
            await self._read(known, tenant_id, url, ASK_AGAIN_S if known.keys else AWAY_S)
        if not self._is_within(known.read_at, STALE_S):
            raise Unavailable("The keys of the token's issuer can't be read.", retry_after=AWAY_S)
        key = _fitting(known, header)
        if key is None:
            await self._read(known, tenant_id, url, ASK_AGAIN_S)
            key = _fitting(known, header)
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


def _fitting(known: _Keys, header: jwts.Header) -> jwts.Key | None:
    """The key that the token names, of the kind that its algorithm needs. One without a name fits if it is alone."""
    kind = RSAKey if header.alg == "RS256" else ECKey
    fitting = [key for kid, key in known.keys if isinstance(key, kind) and header.kid in (None, kid)]
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


def _read(claims: bytes, issuer: IssuerSettings) -> tuple[str, _Claims] | None:
    """The user, and the rest; None for a token that is for somebody else. Raises TokenInvalid."""
    try:
        found = msgspec.json.decode(claims, type=_Claims)
        user: object = msgspec.json.decode(claims, type=dict[str, Any]).get(issuer.user_id)
    except msgspec.DecodeError as error:
        raise jwts.invalid() from error
    audiences = [found.aud] if isinstance(found.aud, str) else found.aud
    if found.iss != issuer.issuer or issuer.audience not in audiences:
        return None
    if not isinstance(user, str) or not 1 <= len(user) <= 100 or "\x00" in user or not user.strip():
        sentence = f"its claim {issuer.user_id} must be a text of at most 100 characters"
        raise TokenInvalid(f"The token names no user: {sentence}.")
    return user, found

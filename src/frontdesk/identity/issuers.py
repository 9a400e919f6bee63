"""Tokens that a tenant's own issuer signs: its users converse as contacts whom the issuer vouches for."""

import hashlib
from collections.abc import Sequence
from typing import Any  # the claims that an issuer chose are JSON until they are checked
from uuid import UUID

import msgspec
from cachetools import TTLCache

from frontdesk.core.clock import Clock
from frontdesk.core.errors import TokenInvalid
from frontdesk.identity import jwts
from frontdesk.identity.models import Kind, Principal
from frontdesk.identity.permissions import ROLES, Role
from frontdesk.identity.published_keys import Fetch, PublishedKeys

KNOWN_S = 60.0


class IssuerSettings(msgspec.Struct, frozen=True):
    """One of a tenant's issuers: whose tokens, for whom, with which keys. `user_id`: the claim that names the user."""

    issuer: str
    audience: str
    jwks_url: str
    algorithms: tuple[str, ...] = ("RS256",)
    user_id: str = "sub"


class _Claims(msgspec.Struct, frozen=True):
    """What is looked at whoever issued it (RFC 7519, 4.1)."""

    iss: str
    aud: str | list[str]
    exp: float
    nbf: float | None = None


class Issuers:
    """A token counts for the tenant that is asked for, and only if that tenant names its issuer."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._keys = PublishedKeys(fetch, clock)
        self._clock = clock
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
            key = await self._keys.key(tenant_id, issuer.jwks_url, header.alg, header.kid)
            claims = jwts.verified(text, key, [header.alg])
            found = _read(claims, issuer)
            if found is not None:
                principal = Principal(Kind.CONTACT, tenant_id, found[0], ROLES[Role.CONTACT], contact=found[0])
                return issuer, principal, found[1]
        raise jwts.invalid()


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

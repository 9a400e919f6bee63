"""Tokens that a tenant's own issuer signs: it vouches for contacts, and for staff by roles that the tenant maps."""

import hashlib
from collections.abc import Sequence
from typing import Any  # the claims that an issuer chose are JSON until they are checked
from uuid import UUID

import msgspec
from cachetools import TTLCache

from frontdesk.core.clock import Clock
from frontdesk.core.errors import TokenInvalid
from frontdesk.identity import jwts
from frontdesk.identity.claimed_roles import IssuerRoles, role_of
from frontdesk.identity.models import Kind, Principal
from frontdesk.identity.permissions import ROLES, Permission, Role
from frontdesk.identity.published_keys import Fetch, PublishedKeys

KNOWN_S = 60.0


class IssuerSettings(msgspec.Struct, frozen=True):
    """One of a tenant's issuers: whose tokens, for whom, with which keys. `user_id`: the claim that names the user.

    Without `roles` whoever it names is a contact.
    """

    issuer: str
    audience: str
    jwks_url: str
    algorithms: tuple[str, ...] = ("RS256",)
    user_id: str = "sub"
    roles: IssuerRoles | None = None


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
                user, role, rest = found
                return issuer, _principal(tenant_id, issuer, user, role), rest
        raise jwts.invalid()


def _principal(tenant_id: UUID, issuer: IssuerSettings, user: str, role: Role | None) -> Principal:
    if role is None:
        return Principal(Kind.CONTACT, tenant_id, user, ROLES[Role.CONTACT], contact=user)
    # He has no account here: no password, no second factor, no sign-ins to list.
    return Principal(Kind.FEDERATED, tenant_id, f"{issuer.issuer} {user}", ROLES[role] - {Permission.ACCOUNT})


def _read(claims: bytes, issuer: IssuerSettings) -> tuple[str, Role | None, _Claims] | None:
    """The user, his role (None for a contact), and the rest; None for a token that is for somebody else.

    Raises TokenInvalid.
    """
    try:
        found = msgspec.json.decode(claims, type=_Claims)
        chosen = msgspec.json.decode(claims, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise jwts.invalid() from error
    audiences = [found.aud] if isinstance(found.aud, str) else found.aud
    if found.iss != issuer.issuer or issuer.audience not in audiences:
        return None
    user = chosen.get(issuer.user_id)
    if not isinstance(user, str) or not 1 <= len(user) <= 100 or "\x00" in user or not user.strip():
        sentence = f"its claim {issuer.user_id} must be a text of at most 100 characters"
        raise TokenInvalid(f"The token names no user: {sentence}.")
    return user, role_of(chosen, issuer.roles) if issuer.roles is not None else None, found

"""Tokens of our own: JWTs signed with RS256, for staff's sign-ins and for visitors of a widget."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from cachetools import TTLCache
from joserfc import jws

from frontdesk.core.clock import Clock
from frontdesk.core.errors import TokenInvalid
from frontdesk.core.ids import new_id
from frontdesk.identity import jwts
from frontdesk.identity.models import Kind, Principal
from frontdesk.identity.permissions import ROLES, Permission, Role
from frontdesk.identity.signing import ALGORITHM, LONGEST_S, SigningKeys
from frontdesk.identity.staff import Staff

ISSUER = AUDIENCE = "frontdesk"
# A token of staff's; a sign-in has a new one made when it is over.
STAFF_S = 600.0
# How long a verified token is known without its signature being looked at again.
KNOWN_S = 60.0
# How long another process may go on believing in a sign-in after it ended; in this process it counts at once.
ALIVE_S = 2.0
# Longer than a look-up can take that has read the sign-in before it ended.
_REMEMBERED_S = 60.0

# What the sign-in of a tenant may do by now; None when it is over.
SignIn = Callable[[UUID, UUID], Awaitable[frozenset[Permission] | None]]


class Issued(msgspec.Struct, frozen=True):
    token: str
    expires_at: datetime


class _Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """`sid`: a staff member's sign-in. `conversation`: a visitor's."""

    iss: str
    aud: str
    user_id: str
    tenant_id: UUID
    role: Role
    exp: int
    jti: str
    sid: UUID | None = None
    conversation: UUID | None = None


class Tokens:
    """A token that was verified stays known for a minute: turns pay a hash and a look into memory."""

    def __init__(self, keys: SigningKeys, clock: Clock, sign_in: SignIn) -> None:
        """`sign_in` is asked at most every ALIVE_S about each sign-in (tenant id, its id)."""
        self._keys = keys
        self._clock = clock
        self._sign_in = sign_in
        self._known: TTLCache[bytes, tuple[Principal, int, str]] = TTLCache(20_000, KNOWN_S, clock.monotonic)
        self._alive: TTLCache[UUID, frozenset[Permission] | None] = TTLCache(20_000, ALIVE_S, clock.monotonic)
        self._ended: TTLCache[UUID, bool] = TTLCache(20_000, _REMEMBERED_S, clock.monotonic)

    async def issue(self, staff: Staff, session_id: UUID) -> tuple[str, int]:
        """A token of a sign-in, and for how many seconds it is good. What it may is asked of the sign-in each time;
        its `role` is for those who read the token elsewhere."""
        issued = await self._issue(staff.tenant_id, str(staff.id), staff.role, STAFF_S, sid=session_id)
        return issued.token, int(STAFF_S)

    async def issue_to_visitor(self, tenant_id: UUID, user_id: str, conversation_id: UUID, lifetime_s: float) -> Issued:
        """For one conversation."""
        return await self._issue(tenant_id, user_id, Role.VISITOR, lifetime_s, conversation=conversation_id)

    async def principal(self, text: str) -> Principal:
        """Whom the token speaks for. Raises TokenInvalid, TokenExpired."""
        digest = hashlib.sha256(text.encode()).digest()
        known = self._known.get(digest)
        if known is None:
            known = self._known[digest] = await self._verified(text)
        elif await self._keys.public(known[2]) is None:
            raise jwts.invalid()  # what its key signed is void
        principal, exp, _ = known
        jwts.check_times(self._clock.now(), exp)
        if principal.session_id is None:
            return principal
        return msgspec.structs.replace(principal, permissions=await self._permissions(principal, principal.session_id))

    def ended(self, session_id: UUID) -> None:
        """The sign-in is over: its tokens are refused from now on in this process, within ALIVE_S in others."""
        self._ended[session_id] = True
        self._alive.pop(session_id, None)

    async def _permissions(self, principal: Principal, session_id: UUID) -> frozenset[Permission]:
        try:
            permissions = self._alive[session_id]
        except KeyError:
            permissions = self._alive[session_id] = await self._sign_in(principal.tenant_id, session_id)
        if permissions is None or session_id in self._ended:
            raise TokenInvalid("The sign-in is over.")
        return permissions

    async def _issue(
        self,
        tenant_id: UUID,
        user_id: str,
        role: Role,
        lifetime_s: float,
        *,
        sid: UUID | None = None,
        conversation: UUID | None = None,
    ) -> Issued:
        if not 0 < lifetime_s <= LONGEST_S:
            raise ValueError(f"a token is good for {LONGEST_S:.0f} s at most: its key is not published for longer")
        expires_at = (self._clock.now() + timedelta(seconds=lifetime_s)).replace(microsecond=0)
        exp = int(expires_at.timestamp())
        claims = _Claims(ISSUER, AUDIENCE, user_id, tenant_id, role, exp, str(new_id()), sid, conversation)
        key = await self._keys.signer()
        header = {"alg": ALGORITHM, "typ": "JWT", "kid": key.kid}
        return Issued(jws.serialize_compact(header, msgspec.json.encode(claims), key, [ALGORITHM]), expires_at)

    async def _verified(self, text: str) -> tuple[Principal, int, str]:
        """Whom it speaks for, until when, by which key."""
        header = jwts.header_of(text)
        kid = header.kid if header.alg == ALGORITHM else None
        key = await self._keys.public(kid) if kid is not None else None
        if kid is None or key is None:
            raise jwts.invalid()
        try:
            claims = msgspec.json.decode(jwts.verified(text, key, [ALGORITHM]), type=_Claims)
        except msgspec.DecodeError as error:
            raise jwts.invalid() from error
        last = self._clock.now().timestamp() + LONGEST_S + jwts.SKEW_S
        if claims.iss != ISSUER or claims.aud != AUDIENCE or claims.exp > last:
            raise jwts.invalid()
        return _principal(claims), claims.exp, kid


def _principal(claims: _Claims) -> Principal:
    """Raises TokenInvalid for one that no part of ours issues."""
    match claims:
        case _Claims(role=Role.VISITOR, sid=None, conversation=UUID() as conversation):
            return Principal(
                Kind.VISITOR,
                claims.tenant_id,
                claims.user_id,
                ROLES[Role.VISITOR],
                contact=claims.user_id,
                conversation_id=conversation,
            )
        case _Claims(role=Role.OWNER | Role.ADMIN | Role.SUPPORTER | Role.VIEWER, sid=UUID() as sid, conversation=None):
            return Principal(Kind.STAFF, claims.tenant_id, claims.user_id, frozenset(), session_id=sid)
        case _:
            raise jwts.invalid()

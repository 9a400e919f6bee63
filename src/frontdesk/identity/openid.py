"""Signing in with an OpenID Connect provider (OpenID Connect Core 1.0): authorization code, PKCE, nonce and state."""

import asyncio
import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol  # a provider's JSON is untyped until it is checked
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from cachetools import LRUCache, TTLCache
from joserfc import jws, jwt
from joserfc.errors import JoseError

from frontdesk import audit
from frontdesk.audit import Actor, Tally
from frontdesk.core.clock import Clock
from frontdesk.core.errors import FrontdeskError, TokenInvalid, Unavailable
from frontdesk.core.ids import new_id
from frontdesk.db import Database, TenantScope
from frontdesk.db.cipher import Cipher, DecryptFailed
from frontdesk.identity import staff_store
from frontdesk.identity.metrics import IdentityMetrics
from frontdesk.identity.permissions import Role
from frontdesk.identity.published_keys import PublishedKeys
from frontdesk.identity.sessions import Opened, Sessions
from frontdesk.identity.sign_in import SignInFailed
from frontdesk.identity.staff import Device, OpenIDSettings, SignInSettings, Staff, State, folded

ALGORITHMS = ["RS256", "ES256"]
UNDERWAY = timedelta(minutes=10)
SKEW_S = 60
KEPT_S = 300.0
_DAY_S = 86_400
_GUARDED = re.compile(r"(https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/])[^\s@]+$")


class OpenIDFailed(FrontdeskError):
    """The provider is away, or its answer is none that can be believed."""

    status, error_code = 502, "OPENID_FAILED"


class Web(Protocol):
    async def json(
        self, tenant_id: UUID, url: str, form: Mapping[str, str] | None = None, user: tuple[str, str] | None = None
    ) -> Any:
        """The JSON at an address that the tenant may reach; with `form` it is posted. Raises OpenIDFailed."""


class Underway(msgspec.Struct, frozen=True):
    """What the browser carries, sealed, between leaving and coming back."""

    state: str
    nonce: str
    verifier: str
    expires: float  # seconds since 1970


class Provider(msgspec.Struct, frozen=True):
    """Of its discovery document, what is needed."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class OpenID:
    def __init__(
        self, db: Database, clock: Clock, cipher: Cipher, web: Web, sessions: Sessions, denials: Tally,
        metrics: IdentityMetrics, base: str,
    ) -> None:  # fmt: skip
        self._db = db
        self._clock = clock
        self._cipher = cipher
        self._web = web
        self._keys = PublishedKeys(web.json, clock)
        self._sessions = sessions
        self._denials = denials
        self._metrics = metrics
        self.redirect = f"{base}/api/auth/openid/callback"
        self._described: TTLCache[tuple[UUID, str], Provider] = TTLCache(1000, KEPT_S)
        self._asking: LRUCache[tuple[UUID, str], asyncio.Lock] = LRUCache(1000)

    async def start(self, tenant_id: UUID, settings: OpenIDSettings) -> tuple[str, str]:
        """(where the browser goes, what it carries meanwhile). Raises OpenIDFailed."""
        provider = await self._discovered(tenant_id, settings)
        underway = Underway(
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(48),
            (self._clock.now() + UNDERWAY).timestamp(),
        )
        challenge = base64.urlsafe_b64encode(hashlib.sha256(underway.verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": self.redirect,
            "scope": "openid email profile",
            "state": underway.state,
            "nonce": underway.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if len(settings.domains) == 1:
            query["hd"] = settings.domains[0]  # Google: offers accounts of this domain; checked when it is back
        sealed = tenant_id.bytes + self._cipher.seal(tenant_id, msgspec.json.encode(underway))
        separator = "&" if "?" in provider.authorization_endpoint else "?"
        carried = base64.urlsafe_b64encode(sealed).decode()
        return f"{provider.authorization_endpoint}{separator}{urlencode(query)}", carried

    def tenant_of(self, carried: str) -> UUID:
        """Raises SignInFailed."""
        return self._opened(carried)[0]

    async def finish(
        self, settings: SignInSettings, client_secret: str, carried: str, state: str, code: str, device: Device
    ) -> Opened:
        """Raises SignInFailed for whom nobody invited, OpenIDFailed."""
        tenant_id, underway = self._opened(carried)
        openid = settings.openid
        if openid is None or not secrets.compare_digest(underway.state.encode(), state.encode()):
            raise self._failed(tenant_id, device, "This sign-in was not begun here. Begin again.")
        provider = await self._discovered(tenant_id, openid)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect,
            "code_verifier": underway.verifier,
        }
        answer = await self._web.json(tenant_id, provider.token_endpoint, form, (openid.client_id, client_secret))
        claims = await self._claims(tenant_id, provider, openid, underway.nonce, answer)
        email = _email(claims, openid)
        if email is None:
            raise self._failed(tenant_id, device, "This account may not sign in here.")
        now = self._clock.now()
        async with self._db.scope(tenant_id) as scope:
            staff = await self._found(
                scope, openid, str(claims["sub"]), email, str(claims.get("name") or email).replace("\x00", "")
            )
            if staff is not None:
                await staff_store.signed_in(scope, staff.id, now)
                session_id, token = await self._sessions.open(scope, staff, device, settings.session_days)
                actor = Actor("staff", str(staff.id), device.address)
                after = {"session": str(session_id), "way": "openid"}
                await audit.append(scope, actor, "staff.signed_in", f"staff/{staff.id}", after=after)
        if staff is None:
            raise self._failed(tenant_id, device, "This account may not sign in here.")
        self._metrics.sign_ins.labels("openid", "signed_in").inc()
        return await self._sessions.opened(staff, session_id, token, settings.session_days * _DAY_S)

    def _opened(self, carried: str) -> tuple[UUID, Underway]:
        try:
            sealed = base64.b64decode(carried, altchars=b"-_", validate=True)
            tenant_id = UUID(bytes=sealed[:16])
            underway = msgspec.json.decode(self._cipher.open(tenant_id, sealed[16:]), type=Underway)
        except (ValueError, DecryptFailed, msgspec.DecodeError) as error:
            raise SignInFailed("This sign-in was not begun here. Begin again.") from error
        if underway.expires < self._clock.now().timestamp():
            raise SignInFailed("This sign-in took too long. Begin again.")
        return tenant_id, underway

    async def _discovered(self, tenant_id: UUID, settings: OpenIDSettings) -> Provider:
        """Asked once for all who sign in meanwhile, and kept for minutes: anybody may begin a sign-in."""
        place = (tenant_id, settings.issuer)
        async with self._asking.setdefault(place, asyncio.Lock()):
            known = self._described.get(place)
            if known is None:
                known = self._described[place] = await self._asked(tenant_id, settings.issuer)
        return known

    async def _asked(self, tenant_id: UUID, issuer: str) -> Provider:
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            provider = msgspec.convert(await self._web.json(tenant_id, url), Provider)
        except msgspec.ValidationError as error:
            raise OpenIDFailed("The provider's description of itself can't be read.") from error
        if provider.issuer != issuer:
            raise OpenIDFailed("The provider calls itself by another name than the settings do.")
        endpoints = (provider.authorization_endpoint, provider.token_endpoint, provider.jwks_uri)
        if not all(_GUARDED.match(each) for each in endpoints):
            raise OpenIDFailed("The provider names addresses that are not https.")
        return provider

    async def _claims(
        self, tenant_id: UUID, provider: Provider, settings: OpenIDSettings, nonce: str, answer: Any
    ) -> dict[str, Any]:
        """Of the ID token, once everything about it is right (OpenID Connect Core 1.0, 3.1.3.7)."""
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock.now().timestamp()),
            leeway=SKEW_S,
            iss={"essential": True, "value": provider.issuer},
            aud={"essential": True, "value": settings.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            text = answer["id_token"]
            header = jws.extract_compact(text.encode()).headers()
            key = await self._keys.key(tenant_id, provider.jwks_uri, header["alg"], header.get("kid"))
            token = jwt.decode(text, key, algorithms=ALGORITHMS)
            registry.validate(token.claims)
        except Unavailable as error:
            raise OpenIDFailed("The provider's keys can't be read.") from error
        except (JoseError, KeyError, TypeError, ValueError, AttributeError, TokenInvalid) as error:
            raise OpenIDFailed("The provider's token can't be believed.") from error
        audience = token.claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and token.claims.get("azp") != settings.client_id:
            raise OpenIDFailed("The provider's token is for another program.")
        return dict(token.claims)

    async def _found(
        self, scope: TenantScope, settings: OpenIDSettings, subject: str, email: str, name: str
    ) -> Staff | None:
        """Who he is here: by his name at the provider, or by the address that he was invited with.

        Owners and operators are never known by an address.
        """
        await staff_store.take_turns(scope)
        subject = hashlib.sha256(f"{settings.issuer}\n{subject}".encode()).hexdigest()
        known = await staff_store.staff_by_openid(scope, subject)
        if known is not None:
            return known if known.state is State.ACTIVE else None
        invited = await staff_store.staff_by_email(scope, email)
        if invited is not None:
            if invited[0].role is Role.OWNER or invited[0].is_operator:
                return None  # they begin by their links: a provider would make whom it likes one of them
            return await staff_store.activate_by_openid(scope, invited[0].id, subject)
        if settings.role is None:
            return None
        added = await staff_store.add_staff(scope, new_id(), email, name[:100], settings.role, State.ACTIVE)
        return await staff_store.activate_by_openid(scope, added.id, subject) if added is not None else None

    def _failed(self, tenant_id: UUID, device: Device, detail: str) -> SignInFailed:
        self._metrics.sign_ins.labels("openid", "wrong").inc()
        self._denials.count(tenant_id, Actor("anonymous", "", device.address), "sign_in.failed", "staff")
        return SignInFailed(detail)


def _email(claims: Mapping[str, Any], settings: OpenIDSettings) -> str | None:
    """The address that the provider vouches for, if its domain is one of those that may."""
    if claims.get("email_verified") is not True or not isinstance(claims.get("email"), str):
        return None
    email = folded(claims["email"])
    domain = email.rpartition("@")[2]
    domains = {name.casefold() for name in settings.domains}
    if domains and domain not in domains:
        return None
    # Google: a private account may carry an address of the domain; one of the organisation says so itself.
    if settings.issuer == "https://accounts.google.com" and domains and claims.get("hd", "").casefold() not in domains:
        return None
    return email

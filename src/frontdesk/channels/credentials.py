"""Reads the credential that a request brings: an API key, a token, or a page's cookie with one."""

from collections.abc import Awaitable, Callable

from fastapi import Request

from frontdesk.agents.models import Tenant
from frontdesk.audit import Tally
from frontdesk.channels.addresses import client_address
from frontdesk.channels.cookies import ACCESS, SAFE_METHODS, brought, is_same_origin
from frontdesk.core.errors import TenantNotFound, TokenInvalid, Unauthenticated
from frontdesk.identity.api_keys import ApiKeys
from frontdesk.identity.issuers import Issuers
from frontdesk.identity.jwts import invalid, issuer_of
from frontdesk.identity.models import Kind, Principal
from frontdesk.identity.tokens import ISSUER, Tokens

Find = Callable[[], Awaitable[Tenant]]


class Credentials:
    """`X-API-Key` counts before `Authorization`, which a proxy in between may use for itself."""

    def __init__(self, api_keys: ApiKeys, tokens: Tokens, issuers: Issuers, uses: Tally) -> None:
        self._api_keys = api_keys
        self._tokens = tokens
        self._issuers = issuers
        self._uses = uses

    async def __call__(self, request: Request, find: Find | None = None) -> Principal | None:
        """None without one. `find`: the tenant whose issuers count too.

        Raises TokenInvalid, TokenExpired, Unavailable.
        """
        headers = request.headers
        key = headers.get("x-api-key")
        if key is not None:
            return await self._by_key(key, request)
        authorization = headers.get("authorization")
        if authorization is None:
            return await self._by_cookie(request)
        scheme, _, credential = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise TokenInvalid("The credential is not valid.")
        if credential.startswith("fd_"):
            return await self._by_key(credential, request)
        if find is None or issuer_of(credential) == ISSUER:
            return await self._tokens.principal(credential)
        try:
            tenant = await find()
        except TenantNotFound as error:
            raise invalid() from error
        principal = await self._issuers.principal(credential, tenant.id, tenant.settings.issuers)
        if principal.kind is Kind.FEDERATED:  # there is no sign-in here that would stand in the log
            actor = principal.actor(client_address(request))
            self._uses.count(tenant.id, actor, "token.used", f"tenant/{tenant.id}")
        return principal

    async def _by_key(self, key: str, request: Request) -> Principal:
        principal = await self._api_keys.principal(key)
        actor = principal.actor(client_address(request))
        self._uses.count(principal.tenant_id, actor, "key.used", f"key/{principal.id}")
        return principal

    async def _by_cookie(self, request: Request) -> Principal | None:
        """A browser sends it by itself: one that is not good, or may come from another site's page, is none."""
        token = brought(request, ACCESS)
        if not token or not (request.method in SAFE_METHODS or is_same_origin(request)):
            return None
        try:
            return await self._tokens.principal(token)
        except Unauthenticated:
            return None


def is_by_cookie(request: Request) -> bool:
    """Whether nobody chose to say who he is: then it is his browser that did."""
    return "authorization" not in request.headers and "x-api-key" not in request.headers

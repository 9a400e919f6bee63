"""Who calls, and whether they may: the one dependency of every route."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import ip_network
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import Depends, Path, Request

from frontdesk.agents.models import Tenant
from frontdesk.channels.addresses import Network, client_of, is_within, parsed
from frontdesk.channels.credentials import Find, is_by_cookie
from frontdesk.core.errors import (
    AddressRefused,
    ConversationNotFound,
    Forbidden,
    TenantNotFound,
    TenantSuspended,
    Unauthenticated,
)
from frontdesk.identity.models import Kind, Principal, anonymous, developer
from frontdesk.identity.permissions import ANONYMOUS, Permission

# Whose issuers count, where a path does not say it: a token of our own or a key does.
TENANT_HEADER = "x-tenant"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and the tenant that the call is about."""

    principal: Principal
    tenant: Tenant

    @property
    def contact(self) -> str | None:
        """The one contact whom he may see and speak for; None where he isn't bound to one."""
        return self.principal.contact

    def speaks_for(self, contact: str) -> None:
        """Raises Forbidden when he may not act for `contact`."""
        if self.principal.contact not in (None, contact):
            raise Forbidden("This credential speaks for another user_id.")

    def opens(self, conversation_id: UUID) -> None:
        """Raises ConversationNotFound when he is bound to another."""
        if self.principal.conversation_id not in (None, conversation_id):
            raise ConversationNotFound("There is no such session.")


class Authenticates(Protocol):
    async def __call__(self, request: Request, find: Find | None = None) -> Principal | None:
        """None without a credential. `find`: the tenant that is asked for, whose issuers count; None where that is the
        credential's own. Raises TokenInvalid, TokenExpired, Unavailable."""


class Access:
    """Makes the dependencies. Each refuses in the same order: who are you (401), whose is it (404), may you (403)."""

    def __init__(
        self,
        authenticate: Authenticates,
        tenant_named: Callable[[str], Awaitable[Tenant]],
        default_tenant: Callable[[], Awaitable[Tenant]],
        *,
        is_open: bool,
    ) -> None:
        """`is_open`: nobody on this machine is asked who he is (FRONTDESK_DEVELOPER)."""
        self._authenticate = authenticate
        self._tenant_named = tenant_named
        self._default_tenant = default_tenant
        self._is_open = is_open

    def named(self, permission: Permission) -> "Named":
        """For routes that name their tenant: `/api/{tenant}/…`."""
        return Named(self, permission)

    def default(self, permission: Permission) -> "Default":
        """For the short routes of the default tenant."""
        return Default(self, permission)

    def own(self, permission: Permission) -> "Own":
        """For `/api/admin/…`: the tenant is the credential's."""
        return Own(self, permission)

    def machine(self, permission: Permission) -> "Machine":
        """For what monitors read: from this machine itself without a credential."""
        return Machine(self, permission)

    async def to(self, find: Find, permission: Permission, request: Request) -> Caller:
        """Raises Unauthenticated, TenantNotFound, TenantSuspended, Forbidden."""
        principal = await self._who(request, find)
        tenant = await find()
        if principal is None or _is_beside_the_point(principal, tenant, permission, request):
            principal = self._nobody(tenant, permission, request)
        if principal.tenant_id != tenant.id:
            raise TenantNotFound("There is no such tenant, or it is not this credential's.")
        refuse_suspended(tenant)
        allowed(principal, permission)
        refuse_elsewhere(tenant, principal, permission, request)
        return Caller(principal, tenant)

    async def principal(self, permission: Permission, request: Request, find: Find | None = None) -> Principal | None:
        """Of a request that has to do with no tenant but its credential's. None: nobody said who he is."""
        principal = await self._who(request, find)
        if principal is not None:
            allowed(principal, permission)
        return principal

    def to_named(self, name: str, permission: Permission, request: Request) -> Awaitable[Caller]:
        return self.to(lambda: self._tenant_named(name), permission, request)

    def to_default(self, permission: Permission, request: Request) -> Awaitable[Caller]:
        return self.to(self._default_tenant, permission, request)

    async def to_own(self, permission: Permission, request: Request) -> Caller:
        named = request.headers.get(TENANT_HEADER)
        find = None if named is None else partial(self._tenant_named, named)
        principal = await self.principal(permission, request, find)
        if principal is None:
            if not self.is_open_to(request):
                raise _nobody_said()
            return await self.to_default(permission, request)
        tenant = await self._tenant_named(str(principal.tenant_id))
        refuse_suspended(tenant)
        refuse_elsewhere(tenant, principal, permission, request)
        return Caller(principal, tenant)

    async def may(self, tenant: Tenant, permission: Permission, request: Request) -> bool:
        """Of a public route that shows more to some. A credential that is not good is none there."""
        try:
            principal = await self._who(request) or self._nobody(tenant, permission, request)
        except Unauthenticated:
            return False
        return principal.tenant_id == tenant.id and permission in principal.permissions

    def is_open_to(self, request: Request) -> bool:
        return self._is_open and client_of(request).is_local

    async def _who(self, request: Request, find: Find | None = None) -> Principal | None:
        """Noted for the audit log, which hears of it when he is refused."""
        principal = request.scope["state"]["principal"] = await self._authenticate(request, find)
        return principal

    def _nobody(self, tenant: Tenant, permission: Permission, request: Request) -> Principal:
        """Who comes without a credential."""
        if self.is_open_to(request):
            return developer(tenant.id)
        unknown = anonymous(tenant.id)
        if tenant.settings.anonymous_chat and permission in unknown.permissions:
            return unknown
        raise _nobody_said()


class Public:
    """Declares that a route needs nobody: what it gives or takes is for everyone."""

    async def __call__(self) -> None:
        return None


public = Public()

FOR_ALL = [Depends(public)]


class Needed:
    """Declares what a route needs; a route without a declaration fails the start."""

    def __init__(self, access: Access, permission: Permission) -> None:
        self._access = access
        self.permission = permission


class Named(Needed):
    async def __call__(self, request: Request, tenant: Annotated[str, Path(description="its slug or id")]) -> Caller:
        return await self._access.to_named(tenant, self.permission, request)


class Default(Needed):
    async def __call__(self, request: Request) -> Caller:
        return await self._access.to_default(self.permission, request)


class Own(Needed):
    async def __call__(self, request: Request) -> Caller:
        return await self._access.to_own(self.permission, request)


class Machine(Needed):
    async def __call__(self, request: Request) -> None:
        principal = await self._access.principal(self.permission, request)
        if principal is None and not client_of(request).is_local:
            raise _nobody_said()


def refuse_elsewhere(tenant: Tenant, principal: Principal, permission: Permission, request: Request) -> None:
    """Raises AddressRefused for what is the tenant's own business, from an address that is not the tenant's."""
    networks = tenant.settings.admin_addresses
    if not networks or permission in ANONYMOUS or principal.kind in (Kind.CONTACT, Kind.VISITOR):
        return
    client = client_of(request)
    address = parsed(client.address)
    if not client.is_local and (address is None or not is_within(address, _networks(networks))):
        raise AddressRefused(f"This organisation takes no administration from {client.address}.")


@lru_cache(1000)
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


def allowed(principal: Principal, permission: Permission) -> None:
    """Raises Forbidden."""
    if permission not in principal.permissions:
        raise Forbidden(f"This needs the permission {permission}, which this credential does not have.")


def refuse_suspended(tenant: Tenant) -> None:
    """Raises TenantSuspended."""
    if tenant.is_suspended:
        raise TenantSuspended(f"The tenant {tenant.slug} is suspended.")


def _is_beside_the_point(principal: Principal, tenant: Tenant, permission: Permission, request: Request) -> bool:
    """A browser tells of a sign-in wherever it goes: on another tenant's page, or to chat, its owner is a visitor."""
    fits = principal.tenant_id == tenant.id and permission in principal.permissions
    return not fits and is_by_cookie(request) and tenant.settings.anonymous_chat and permission in ANONYMOUS


def _nobody_said() -> Unauthenticated:
    return Unauthenticated("This needs a credential: send Authorization: Bearer with a token or an API key.")

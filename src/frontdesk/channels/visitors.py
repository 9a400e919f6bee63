"""Tokens of visitors: for whoever comes to a tenant's page or widget, one conversation each."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response

from frontdesk.agents.models import Tenant
from frontdesk.channels.access import FOR_ALL, refuse_suspended
from frontdesk.channels.addresses import client_of
from frontdesk.channels.openapi import answers, failures
from frontdesk.core.clock import iso
from frontdesk.core.errors import (
    Forbidden,
    RateLimited,
    TenantNotFound,
    TenantSuspended,
    TokenExpired,
    TokenInvalid,
)
from frontdesk.core.ids import new_id
from frontdesk.core.json import dumps
from frontdesk.identity.models import Kind, Principal
from frontdesk.identity.tokens import Tokens
from frontdesk.quotas.quotas import Quotas

VISIT_S = 3600.0


class VisitorOut(msgspec.Struct, frozen=True):
    """`user_id` and `session_id` are what the token may be used with, and nothing else."""

    token: str
    user_id: str
    session_id: UUID
    expires_at: str


FORMS = (VisitorOut,)

_GIVEN = answers(201, VisitorOut, "The token") | failures(
    TenantNotFound, TenantSuspended, Forbidden, TokenInvalid, TokenExpired, RateLimited
)


def build_router(tokens: Tokens, quotas: Quotas, tenant_named: Callable[[str], Awaitable[Tenant]]) -> APIRouter:
    router = APIRouter(prefix="/api/public/widgets/{tenant}", tags=["widgets"], dependencies=FOR_ALL)

    @router.post("/tokens", status_code=201, responses=_GIVEN)
    async def create_visitor_token(tenant: str, request: Request) -> Response:
        """Come in as a visitor. Send a visitor's token along to keep its conversation for another hour."""
        found = await tenant_named(tenant)
        refuse_suspended(found)
        if not found.settings.widget.enabled:
            raise Forbidden("This organisation gives no tokens to visitors: see `widget.enabled`.")
        principal = await _visitor(tokens, found, request)
        client = client_of(request)
        await quotas.admit_visitor(found.id, found.slug, None if client.is_local else client.address)
        if principal is None:
            user_id, session_id = f"visitor-{new_id()}", new_id()
        else:
            assert principal.conversation_id is not None, "a visitor has one"
            user_id, session_id = principal.id, principal.conversation_id
        issued = await tokens.issue_to_visitor(found.id, user_id, session_id, VISIT_S)
        told = VisitorOut(issued.token, user_id, session_id, iso(issued.expires_at))
        return Response(dumps(told), 201, {"Cache-Control": "no-store"}, media_type="application/json")

    return router


async def _visitor(tokens: Tokens, tenant: Tenant, request: Request) -> Principal | None:
    """Whose token is to be renewed; None where none came along. Raises TokenInvalid, TokenExpired."""
    authorization = request.headers.get("authorization")
    if authorization is None:
        return None
    scheme, _, credential = authorization.partition(" ")
    principal = await tokens.principal(credential) if scheme.lower() == "bearer" else None
    if principal is None or principal.kind is not Kind.VISITOR or principal.tenant_id != tenant.id:
        raise TokenInvalid("The token is not valid.")
    return principal

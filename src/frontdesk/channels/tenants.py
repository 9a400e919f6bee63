"""Tenants over HTTP, for operators: listed, made, suspended, resumed, deleted. Nothing inside a tenant is shown."""

from typing import Annotated, Any, Literal
from uuid import UUID, uuid5

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator, BaseModel, Field, StrictStr

from frontdesk.apply import ApplyServices
from frontdesk.apply.forms import Language, Slug
from frontdesk.apply.new_tenants import Made, NewTenant, make_tenant
from frontdesk.channels.access import Access, Caller
from frontdesk.channels.addresses import client_address
from frontdesk.channels.bodies import READABLE, idempotency_key, read_form, readable
from frontdesk.channels.definitions import IfMatch
from frontdesk.channels.http import KEY_PARAMETER, UNREADABLE, Limit
from frontdesk.channels.openapi import answers, failures
from frontdesk.channels.staff_forms import Email, InvitedOut, StaffOut
from frontdesk.core.clock import iso
from frontdesk.core.errors import (
    Conflict,
    DefinitionError,
    IdempotencyConflict,
    PreconditionFailed,
    PreconditionRequired,
    TenantNotFound,
)
from frontdesk.core.ids import new_id
from frontdesk.core.json import dumps
from frontdesk.db import Database
from frontdesk.identity.permissions import Permission
from frontdesk.identity.staffing import Staffing
from frontdesk.tenants import life, store
from frontdesk.tenants.store import TenantName, TenantRow


class TenantIn(BaseModel, extra="forbid"):
    """A tenant to be made. Whoever owns it says the rest."""

    slug: Annotated[Slug, Field(strict=True, examples=["acme"])]
    name: Annotated[
        StrictStr,
        Field(min_length=1, max_length=500, examples=["Acme"], json_schema_extra={"pattern": READABLE}),
        AfterValidator(readable),
    ]
    languages: Annotated[list[Language], Field(min_length=1, max_length=20)] = ["en"]
    owner: Annotated[Email, Field(description="who is invited as its first owner")]


class StateIn(BaseModel, extra="forbid"):
    """The state that a tenant is to have."""

    state: Literal["active", "suspended"]


class TenantOut(msgspec.Struct, frozen=True):
    """A tenant as operators see it."""

    id: UUID
    slug: str
    name: str
    state: str
    created_at: str

    @classmethod
    def of(cls, tenant: TenantName | TenantRow) -> "TenantOut":
        return cls(tenant.id, tenant.slug, tenant.name, tenant.state, iso(tenant.created_at))


class TenantPage(msgspec.Struct, frozen=True):
    """By slug; `next_cursor` is null on the last page."""

    items: list[TenantOut]
    next_cursor: str | None


class MadeOut(msgspec.Struct, frozen=True):
    """The tenant, and whom it was given to."""

    tenant: TenantOut
    owner: InvitedOut

    @classmethod
    def of(cls, made: Made) -> "MadeOut":
        assert made.owner is not None, "the form has an owner"
        return cls(TenantOut.of(made.tenant), InvitedOut(StaffOut.of(made.owner.staff), made.owner.link))


FORMS = (TenantOut, TenantPage, MadeOut)

_NEW: dict[str, Any] = {
    "parameters": [KEY_PARAMETER],
    "requestBody": {"required": True, "content": {"application/json": {"schema": TenantIn.model_json_schema()}}},
}
_MADE = answers(201, MadeOut, "It is made") | failures(*UNREADABLE, DefinitionError, Conflict, IdempotencyConflict)
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": StateIn.model_json_schema()}}}}
_CHANGED = failures(TenantNotFound, Conflict, PreconditionFailed, PreconditionRequired)
_LISTED = answers(200, TenantPage, "The tenants")
_FOUND = answers(200, TenantOut, "The tenant") | failures(TenantNotFound)
_STATE = answers(200, TenantOut, "The tenant as it is now") | failures(*UNREADABLE) | _CHANGED
_DELETED = answers(202, TenantOut, "Its deletion has begun") | _CHANGED


def build_router(db: Database, applying: ApplyServices, staffing: Staffing, access: Access) -> APIRouter:
    router = APIRouter(prefix="/api/admin/tenants", tags=["admin"])
    manages = Depends(access.own(Permission.TENANTS_MANAGE))

    @router.get("", responses=_LISTED)
    async def list_tenants(
        caller: Annotated[Caller, manages],
        limit: Limit = 50,
        cursor: Annotated[str, Query(max_length=100, pattern="^[a-z0-9-]*$")] = "",
    ) -> Response:
        """Every tenant of the deployment, by slug."""
        found = await store.tenants_listed(db, cursor, limit + 1)
        next_cursor = found[limit - 1].slug if len(found) > limit else None
        page = TenantPage([TenantOut.of(each) for each in found[:limit]], next_cursor)
        return Response(dumps(page), media_type="application/json")

    @router.post("", status_code=201, responses=_MADE, openapi_extra=_NEW)
    async def create_tenant(caller: Annotated[Caller, manages], request: Request) -> Response:
        """Make a tenant that answers from its documents, and invite its first owner."""
        said = await read_form(request, TenantIn)
        key, who = idempotency_key(request), caller.principal
        tenant_id = new_id() if key is None else uuid5(who.tenant_id, f"{who.kind} {who.id} {key}")
        new = NewTenant(said.slug, said.name, {"languages": said.languages}, said.owner)
        made = await make_tenant(new, tenant_id, who.actor(client_address(request)), applying, staffing)
        headers = {"etag": _etag(made.tenant), "cache-control": "no-store"}
        return Response(dumps(MadeOut.of(made)), 201, headers, media_type="application/json")

    @router.get("/{tenant_id}", responses=_FOUND)
    async def get_tenant(caller: Annotated[Caller, manages], tenant_id: UUID) -> Response:
        """One tenant, with its ETag."""
        tenant = await store.tenant_named(db, str(tenant_id))
        if tenant is None:
            raise TenantNotFound("There is no such tenant.")
        return _tagged(tenant)

    @router.put("/{tenant_id}/state", responses=_STATE, openapi_extra=_BODY)
    async def put_state(
        caller: Annotated[Caller, manages], tenant_id: UUID, request: Request, if_match: IfMatch = None
    ) -> Response:
        """Suspend a tenant, or resume it. Needs `If-Match`."""
        wanted = await read_form(request, StateIn)
        _refuse_own(caller, tenant_id)
        change = life.suspend if wanted.state == "suspended" else life.resume
        actor = caller.principal.actor(client_address(request))
        return _tagged(await change(db, tenant_id, actor, lambda tenant: _refuse_stale(tenant, if_match)))

    @router.delete("/{tenant_id}", status_code=202, responses=_DELETED)
    async def delete_tenant(
        caller: Annotated[Caller, manages], tenant_id: UUID, request: Request, if_match: IfMatch = None
    ) -> Response:
        """Begin to delete everything of a tenant, which nothing can stop then. Needs `If-Match`."""
        _refuse_own(caller, tenant_id)
        actor = caller.principal.actor(client_address(request))
        return _tagged(await life.delete(db, tenant_id, actor, lambda tenant: _refuse_stale(tenant, if_match)), 202)

    return router


def _refuse_own(caller: Caller, tenant_id: UUID) -> None:
    """Who shuts himself out could not let himself in again."""
    if caller.tenant.id == tenant_id:
        raise Conflict(
            "This is the tenant that you belong to: only `frontdesk tenant` on the server changes its state."
        )


def _etag(tenant: TenantRow) -> str:
    return f'"{tenant.version}"'


def _refuse_stale(tenant: TenantRow, if_match: str | None) -> None:
    if if_match is None:
        raise PreconditionRequired("Send If-Match with the ETag of the tenant that you have read.")
    if if_match.strip() not in ("*", _etag(tenant)):
        raise PreconditionFailed("The tenant has changed since you read it. Read it again.")


def _tagged(tenant: TenantRow, status: int = 200) -> Response:
    return Response(dumps(TenantOut.of(tenant)), status, {"etag": _etag(tenant)}, media_type="application/json")

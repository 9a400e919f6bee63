"""A tenant's staff over HTTP, for those who manage it."""

import base64
import binascii
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from frontdesk.channels.access import Access, Caller
from frontdesk.channels.addresses import client_address
from frontdesk.channels.auth import body
from frontdesk.channels.bodies import idempotency_key, read_form
from frontdesk.channels.http import KEY_PARAMETER, UNREADABLE, Cursor, Limit
from frontdesk.channels.openapi import answers, failures, nothing
from frontdesk.channels.staff_forms import ChangeIn, InvitedOut, InviteIn, StaffOut, StaffPage
from frontdesk.core.errors import Conflict, FieldError, IdempotencyConflict, Invalid, NotFound, RateLimited
from frontdesk.core.json import dumps
from frontdesk.identity.permissions import Permission
from frontdesk.identity.staff import STAFF_ROLES, Staff, State
from frontdesk.identity.staffing import By, ChangedMeanwhile, Changes, LastOwner, Staffing
from frontdesk.quotas.quotas import Quotas

_PERSON = answers(200, StaffOut, "The person; `ETag` names the version")
_INVITED = answers(201, InvitedOut, "Invited") | failures(Conflict, RateLimited, *UNREADABLE)
_CHANGED = _PERSON | failures(NotFound, Conflict, LastOwner, ChangedMeanwhile, *UNREADABLE)
_REMOVED = nothing("Removed") | failures(LastOwner, ChangedMeanwhile)

IfMatch = Annotated[str, Header(description="the ETag that the change is meant for; left out: whichever")]
OfState = Annotated[State | None, Query(description="those alone who are in this state")]


def build_router(staffing: Staffing, access: Access, quotas: Quotas) -> APIRouter:
    router = APIRouter(prefix="/api/admin/staff", tags=["staff"])
    reads, writes = Depends(access.own(Permission.STAFF_READ)), Depends(access.own(Permission.STAFF_WRITE))

    @router.get("", responses=answers(200, StaffPage, "A page of the staff") | failures(Invalid))
    async def list_staff(
        caller: Annotated[Caller, reads], limit: Limit = 50, cursor: Cursor = "", state: OfState = None
    ) -> Response:
        """The tenant's staff, by e-mail address."""
        found = await staffing.listed(caller.tenant.id, _decoded(cursor), state, limit + 1)
        next_cursor = _encoded(found[limit - 1].email) if len(found) > limit else None
        page = StaffPage([StaffOut.of(staff) for staff in found[:limit]], next_cursor)
        return Response(dumps(page), media_type="application/json")

    @router.post(
        "",
        status_code=201,
        responses=_INVITED | failures(Conflict, IdempotencyConflict),
        openapi_extra=body(InviteIn) | {"parameters": [KEY_PARAMETER]},
    )
    async def invite(caller: Annotated[Caller, writes], request: Request) -> Response:
        """Invite somebody."""
        said = await read_form(request, InviteIn)
        if said.role not in STAFF_ROLES:
            message = f"must be one of {', '.join(STAFF_ROLES)}"
            raise Invalid(f"role: {message}.", errors=[FieldError("role", message)])
        tenant = caller.tenant
        name = said.name or said.email.partition("@")[0]
        await quotas.admit_invitation(tenant.id, tenant.slug)
        invited = await staffing.invite(
            tenant.id, tenant.name, _by(caller, request), said.email, name, said.role, idempotency_key(request)
        )
        form = InvitedOut(StaffOut.of(invited.staff), invited.link)
        return Response(dumps(form), 201, {"cache-control": "no-store"}, media_type="application/json")

    @router.get("/{staff_id}", responses=_PERSON | failures(NotFound))
    async def get_staff(caller: Annotated[Caller, reads], staff_id: UUID) -> Response:
        """One person."""
        return _person(await staffing.one(caller.tenant.id, staff_id))

    @router.patch("/{staff_id}", responses=_CHANGED, openapi_extra=body(ChangeIn))
    async def change_staff(
        caller: Annotated[Caller, writes], staff_id: UUID, request: Request, if_match: IfMatch = ""
    ) -> Response:
        """Change name, role or state. Who is disabled is signed out everywhere."""
        said = await read_form(request, ChangeIn)
        if said.role not in (None, *STAFF_ROLES) or said.state is State.INVITED:
            raise Invalid("The body is not valid: a role of staff, and `active` or `disabled`, can be set.")
        changes = Changes(said.name, said.role, said.state, said.is_operator)
        by = _by(caller, request)
        return _person(await staffing.change(caller.tenant.id, by, staff_id, _version(if_match), changes))

    @router.delete("/{staff_id}", status_code=204, responses=_REMOVED)
    async def remove_staff(
        caller: Annotated[Caller, writes], staff_id: UUID, request: Request, if_match: IfMatch = ""
    ) -> Response:
        """Remove somebody from the staff; safe to repeat."""
        await staffing.remove(caller.tenant.id, _by(caller, request), staff_id, _version(if_match))
        return Response(status_code=204)

    @router.post("/{staff_id}/invitation", status_code=201, responses=_INVITED | failures(NotFound))
    async def invite_again(caller: Annotated[Caller, writes], staff_id: UUID, request: Request) -> Response:
        """A new invitation for who has not accepted; the link of the old one is good no more."""
        tenant = caller.tenant
        await quotas.admit_invitation(tenant.id, tenant.slug)
        invited = await staffing.invite_again(tenant.id, tenant.name, _by(caller, request), staff_id)
        form = InvitedOut(StaffOut.of(invited.staff), invited.link)
        return Response(dumps(form), 201, {"cache-control": "no-store"}, media_type="application/json")

    @router.delete("/{staff_id}/sessions", status_code=204, responses=nothing("Signed out") | failures(NotFound))
    async def end_sessions(caller: Annotated[Caller, writes], staff_id: UUID, request: Request) -> Response:
        """Sign somebody out everywhere."""
        await staffing.end_sessions(caller.tenant.id, _by(caller, request), staff_id)
        return Response(status_code=204)

    return router


def _by(caller: Caller, request: Request) -> By:
    return By(caller.principal, caller.principal.actor(client_address(request)))


def _person(staff: Staff) -> Response:
    return Response(dumps(StaffOut.of(staff)), headers={"etag": f'"{staff.version}"'}, media_type="application/json")


def _version(if_match: str) -> int | None:
    """Raises ChangedMeanwhile for a tag that is none of ours."""
    if if_match in ("", "*"):
        return None
    number = if_match.removeprefix("W/").strip('"')
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise ChangedMeanwhile("If-Match is no ETag of this person.")
    return int(number)


def _encoded(email: str) -> str:
    return base64.urlsafe_b64encode(email.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> str:
    """Raises Invalid."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        text = "\x00"
    if "\x00" in text:
        message = "is none that was given"
        raise Invalid(f"cursor: {message}.", errors=[FieldError("cursor", message)])
    return text

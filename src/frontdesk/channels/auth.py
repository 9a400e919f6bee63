"""Signing in and out over HTTP, and one's own account."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any  # JSON Schemas are JSON
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel
from starlette.responses import HTMLResponse, RedirectResponse

from frontdesk.agents.models import Tenant
from frontdesk.channels import cookies
from frontdesk.channels.access import FOR_ALL, Access, Caller, refuse_suspended
from frontdesk.channels.addresses import client_address, client_of
from frontdesk.channels.bodies import read_form
from frontdesk.channels.http import UNREADABLE, Limit
from frontdesk.channels.openapi import answers, failures, nothing
from frontdesk.channels.staff_forms import (
    AcceptIn,
    CodeIn,
    ConfirmIn,
    ForgotIn,
    LinkIn,
    LinkOut,
    MeOut,
    OptionsOut,
    PasswordIn,
    ProposedOut,
    RecoveryCodesOut,
    RefreshIn,
    ResetIn,
    SignInIn,
    SignInOut,
    SignInsOut,
    TokensOut,
)
from frontdesk.core.errors import (
    Conflict,
    CrossSite,
    Forbidden,
    FrontdeskError,
    NotFound,
    RateLimited,
    TenantNotFound,
    TenantSuspended,
    TokenInvalid,
)
from frontdesk.core.json import dumps
from frontdesk.identity.account import Account, PasswordWrong
from frontdesk.identity.links import LinkInvalid
from frontdesk.identity.models import Kind
from frontdesk.identity.openid import OpenID
from frontdesk.identity.permissions import Permission
from frontdesk.identity.sessions import Opened, Sessions
from frontdesk.identity.sign_in import SecondFactorNeeded, SignIn, SignInFailed
from frontdesk.identity.staff import Device, folded
from frontdesk.identity.staffing import Staffing
from frontdesk.identity.welcome import Welcome
from frontdesk.quotas.quotas import Quotas

_DEVICE_CHARS = 200

_TOKENS = answers(200, TokensOut, "Signed in; with `cookies` the body is empty") | nothing("Signed in, by cookies")
_TENANT = failures(TenantNotFound, TenantSuspended)
_SIGN_IN = _TOKENS | _TENANT | failures(SignInFailed, SecondFactorNeeded, RateLimited, *UNREADABLE)
_REFRESH = _TOKENS | failures(TokenInvalid, TenantSuspended, Conflict, *UNREADABLE)
_LINK = failures(LinkInvalid, TenantSuspended, *UNREADABLE)

# Our own page begins this navigation, so that its strict cookies are sent along; a redirect would be the provider's.
_ARRIVED = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Signed in</title>
<meta http-equiv="refresh" content="0;url=/console"></head><body><a href="/console">Signed in. Go on.</a></body></html>
"""


def body(form: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI shows of a body that the endpoint reads itself."""
    schema = form.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs", {})
    for field in schema["properties"].values():  # enums stand in the field: nothing is left to refer to
        for part in (field, *field.get("anyOf", ())):
            if (name := part.pop("$ref", "").rpartition("/")[2]) in definitions:
                part.update({"type": "string", "enum": field.pop("enum", definitions[name]["enum"])})
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


class Auth:
    """The parts behind the routes."""

    def __init__(
        self, sign_in: SignIn, sessions: Sessions, account: Account, staffing: Staffing, welcome: Welcome,
        openid: OpenID, *, has_mail: bool, tenant_named: Callable[[str], Awaitable[Tenant]],
        default_tenant: Callable[[], Awaitable[Tenant]], secret: Callable[[UUID, str], Awaitable[str | None]],
        quotas: Quotas,
    ) -> None:  # fmt: skip
        """`secret`: a tenant's secret by its name."""
        self.sign_in = sign_in
        self.sessions = sessions
        self.account = account
        self.staffing = staffing
        self.welcome = welcome
        self.openid = openid
        self.has_mail = has_mail
        self._tenant_named = tenant_named
        self._default_tenant = default_tenant
        self.secret = secret
        self._quotas = quotas

    async def tenant(self, name: str | None) -> Tenant:
        """The default one without a name. Raises TenantNotFound, TenantSuspended: nobody signs in to one."""
        found = await (self._tenant_named(name) if name else self._default_tenant())
        refuse_suspended(found)
        return found

    async def admit(self, tenant: Tenant, request: Request) -> None:
        """Of a sign-in, and of each way to a provider or back. Raises RateLimited."""
        client = client_of(request)
        await self._quotas.admit_sign_in(tenant.id, tenant.slug, None if client.is_local else client.address)


def device_of(request: Request) -> Device:
    agent = request.headers.get("user-agent", "")
    return Device(client_address(request), "".join(filter(str.isprintable, agent))[:_DEVICE_CHARS])


def build_router(auth: Auth, access: Access) -> APIRouter:
    router = APIRouter(prefix="/api/auth", tags=["sign-in"])
    _add_signing_in(router, auth)
    _add_links(router, auth)
    _add_openid(router, auth)
    _add_account(router, auth, access)
    _add_proofs(router, auth, access)
    return router


def _add_signing_in(router: APIRouter, auth: Auth) -> None:
    @router.get("/options", responses=answers(200, OptionsOut, "Ways to sign in") | _TENANT,
                dependencies=FOR_ALL)  # fmt: skip
    async def options(tenant: str = "") -> Response:
        """How staff of a tenant may sign in."""
        found = await auth.tenant(tenant)
        sign_in = found.settings.sign_in
        title = sign_in.openid.title if sign_in.openid is not None else None
        return _json(OptionsOut(found.slug, found.name, sign_in.password, title, auth.has_mail))

    @router.post("/sign-in", responses=_SIGN_IN, openapi_extra=body(SignInIn), dependencies=FOR_ALL)
    async def sign_in(request: Request) -> Response:
        """Sign in with a password, and a code where a second factor is on."""
        said = await read_form(request, SignInIn)
        if said.cookies:
            cookies.from_own_page(request)
        tenant = await auth.tenant(said.tenant)
        await auth.admit(tenant, request)
        opened = await auth.sign_in.with_password(
            tenant.id, tenant.settings.sign_in, folded(said.email), said.password, said.code, device_of(request)
        )
        return _signed_in(request, opened, by_cookies=said.cookies)

    @router.post("/refresh", responses=_REFRESH, openapi_extra=body(RefreshIn), dependencies=FOR_ALL)
    async def refresh(request: Request) -> Response:
        """Both tokens anew. A refresh token that was used before ends the sign-in."""
        token = (await read_form(request, RefreshIn)).refresh_token
        by_cookies = token is None
        if by_cookies:
            cookies.from_own_page(request)
            token = cookies.brought(request, cookies.REFRESH)
        try:
            await auth.tenant(str(auth.sessions.tenant_of(token or "")))  # before the token is used up
        except TenantNotFound as error:
            raise TokenInvalid("The refresh token is not valid.") from error
        opened = await auth.sessions.refresh(token or "", device_of(request))
        return _signed_in(request, opened, by_cookies=by_cookies)

    @router.post("/sign-out", status_code=204, openapi_extra=body(RefreshIn), dependencies=FOR_ALL,
                 responses=nothing("Signed out") | failures(*UNREADABLE))  # fmt: skip
    async def sign_out(request: Request) -> Response:
        """End this sign-in."""
        token = (await read_form(request, RefreshIn)).refresh_token
        if token is None:
            cookies.from_own_page(request)
            token = cookies.brought(request, cookies.REFRESH)
        await auth.sessions.sign_out(token, client_address(request))
        response = Response(status_code=204)
        cookies.take_away(response, is_secure=cookies.is_secure(request))
        return response


def _add_links(router: APIRouter, auth: Auth) -> None:
    forgotten = answers(202, dict[str, str], "The same whether there is such an account")

    @router.post("/forgot", status_code=202, openapi_extra=body(ForgotIn), dependencies=FOR_ALL,
                 responses=forgotten | _TENANT | failures(RateLimited, *UNREADABLE))  # fmt: skip
    async def forgot(request: Request) -> Response:
        """Have a link for a new password sent, if there is such an account."""
        said = await read_form(request, ForgotIn)
        tenant = await auth.tenant(said.tenant)
        await auth.staffing.forgot(tenant.id, tenant.name, said.email, client_address(request))
        detail = (
            "If there is such an account, a link is on its way."
            if auth.has_mail
            else "This server sends no mail. Who runs it can make a link: frontdesk staff reset-link."
        )
        return _json({"detail": detail}, 202)

    @router.post("/link", responses=answers(200, LinkOut, "What it is for") | _LINK, openapi_extra=body(LinkIn),
                 dependencies=FOR_ALL)  # fmt: skip
    async def link(request: Request) -> Response:
        """What a single-use link is for; uses nothing up."""
        shown = await auth.welcome.show((await read_form(request, LinkIn)).token)
        tenant = await auth.tenant(str(shown.tenant_id))
        return _json(LinkOut(shown.purpose, tenant.slug, tenant.name, shown.email, shown.name))

    @router.post("/accept", responses=_TOKENS | _LINK | failures(Conflict), openapi_extra=body(AcceptIn),
                 dependencies=FOR_ALL)  # fmt: skip
    async def accept(request: Request) -> Response:
        """Begin as the first owner, or accept an invitation; signed in at once."""
        said = await read_form(request, AcceptIn)
        if said.cookies:
            cookies.from_own_page(request)
        tenant = await auth.tenant(str(auth.welcome.tenant_of(said.token)))
        opened = await auth.welcome.accept(
            said.token, tenant.settings.sign_in, said.email, said.name, said.password, device_of(request)
        )
        return _signed_in(request, opened, by_cookies=said.cookies)

    @router.post("/reset", status_code=204, responses=nothing("The new password is good") | _LINK,
                 openapi_extra=body(ResetIn), dependencies=FOR_ALL)  # fmt: skip
    async def reset(request: Request) -> Response:
        """Choose a new password; every sign-in ends."""
        said = await read_form(request, ResetIn)
        await auth.tenant(str(auth.welcome.tenant_of(said.token)))
        await auth.welcome.reset(said.token, said.password, device_of(request))
        return Response(status_code=204)


def _add_openid(router: APIRouter, auth: Auth) -> None:
    """Navigations of a browser: what fails is told by the sign-in page."""

    @router.get("/openid/start", include_in_schema=False, dependencies=FOR_ALL)
    async def start(request: Request, tenant: str = "") -> Response:
        try:
            # Another site's page could begin a sign-in that ends with its own account.
            if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
                raise CrossSite("A sign-in begins on this server's own page.")
            found = await auth.tenant(tenant)
            if found.settings.sign_in.openid is None:
                raise NotFound("This tenant has no provider to sign in with.")
            await auth.admit(found, request)
            address, carried = await auth.openid.start(found.id, found.settings.sign_in.openid)
        except FrontdeskError as error:
            return _back(error)
        response = RedirectResponse(address, 303)
        cookies.put_underway(response, carried, is_secure=cookies.is_secure(request))
        return response

    @router.get("/openid/callback", include_in_schema=False, dependencies=FOR_ALL)
    async def callback(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
        try:
            if error or not code:
                raise SignInFailed("The provider did not let this sign-in go on.")
            carried = cookies.brought(request, cookies.OPENID)
            tenant = await auth.tenant(str(auth.openid.tenant_of(carried)))
            await auth.admit(tenant, request)
            settings = tenant.settings.sign_in
            name = settings.openid.client_secret if settings.openid is not None else ""
            secret = await auth.secret(tenant.id, name) or ""
            opened = await auth.openid.finish(settings, secret, carried, state, code, device_of(request))
        except FrontdeskError as failure:
            return _back(failure)
        response = HTMLResponse(_ARRIVED, headers={"cache-control": "no-store"})
        cookies.put(response, opened, is_secure=cookies.is_secure(request))
        cookies.take_underway_away(response, is_secure=cookies.is_secure(request))
        return response


def _add_account(router: APIRouter, auth: Auth, access: Access) -> None:
    """Who one is, and one's sign-ins."""
    me = Depends(access.own(Permission.ACCOUNT))

    @router.get("/me", responses=answers(200, MeOut, "Who calls") | failures(NotFound))
    async def who(caller: Annotated[Caller, me]) -> Response:
        """Who calls, and what he may."""
        principal, tenant = caller.principal, caller.tenant
        permissions = sorted(principal.permissions)
        if principal.kind is not Kind.STAFF:
            return _json(MeOut(principal.kind, principal.id, tenant.slug, tenant.name, permissions))
        staff, secrets = await auth.account.of(tenant.id, UUID(principal.id))
        return _json(
            MeOut(
                principal.kind,
                principal.id,
                tenant.slug,
                tenant.name,
                permissions,
                email=staff.email,
                name=staff.name,
                role=staff.role,
                is_operator=staff.is_operator,
                second_factor=staff.has_second_factor,
                recovery_codes=secrets.recovery_codes_left,
                password=secrets.password_hash is not None,
                session_id=principal.session_id,
            )
        )

    @router.get("/sessions", responses=answers(200, SignInsOut, "The newest first"))
    async def sessions(
        caller: Annotated[Caller, me],
        limit: Limit = 50,
        cursor: Annotated[UUID | None, Query(description="the next_cursor of an earlier answer")] = None,
    ) -> Response:
        """One's own sign-ins."""
        found = await auth.sessions.of(caller.tenant.id, _staff_id(caller), cursor, limit + 1)
        next_cursor = str(found[limit - 1].id) if len(found) > limit else None
        items = [SignInOut.of(session, caller.principal.session_id) for session in found[:limit]]
        return _json(SignInsOut(items, next_cursor))

    @router.delete("/sessions", status_code=204, responses=nothing("They have ended"))
    async def end_others(caller: Annotated[Caller, me], request: Request) -> Response:
        """End all of one's sign-ins but this one."""
        actor = caller.principal.actor(client_address(request))
        await auth.sessions.end_others(caller.tenant.id, _staff_id(caller), caller.principal.session_id, actor)
        return Response(status_code=204)

    @router.delete("/sessions/{session_id}", status_code=204, responses=nothing("It has ended"))
    async def end(caller: Annotated[Caller, me], session_id: UUID, request: Request) -> Response:
        """End one of one's sign-ins; safe to repeat."""
        actor = caller.principal.actor(client_address(request))
        await auth.sessions.end(caller.tenant.id, _staff_id(caller), session_id, actor)
        return Response(status_code=204)


def _add_proofs(router: APIRouter, auth: Auth, access: Access) -> None:
    """By what one shows who one is: the password and the second factor."""
    me = Depends(access.own(Permission.ACCOUNT))
    confirmed = failures(PasswordWrong, RateLimited, *UNREADABLE)

    @router.put("/password", status_code=204, openapi_extra=body(PasswordIn),
                responses=nothing("Changed; other sign-ins have ended") | confirmed)  # fmt: skip
    async def password(caller: Annotated[Caller, me], request: Request) -> Response:
        """Change one's password."""
        said = await read_form(request, PasswordIn)
        await auth.account.change_password(
            caller.tenant.id, _staff_id(caller), caller.principal.session_id, said.current, said.new,
            device_of(request),
        )  # fmt: skip
        return Response(status_code=204)

    @router.post("/second-factor", openapi_extra=body(ConfirmIn),
                 responses=answers(200, ProposedOut, "To be confirmed with a code") | failures(Conflict) | confirmed
                 )  # fmt: skip
    async def propose(caller: Annotated[Caller, me], request: Request) -> Response:
        """Begin to set up a second factor, with one's password: nothing changes before it is confirmed."""
        said = await read_form(request, ConfirmIn)
        tenant = caller.tenant
        proposed = await auth.account.propose_second_factor(tenant.id, _staff_id(caller), tenant.name, said.password)
        return _json(ProposedOut(proposed.secret, proposed.address))

    @router.put("/second-factor", openapi_extra=body(CodeIn),
                responses=answers(200, RecoveryCodesOut, "It is on") | failures(Conflict, RateLimited, *UNREADABLE)
                )  # fmt: skip
    async def confirm(caller: Annotated[Caller, me], request: Request) -> Response:
        """Turn the second factor on with a code of the app."""
        said = await read_form(request, CodeIn)
        codes = await auth.account.confirm_second_factor(
            caller.tenant.id, _staff_id(caller), said.code, device_of(request)
        )
        return _json(RecoveryCodesOut(codes))

    @router.post("/second-factor/remove", status_code=204, openapi_extra=body(ConfirmIn),
                 responses=nothing("It is off") | confirmed)  # fmt: skip
    async def remove(caller: Annotated[Caller, me], request: Request) -> Response:
        """Turn the second factor off."""
        said = await read_form(request, ConfirmIn)
        await auth.account.remove_second_factor(caller.tenant.id, _staff_id(caller), said.password, device_of(request))
        return Response(status_code=204)


def _staff_id(caller: Caller) -> UUID:
    if caller.principal.kind is not Kind.STAFF:
        raise Forbidden("Only staff have an account. Sign in.")
    return UUID(caller.principal.id)


def _signed_in(request: Request, opened: Opened, *, by_cookies: bool) -> Response:
    if not by_cookies:
        return _json(TokensOut.of(opened))
    response = Response(status_code=204)
    cookies.put(response, opened, is_secure=cookies.is_secure(request))
    return response


def _back(error: FrontdeskError) -> Response:
    return RedirectResponse(f"/sign-in#problem={error.error_code}", 303)


def _json(form: object, status: int = 200) -> Response:
    return Response(dumps(form), status, {"cache-control": "no-store"}, media_type="application/json")

"""The visitor's page: its files, what it shows of the tenant, and the passages that citations open."""

import hashlib
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Response
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse

from frontdesk.agents.models import Tenant
from frontdesk.channels.access import FOR_ALL, Access, Caller, refuse_suspended
from frontdesk.channels.openapi import answers, failures
from frontdesk.channels.outgoing import PageOut
from frontdesk.console import CONTENT_SECURITY_POLICY, STATIC
from frontdesk.core.errors import PassageNotFound, TenantNotFound, TenantSuspended
from frontdesk.core.json import dumps
from frontdesk.identity.permissions import Permission
from frontdesk.knowledge.models import Excerpt
from frontdesk.knowledge.service import Knowledge

TenantNamed = Callable[[str], Awaitable[Tenant]]

_CONTEXT_CHARS = 600

_ABOUT = answers(200, PageOut, "About the tenant") | failures(TenantNotFound, TenantSuspended)
_PASSAGE = answers(200, Excerpt, "The passage") | failures(TenantNotFound, PassageNotFound)

_PAGE_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


class PageDefinitions(msgspec.Struct, frozen=True):
    """What the page shows of a tenant: whether the built-in model answers alone, agents' titles by name."""

    is_local: bool
    titles: dict[str, str]


def build_router(
    knowledge: Knowledge, access: Access, tenant_named: TenantNamed, default_tenant: Callable[[], Awaitable[Tenant]],
    definitions_of: Callable[[Tenant], Awaitable[PageDefinitions]],
) -> APIRouter:  # fmt: skip

    router = APIRouter(tags=["page"])
    chats = Depends(access.named(Permission.CHAT))
    # Only what was there at the start is served: a path of the request never reaches the file system.
    files = {file.relative_to(STATIC).as_posix(): file for file in STATIC.rglob("*") if file.is_file()}

    @router.get("/", include_in_schema=False, dependencies=FOR_ALL)
    async def page() -> Response:
        return FileResponse(STATIC / "index.html", headers=_PAGE_HEADERS)

    @router.get("/t/{tenant}", include_in_schema=False, dependencies=FOR_ALL)
    async def tenant_page(tenant: str) -> Response:
        return FileResponse(STATIC / "index.html", headers=_PAGE_HEADERS)

    @router.get("/t/{tenant}/messages/{message_id}/explanation", include_in_schema=False, dependencies=FOR_ALL)
    async def explanation_page(tenant: str, message_id: str) -> Response:
        return FileResponse(STATIC / "explanation.html", headers=_PAGE_HEADERS)

    for path in ("/sign-in", "/welcome", "/reset", "/console", "/console/{page}"):

        @router.get(path, include_in_schema=False, dependencies=FOR_ALL)
        async def console_page() -> Response:
            return FileResponse(STATIC / "console.html", headers=_PAGE_HEADERS)

    @router.get("/favicon.ico", include_in_schema=False, dependencies=FOR_ALL)
    async def favicon() -> Response:
        return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml")

    @router.get("/static/{path:path}", include_in_schema=False, dependencies=FOR_ALL)
    async def static(path: str, request: Request) -> Response:
        file = files.get(path)
        if file is None:
            raise HTTPException(404)
        # Revalidated each time, answered with 304 mostly: a new version is seen at once, without a build step's names.
        tag = f'"{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"'
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return FileResponse(file, headers=headers)

    @router.get("/api/{tenant}/page", responses=_ABOUT, dependencies=FOR_ALL)
    async def about(tenant: str, request: Request) -> Response:
        """What the page shows of a tenant before anybody has said anything."""
        return await _about(await tenant_named(tenant), request)

    @router.get("/page", responses=_ABOUT, dependencies=FOR_ALL)
    async def about_default(request: Request) -> Response:
        """The same for the default tenant."""
        return await _about(await default_tenant(), request)

    async def _about(found: Tenant, request: Request) -> Response:
        refuse_suspended(found)
        defined = await definitions_of(found)
        about = PageOut(
            slug=found.slug,
            name=found.name,
            greeting=found.settings.greeting,
            suggestions=found.settings.suggestions,
            languages=found.settings.languages,
            local=defined.is_local,
            agents=defined.titles,
            visits=found.settings.widget.enabled and not found.settings.anonymous_chat,
            explains=await access.may(found, Permission.CONVERSATIONS_READ, request),
            version=version("frontdesk"),
        )
        return Response(dumps(about), media_type="application/json")

    @router.get("/api/{tenant}/passages/{passage_id}", responses=_PASSAGE)
    async def passage(caller: Annotated[Caller, chats], passage_id: UUID) -> Response:
        """The passage that a citation names, with the text around it."""
        around = await knowledge.document_around(caller.tenant.id, passage_id, _CONTEXT_CHARS)
        return Response(dumps(around), media_type="application/json")

    return router

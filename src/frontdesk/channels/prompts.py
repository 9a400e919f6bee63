"""Prompts over HTTP beside their definition: earlier versions, what differs, and how one would read."""

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field, StrictStr

from frontdesk.agents import store
from frontdesk.agents.prompts import Prompts, diff
from frontdesk.channels.access import Access, Caller, allowed
from frontdesk.channels.bodies import read_form
from frontdesk.channels.definitions import Name
from frontdesk.channels.http import UNREADABLE, Limit
from frontdesk.channels.openapi import answers, failures, schema_of
from frontdesk.core.errors import DefinitionError, FieldError, Invalid, NotFound
from frontdesk.core.json import dumps
from frontdesk.db import Database
from frontdesk.identity.permissions import Permission
from frontdesk.tools.templates import TemplateFailed

Version = Annotated[int, Query(ge=1, le=2**31 - 1)]


class PromptVersion(msgspec.Struct, frozen=True):
    version: int
    template: str


class PromptVersions(msgspec.Struct, frozen=True):
    """The newest first; `next_cursor` is null on the last page."""

    items: list[PromptVersion]
    next_cursor: str | None


class PromptDiff(msgspec.Struct, frozen=True):
    """`diff` is in the unified form; empty where the texts are the same."""

    name: str
    before: int
    after: int
    diff: str


class PreviewIn(BaseModel, extra="forbid"):
    """For whom a prompt is to be rendered."""

    agent: Annotated[StrictStr, Field(min_length=1, max_length=60)]
    template: Annotated[
        StrictStr | None, Field(max_length=200_000, description="left out: the prompt as it is stored")
    ] = None


class Preview(msgspec.Struct, frozen=True):
    """The text as the agent's instructions would have it."""

    agent: str
    text: str


FORMS = (PromptVersion, PromptVersions, PromptDiff, Preview)

_VERSIONS = answers(200, PromptVersions, "Its versions") | failures(NotFound)
_DIFF = answers(200, PromptDiff, "What differs") | failures(NotFound)
_PREVIEW = answers(200, Preview, "The text") | failures(*UNREADABLE, NotFound, DefinitionError)
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": schema_of(PreviewIn), "example": {"agent": "general_info"}}},
    }
}


def build_router(database: Database, prompts: Prompts, access: Access) -> APIRouter:
    router = APIRouter(prefix="/api/admin/prompts/{name}", tags=["admin"])
    reads = Depends(access.own(Permission.DEFINITIONS_READ))

    @router.get("/versions", responses=_VERSIONS)
    async def list_prompt_versions(
        caller: Annotated[Caller, reads],
        name: Name,
        limit: Limit = 50,
        cursor: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="the next_cursor of before")] = None,
    ) -> Response:
        """The last hundred texts of the prompt. To go back to one, store it again."""
        async with database.scope(caller.tenant.id) as scope:
            found = await store.prompt_versions(scope, name, limit + 1, cursor)
        if not found and cursor is None:
            raise NotFound(f"There is no prompt {name}.")
        items = [PromptVersion(each.version, each.template) for each in found[:limit]]
        return _json(PromptVersions(items, str(items[-1].version) if len(found) > limit else None))

    @router.get("/diff", responses=_DIFF)
    async def diff_prompt(caller: Annotated[Caller, reads], name: Name, before: Version, after: Version) -> Response:
        """What differs between two versions."""
        async with database.scope(caller.tenant.id) as scope:
            old, new = await store.prompt_at(scope, name, before), await store.prompt_at(scope, name, after)
        return _json(PromptDiff(name, before, after, diff(old, new)))

    @router.post("/preview", responses=_PREVIEW, openapi_extra=_BODY)
    async def preview_prompt(caller: Annotated[Caller, reads], name: Name, request: Request) -> Response:
        """How the prompt, or a text in its place (needs definitions:write), reads for an agent. Nothing is stored."""
        wanted = await read_form(request, PreviewIn)
        if wanted.template is not None:
            allowed(caller.principal, Permission.DEFINITIONS_WRITE)
        return _json(await _preview(database, prompts, caller.tenant.id, name, wanted))

    return router


async def _preview(database: Database, prompts: Prompts, tenant_id: UUID, name: str, wanted: PreviewIn) -> Preview:
    async with database.scope(tenant_id) as scope:
        definitions = await store.load_definitions(scope)
    agent, prompt = definitions.agents.get(wanted.agent), definitions.prompts.get(name)
    if agent is None:
        raise Invalid(f"There is no agent {wanted.agent}.", errors=[FieldError("agent", "there is no such agent")])
    if wanted.template is None and prompt is None:
        raise NotFound(f"There is no prompt {name}.")
    template = wanted.template if wanted.template is not None else prompt.template if prompt is not None else ""
    try:
        return Preview(agent.name, prompts.preview(definitions, agent, template))
    except TemplateFailed as error:
        raise DefinitionError(f"template: {error}", errors=[FieldError("template", str(error))]) from error


def _json(body: object) -> Response:
    return Response(dumps(body), media_type="application/json")

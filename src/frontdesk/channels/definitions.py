"""Agents, tools, prompts and LLM aliases over HTTP: each as its file says it, checked and stored with all others."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any  # definitions are JSON until their form has checked them
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi import Path as InPath
from pydantic import ValidationError

from frontdesk.agents import store
from frontdesk.apply import ApplyServices
from frontdesk.apply.change import Edit, change
from frontdesk.apply.forms import AgentForm, AliasForm, Form, PromptForm, ToolForm
from frontdesk.apply.written import Values, values_of
from frontdesk.channels.access import Access, Caller
from frontdesk.channels.addresses import client_address
from frontdesk.channels.bodies import invalid, read_object
from frontdesk.channels.http import UNREADABLE, Limit
from frontdesk.channels.openapi import described, failures, nothing, page_of, schema_of
from frontdesk.core.errors import (
    Conflict,
    DefinitionError,
    FieldError,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    QuotaReached,
)
from frontdesk.core.json import dumps
from frontdesk.identity.permissions import Permission
from frontdesk.tenants.store import TenantRow

# As large as the file may be.
MOST = 1_000_000

Name = Annotated[str, InPath(pattern=r"^[a-z][a-z0-9_]{0,59}$", description="small letters, digits and `_`")]
IfMatch = Annotated[
    str | None,
    Header(max_length=200, description="the ETag of what is to be replaced; needed where there is something"),
]
# What has a NUL character is no text for the database.
STORABLE = r"^[^\x00]*$"
After = Annotated[str, Query(max_length=300, pattern=STORABLE, description="the next_cursor of an earlier answer")]
Having = Annotated[str, Query(alias="name", max_length=60, description="only those whose name has this in it")]

CHANGED = failures(*UNREADABLE, DefinitionError, Conflict, PreconditionFailed, PreconditionRequired, QuotaReached)


@dataclass(frozen=True, slots=True)
class DefinitionKind:
    """One kind: its place in paths, and where it stands among the files."""

    path: str
    one: str
    file: str  # with `{name}`: where what is wrong with one is told to be
    form: type[Form]
    example: dict[str, Any]
    read: Callable[[Values], dict[str, dict[str, Any]]]
    put: Callable[[Values, str, dict[str, Any]], None]
    remove: Callable[[Values, str], object]


def _of_files(path: str, one: str, form: type[Form], example: dict[str, Any]) -> DefinitionKind:
    """A kind with a YAML file for each."""
    start, end = f"{path}/", ".yaml"

    def read(values: Values) -> dict[str, dict[str, Any]]:
        return {file[len(start) : -len(end)]: value for file, value in values.items() if file.startswith(start)}

    def put(values: Values, name: str, definition: dict[str, Any]) -> None:
        values[f"{start}{name}{end}"] = definition

    def remove(values: Values, name: str) -> None:
        values.pop(f"{start}{name}{end}", None)

    return DefinitionKind(path, one, f"{start}{{name}}{end}", form, example, read, put, remove)


def _prompts(values: Values) -> dict[str, dict[str, Any]]:
    return {
        file.removeprefix("prompts/").removesuffix(".md"): {"template": text}
        for file, text in values.items()
        if file.startswith("prompts/")
    }


def _put_prompt(values: Values, name: str, definition: dict[str, Any]) -> None:
    try:
        values[f"prompts/{name}.md"] = PromptForm.model_validate(definition).template
    except ValidationError as error:
        raise invalid(error) from None


def _aliases(values: Values) -> dict[str, dict[str, Any]]:
    aliases: dict[str, dict[str, Any]] = values["llm.yaml"]["aliases"]
    return aliases


def _put_alias(values: Values, name: str, definition: dict[str, Any]) -> None:
    _aliases(values)[name] = definition


KINDS = (
    _of_files(
        "agents",
        "agent",
        AgentForm,
        {
            "title": "Billing",
            "description": "Answers questions about bills.",
            "examples": ["Why is my bill so high?", "Can I pay in two parts?"],
            "prompt": "general_info",
        },
    ),
    _of_files(
        "tools",
        "tool",
        ToolForm,
        {
            "description": "Says what a parcel's number stands for.",
            "http": {"url": "https://parcels.example.com/v1/parcels/${arguments.number}"},
            "input_schema": {
                "type": "object",
                "required": ["number"],
                "properties": {"number": {"type": "string", "x-question": {"en": "What is its number?"}}},
            },
        },
    ),
    DefinitionKind(
        "prompts",
        "prompt",
        "prompts/{name}.md",
        PromptForm,
        {"template": "You answer for {{ organisation }}. {{ agent.description }}\n"},
        _prompts,
        _put_prompt,
        lambda values, name: values.pop(f"prompts/{name}.md", None),
    ),
    DefinitionKind(
        "aliases",
        "alias",
        "llm.yaml: aliases.{name}",
        AliasForm,
        {"chain": [[{"provider": "local", "model": "extractive"}]], "temperature": 0.2},
        _aliases,
        _put_alias,
        lambda values, name: _aliases(values).pop(name, None),
    ),
)


class Defining:
    """What the routes do, the same for every kind."""

    def __init__(self, services: ApplyServices, folders: Mapping[str, Path]) -> None:
        """`folders`: the deployment's own, by slug, which have the functions of `python` tools."""
        self._services = services
        self._folders = folders

    async def values(self, tenant_id: UUID) -> Values:
        """As they are stored: what turns use has the deployment's limits in it. Raises TenantNotFound."""
        async with self._services.database.scope(tenant_id) as scope:
            return values_of(await store.load_definitions(scope))

    async def change(
        self, caller: Caller, request: Request, file: str, edit: Edit, of: TenantRow | None = None
    ) -> Values:
        """What stands there now. `of`: the tenant where it is not the caller's own. Raises as `apply.change`; what is
        wrong in `file` is told by its field alone."""
        tenant = of or caller.tenant
        actor = caller.principal.actor(client_address(request))
        try:
            return values_of(await change(tenant.id, edit, actor, self._services, self._folders.get(tenant.slug)))
        except DefinitionError as error:
            errors = [FieldError(_within(file, each.field), each.message) for each in error.errors]
            raise DefinitionError(error.detail, errors=errors) from None


def build_router(defining: Defining, access: Access) -> APIRouter:
    router = APIRouter(prefix="/api/admin", tags=["admin"])
    for kind in KINDS:
        _add(router, kind, defining, access)
    return router


def _add(router: APIRouter, kind: DefinitionKind, defining: Defining, access: Access) -> None:
    """The four routes of one kind."""
    reads = Depends(access.own(Permission.DEFINITIONS_READ))
    writes = Depends(access.own(Permission.DEFINITIONS_WRITE))
    form = schema_of(kind.form)
    item = _item_schema(form)
    example = {"name": "billing", "etag": etag_of(kind.example), "definition": kind.example}
    body = {
        "requestBody": {"required": True, "content": {"application/json": {"schema": form, "example": kind.example}}}
    }
    missing = failures(NotFound)

    def at(path: str, what: str) -> dict[str, Any]:
        return {"operation_id": f"{what}_{path}", "summary": f"{what.capitalize()} {path}"}

    @router.get(
        f"/{kind.path}",
        **at(kind.path, "list"),
        description=f"The tenant's {kind.path}, by name; `name` finds those that have it in theirs.",
        responses=described(
            200, page_of(item), f"The {kind.path}, by name", {"items": [example], "next_cursor": "billing"}
        ),
    )
    async def list_them(
        caller: Annotated[Caller, reads], limit: Limit = 50, cursor: After = "", having: Having = ""
    ) -> Response:
        found = sorted(kind.read(await defining.values(caller.tenant.id)).items())
        wanted = [(each, value) for each, value in found if each > cursor and having in each]
        items = [_item(each, value) for each, value in wanted[:limit]]
        return _json({"items": items, "next_cursor": wanted[limit - 1][0] if len(wanted) > limit else None})

    @router.get(
        f"/{kind.path}/{{name}}",
        **at(kind.one, "get"),
        description=f"The {kind.one} as its file would say it, with its ETag.",
        responses=described(200, item, f"The {kind.one}", example, tagged=True) | missing,
    )
    async def get_it(caller: Annotated[Caller, reads], name: Name) -> Response:
        found = kind.read(await defining.values(caller.tenant.id)).get(name)
        if found is None:
            raise NotFound(f"There is no {kind.one} {name}.")
        return tagged(_item(name, found))

    @router.put(
        f"/{kind.path}/{{name}}",
        **at(kind.one, "put"),
        openapi_extra=body,
        responses=described(200, item, "It is stored", example, tagged=True) | CHANGED,
        description=f"Store the {kind.one}: as its file would say it, checked together with everything else. "
        "Replacing one needs `If-Match` with its ETag; a new one needs none.",
    )
    async def put_it(
        caller: Annotated[Caller, writes], name: Name, request: Request, if_match: IfMatch = None
    ) -> Response:
        definition = await read_object(request, MOST)

        def edit(values: Values) -> None:
            refuse_stale(kind.read(values).get(name), if_match, is_replaced=True)
            kind.put(values, name, definition)

        return tagged(
            _item(name, kind.read(await defining.change(caller, request, kind.file.format(name=name), edit))[name])
        )

    @router.delete(
        f"/{kind.path}/{{name}}",
        **at(kind.one, "delete"),
        status_code=204,
        responses=nothing("It is gone") | failures(DefinitionError, Conflict, PreconditionFailed),
        description=f"Remove the {kind.one}; safe to repeat. 422 names what still uses it.",
    )
    async def delete_it(
        caller: Annotated[Caller, writes], name: Name, request: Request, if_match: IfMatch = None
    ) -> Response:
        def edit(values: Values) -> None:
            found = kind.read(values).get(name)
            if found is not None:
                refuse_stale(found, if_match, is_replaced=False)
                kind.remove(values, name)

        await defining.change(caller, request, kind.file.format(name=name), edit)
        return Response(status_code=204)


def refuse_stale(found: dict[str, Any] | None, if_match: str | None, *, is_replaced: bool) -> None:
    """Raises PreconditionFailed where `found` is not what the caller has read; PreconditionRequired where he should
    have said."""
    if if_match is None:
        if is_replaced and found is not None:
            raise PreconditionRequired("It is there already: send If-Match with its ETag to replace it.")
    elif found is None or if_match not in ("*", etag_of(found)):
        raise PreconditionFailed("It has changed since it was read: read it again.")


def etag_of(definition: dict[str, Any]) -> str:
    return f'"{hashlib.sha256(dumps(_ordered(definition))).hexdigest()[:32]}"'


def tagged(item: dict[str, Any]) -> Response:
    response = _json(item)
    response.headers["ETag"] = item["etag"]
    return response


def _within(file: str, field: str) -> str:
    rest = field.removeprefix(file)
    return field if rest == field else rest.lstrip(":,. ")


def _item(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "etag": etag_of(definition), "definition": definition}


def _item_schema(form: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["name", "etag", "definition"],
        "additionalProperties": False,
        "properties": {"name": {"type": "string"}, "etag": {"type": "string"}, "definition": form},
    }


def _ordered(value: Any) -> Any:
    """Objects by their keys: the database keeps no order of them."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(each) for each in value] if isinstance(value, list) else value


def _json(body: Any) -> Response:
    return Response(dumps(body), media_type="application/json")

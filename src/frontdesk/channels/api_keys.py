"""API keys over HTTP: made, listed and revoked by who may."""

from datetime import UTC, datetime
from typing import Annotated, Any  # a key's fields by name
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StrictStr

from frontdesk.channels.access import Access, Caller
from frontdesk.channels.addresses import client_address
from frontdesk.channels.bodies import READABLE, idempotency_key, read_form, readable
from frontdesk.channels.http import KEY_PARAMETER, UNREADABLE, Limit
from frontdesk.channels.openapi import answers, failures, nothing
from frontdesk.core.clock import iso
from frontdesk.core.errors import Conflict, IdempotencyConflict, NotFound
from frontdesk.core.json import dumps
from frontdesk.identity.api_key_store import ApiKey
from frontdesk.identity.api_keys import ApiKeys
from frontdesk.identity.permissions import SCOPES, Permission

_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


class ApiKeyIn(BaseModel, extra="forbid"):
    """A key to be made."""

    name: Annotated[
        StrictStr,
        Field(
            min_length=1,
            max_length=100,
            description="what it is for, as its owners read it",
            json_schema_extra={"pattern": READABLE},
        ),
        AfterValidator(readable),
    ]
    scopes: Annotated[
        list[StrictStr],
        Field(
            min_length=1,
            max_length=100,
            description="what it may: some of what its maker may",
            json_schema_extra={"items": {"enum": sorted(SCOPES)}},
        ),
    ]
    expires_at: Annotated[
        AwareDatetime | None,
        Field(lt=_FOREVER, description="left out: it is good until it is revoked"),
    ] = None


class ApiKeyOut(msgspec.Struct, frozen=True):
    """A key without its secret, which is nowhere; `last_used_at` is right to a minute."""

    id: UUID
    prefix: str
    name: str
    scopes: tuple[str, ...]
    made_by: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyOut":
        return cls(**_fields(key))


class NewApiKeyOut(ApiKeyOut, frozen=True):
    """A key that was just made: `key` is shown this once."""

    key: str

    @classmethod
    def made(cls, key: ApiKey, text: str) -> "NewApiKeyOut":
        return cls(**_fields(key), key=text)


class ApiKeyPage(msgspec.Struct, frozen=True):
    """The newest first; `next_cursor` is null on the last page."""

    items: list[ApiKeyOut]
    next_cursor: str | None


FORMS = (ApiKeyOut, ApiKeyPage, NewApiKeyOut)

_BODY: dict[str, Any] = {
    "parameters": [KEY_PARAMETER],
    "requestBody": {"required": True, "content": {"application/json": {"schema": ApiKeyIn.model_json_schema()}}},
}
_LISTED = answers(200, ApiKeyPage, "The keys")
_MADE = answers(201, NewApiKeyOut, "The key, with its secret") | failures(*UNREADABLE, Conflict, IdempotencyConflict)
_REVOKED = nothing("It is revoked") | failures(NotFound)


def build_router(api_keys: ApiKeys, access: Access) -> APIRouter:
    router = APIRouter(prefix="/api/admin/keys", tags=["admin"])
    reads = Depends(access.own(Permission.KEYS_READ))
    writes = Depends(access.own(Permission.KEYS_WRITE))

    @router.get("", responses=_LISTED)
    async def list_keys(
        caller: Annotated[Caller, reads],
        limit: Limit = 50,
        cursor: Annotated[UUID | None, Query(description="the next_cursor of an earlier answer")] = None,
    ) -> Response:
        """The API keys of the organisation, revoked ones too."""
        keys = await api_keys.listed(caller.tenant.id, cursor, limit + 1)
        next_cursor = str(keys[limit - 1].id) if len(keys) > limit else None
        return _json(ApiKeyPage([ApiKeyOut.of(key) for key in keys[:limit]], next_cursor))

    @router.post("", status_code=201, responses=_MADE, openapi_extra=_BODY)
    async def create_key(caller: Annotated[Caller, writes], request: Request) -> Response:
        """Make an API key. Its text is in this answer and nowhere else."""
        wanted = await read_form(request, ApiKeyIn)
        key, text = await api_keys.create(
            caller.tenant.id,
            caller.principal.actor(client_address(request)),
            wanted.name,
            wanted.scopes,
            wanted.expires_at,
            caller.principal.permissions,
            idempotency_key(request),
        )
        response = _json(NewApiKeyOut.made(key, text), 201)
        response.headers["Cache-Control"] = "no-store"
        return response

    @router.delete("/{key_id}", status_code=204, responses=_REVOKED)
    async def revoke_key(caller: Annotated[Caller, writes], key_id: UUID, request: Request) -> Response:
        """Revoke an API key: at once in this process, within two seconds in others."""
        await api_keys.revoke(caller.tenant.id, caller.principal.actor(client_address(request)), key_id)
        return Response(status_code=204)

    return router


def _fields(key: ApiKey) -> dict[str, Any]:
    fields = msgspec.structs.asdict(key)
    for name in ("created_at", "expires_at", "last_used_at", "revoked_at"):
        fields[name] = iso(fields[name]) if fields[name] is not None else None
    return fields


def _json(body: object, status: int = 200) -> Response:
    return Response(dumps(body), status, media_type="application/json")

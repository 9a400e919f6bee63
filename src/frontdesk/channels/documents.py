"""Documents over HTTP: put in, listed, read and removed one by one, with the same checks as files."""

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from frontdesk import audit
from frontdesk.channels.access import Access, Caller
from frontdesk.channels.addresses import client_address
from frontdesk.channels.bodies import READABLE, read_body
from frontdesk.channels.definitions import STORABLE, After, IfMatch
from frontdesk.channels.http import Limit
from frontdesk.channels.openapi import answers, failures, nothing
from frontdesk.core.clock import iso
from frontdesk.core.errors import (
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    TooLarge,
    UnsupportedType,
)
from frontdesk.core.json import dumps
from frontdesk.core.limits import Limits
from frontdesk.db import TenantScope
from frontdesk.identity.permissions import Permission
from frontdesk.knowledge.models import DocumentEntry, Source
from frontdesk.knowledge.parse import MAX_BYTES, MAX_NAME, DocumentRefused
from frontdesk.knowledge.service import Knowledge

DocumentName = Annotated[
    str,
    Path(min_length=1, max_length=MAX_NAME, pattern=READABLE, description="such as `prices.md` or `forms/visa.html`"),
]
# What browsers send by themselves to other sites is not among them.
TYPES = ("application/octet-stream", "text/markdown", "text/html")


class DocumentOut(msgspec.Struct, frozen=True):
    """A document; `etag` changes whenever it is put again."""

    id: UUID
    name: str
    title: str
    media_type: str
    characters: int
    updated_at: str
    etag: str

    @classmethod
    def of(cls, entry: DocumentEntry) -> "DocumentOut":
        fields = msgspec.structs.asdict(entry) | {"updated_at": iso(entry.updated_at), "etag": f'"{entry.id}"'}
        return cls(**fields)


class DocumentPage(msgspec.Struct, frozen=True):
    """By name; `next_cursor` is null on the last page."""

    items: list[DocumentOut]
    next_cursor: str | None


class DocumentText(msgspec.Struct, frozen=True):
    """A document as it is searched: its text without markup."""

    document: DocumentOut
    text: str


FORMS = (DocumentOut, DocumentPage, DocumentText)

_LISTED = answers(200, DocumentPage, "The documents")
_FOUND = answers(200, DocumentText, "The document") | failures(NotFound)
_STORED = answers(200, DocumentOut, "It is stored") | failures(
    TooLarge, UnsupportedType, DocumentRefused, PreconditionFailed, PreconditionRequired
)
_GONE = nothing("It is gone") | failures(PreconditionFailed)
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {
                "schema": {"type": "string", "format": "binary"},
                "example": "# Prices\n\nA loaf costs four euros.\n",
            }
            for kind in TYPES
        },
    }
}


def build_router(knowledge: Knowledge, defaults: Limits, access: Access) -> APIRouter:
    """`defaults`: the limits of tenants that have none of their own."""
    router = APIRouter(prefix="/api/admin/documents", tags=["admin"])
    reads = Depends(access.own(Permission.DEFINITIONS_READ))
    writes = Depends(access.own(Permission.DEFINITIONS_WRITE))

    @router.get("", responses=_LISTED)
    async def list_documents(
        caller: Annotated[Caller, reads],
        limit: Limit = 50,
        cursor: After = "",
        name: Annotated[
            str, Query(max_length=100, pattern=STORABLE, description="only those whose name begins so")
        ] = "",
    ) -> Response:
        """The documents, by name."""
        found = await knowledge.documents(caller.tenant.id, limit + 1, cursor, name)
        items = [DocumentOut.of(entry) for entry in found[:limit]]
        return _json(DocumentPage(items, items[-1].name if len(found) > limit else None))

    @router.get("/{name:path}", responses=_FOUND)
    async def get_document(caller: Annotated[Caller, reads], name: DocumentName) -> Response:
        """One document with its text."""
        entry, text = await knowledge.document(caller.tenant.id, name)
        return _tagged(DocumentText(DocumentOut.of(entry), text), entry)

    @router.put("/{name:path}", responses=_STORED, openapi_extra=_BODY)
    async def put_document(
        caller: Annotated[Caller, writes], name: DocumentName, request: Request, if_match: IfMatch = None
    ) -> Response:
        """Store a document: Markdown, HTML or plain text, by the name's ending. Replacing one needs `If-Match`."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in TYPES:
            raise UnsupportedType(f"Send the document's bytes with Content-Type: {' or '.join(TYPES)}.")
        if any(not part.strip() or part.startswith((".", " ")) or "\\" in part for part in name.split("/")):
            raise DocumentRefused("A document's name is that of a file inside a folder: no part may begin with a dot.")
        content = await read_body(request, MAX_BYTES)
        actor, settings = caller.principal.actor(client_address(request)), caller.tenant.settings

        async def may(scope: TenantScope, found: UUID | None) -> None:
            _refuse_stale(found, if_match, is_replaced=True)
            action = "document.added" if found is None else "document.changed"
            await audit.append(scope, actor, action, f"document/{name}", after={"bytes": len(content)})

        entry = await knowledge.put(
            caller.tenant.id, Source(name, content), may,
            limits=settings.limits.over(defaults),
            chunk_tokens=settings.chunk_tokens, chunk_overlap=settings.chunk_overlap,
        )  # fmt: skip
        return _tagged(DocumentOut.of(entry), entry)

    @router.delete("/{name:path}", status_code=204, responses=_GONE)
    async def delete_document(
        caller: Annotated[Caller, writes], name: DocumentName, request: Request, if_match: IfMatch = None
    ) -> Response:
        """Remove a document with its passages; safe to repeat."""
        actor = caller.principal.actor(client_address(request))

        async def may(scope: TenantScope, found: UUID) -> None:
            _refuse_stale(found, if_match, is_replaced=False)
            await audit.append(scope, actor, "document.removed", f"document/{name}")

        await knowledge.remove(caller.tenant.id, name, may)
        return Response(status_code=204)

    return router


def _refuse_stale(found: UUID | None, if_match: str | None, *, is_replaced: bool) -> None:
    """As of definitions; the tag is the row's id, which is another after each change."""
    if if_match is None:
        if is_replaced and found is not None:
            raise PreconditionRequired("It is there already: send If-Match with its ETag to replace it.")
    elif found is None or if_match not in ("*", f'"{found}"'):
        raise PreconditionFailed("It has changed since it was read: read it again.")


def _tagged(body: object, entry: DocumentEntry) -> Response:
    response = _json(body)
    response.headers["ETag"] = f'"{entry.id}"'
    return response


def _json(body: object) -> Response:
    return Response(dumps(body), media_type="application/json")

"""Data subjects' requests over HTTP: everything about one contact, given out or erased.

The contact stands in the body: paths and queries end in the logs of whatever is in between.
"""

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from pydantic import AfterValidator, BaseModel, Field, StrictStr
from starlette.responses import StreamingResponse

from frontdesk.channels.access import Access, Caller
from frontdesk.channels.addresses import client_address
from frontdesk.channels.auth import body
from frontdesk.channels.bodies import READABLE, read_form, readable
from frontdesk.channels.http import UNREADABLE
from frontdesk.channels.openapi import answers, failures, json_lines
from frontdesk.conversations.personal_data import PersonalData, Receipt
from frontdesk.identity.permissions import Permission


class ContactIn(BaseModel, extra="forbid"):
    """Whom it is about."""

    user_id: Annotated[
        StrictStr,
        Field(min_length=1, max_length=100, json_schema_extra={"pattern": READABLE}),
        AfterValidator(readable),
    ]


FORMS = (Receipt,)

_EXPORTED = json_lines("Everything, a row in each line; the receipt last") | failures(*UNREADABLE)
_ERASED = answers(200, Receipt, "What was erased, and what of it stays") | failures(*UNREADABLE)


def build_router(personal: PersonalData, access: Access) -> APIRouter:
    router = APIRouter(prefix="/api/admin/contacts", tags=["admin"])
    exports = Depends(access.own(Permission.CONTACTS_EXPORT))
    erases = Depends(access.own(Permission.CONTACTS_ERASE))

    @router.post("/export", response_class=StreamingResponse, responses=_EXPORTED, openapi_extra=body(ContactIn))
    async def export_contact(caller: Annotated[Caller, exports], request: Request) -> StreamingResponse:
        """Everything that is stored about a contact, opened. Without the receipt at its end it is not whole."""
        said = await read_form(request, ContactIn)
        actor = caller.principal.actor(client_address(request))
        lines = personal.export(caller.tenant.id, said.user_id, actor)
        first = await anext(lines)  # there is one, and what fails before it is answered as an error

        async def whole() -> AsyncIterator[bytes]:
            yield first
            async for line in lines:
                yield line

        return StreamingResponse(whole(), media_type="application/x-ndjson")

    @router.post("/erase", responses=_ERASED, openapi_extra=body(ContactIn))
    async def erase_contact(caller: Annotated[Caller, erases], request: Request) -> Response:
        """Erase everything that is stored about a contact, for good. May be repeated."""
        said = await read_form(request, ContactIn)
        receipt = await personal.erase(caller.tenant.id, said.user_id, caller.principal.actor(client_address(request)))
        # In the bytes that its hash was made of.
        return Response(msgspec.json.encode(receipt), media_type="application/json")

    return router

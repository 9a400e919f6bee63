"""The audit log over HTTP: an organisation's own entries, for who may read them."""

from datetime import UTC, datetime
from typing import Annotated, Any  # before and after are JSON of any shape

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, AwareDatetime

from frontdesk.audit.models import Entry, Filters
from frontdesk.audit.reading import AuditLog
from frontdesk.channels.access import Access, Caller
from frontdesk.channels.bodies import READABLE, readable
from frontdesk.channels.http import Limit
from frontdesk.channels.openapi import answers
from frontdesk.core.json import dumps, loads
from frontdesk.identity.permissions import Permission

_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

_Word = Annotated[
    str | None,
    Query(min_length=1, max_length=500, json_schema_extra={"pattern": READABLE}),
    AfterValidator(lambda text: text if text is None else readable(text)),
]
_Moment = Annotated[AwareDatetime | None, Query(ge=_FIRST, lt=_LAST)]


class AuditActorOut(msgspec.Struct, frozen=True):
    """Who acted: `id` is of a member of staff or a key, or an issuer and its subject; `address` the client's."""

    kind: str
    id: str
    address: str | None


class AuditEntryOut(msgspec.Struct, frozen=True):
    """One entry. `hash` follows from all its fields and from the hash of the entry before it."""

    number: int
    at: str
    actor: AuditActorOut
    action: str
    target: str
    before: Any
    after: Any
    previous_hash: str
    hash: str

    @classmethod
    def of(cls, entry: Entry) -> "AuditEntryOut":
        return cls(
            number=entry.number,
            at=entry.at,
            actor=AuditActorOut(entry.actor_kind, entry.actor_id, entry.address),
            action=entry.action,
            target=entry.target,
            before=loads(bytes(entry.before)),
            after=loads(bytes(entry.after)),
            previous_hash=entry.previous_hash,
            hash=entry.hash,
        )


class AuditPage(msgspec.Struct, frozen=True):
    """The newest first; `next_cursor` is null on the last page."""

    items: list[AuditEntryOut]
    next_cursor: str | None


FORMS = (AuditActorOut, AuditEntryOut, AuditPage)


def build_router(log: AuditLog, access: Access) -> APIRouter:
    router = APIRouter(prefix="/api/admin/audit", tags=["admin"])
    reads = Depends(access.own(Permission.AUDIT_READ))

    @router.get("", responses=answers(200, AuditPage, "The entries"))
    async def list_entries(
        caller: Annotated[Caller, reads],
        actor: _Word = None,
        action: _Word = None,
        target: _Word = None,
        since: _Moment = None,
        until: _Moment = None,
        limit: Limit = 50,
        cursor: Annotated[int | None, Query(ge=1, lt=2**53, description="the next_cursor of an earlier answer")] = None,
    ) -> Response:
        """Who did what in the organisation. `action` and `target` may end in `*`; `until` is not included."""
        filters = Filters(actor_id=actor, action=action, target=target, since=since, until=until)
        entries = await log.listed(caller.tenant.id, filters, cursor, limit + 1)
        next_cursor = str(entries[limit - 1].number) if len(entries) > limit else None
        page = AuditPage([AuditEntryOut.of(entry) for entry in entries[:limit]], next_cursor)
        return Response(dumps(page), media_type="application/json")

    return router

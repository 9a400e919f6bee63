"""What calls to models took and cost, summed up, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime

from frontdesk.channels.access import Access, Caller
from frontdesk.channels.definitions import After
from frontdesk.channels.http import Limit
from frontdesk.channels.openapi import answers, failures
from frontdesk.core.clock import Clock, iso
from frontdesk.core.errors import FieldError, Invalid
from frontdesk.core.json import dumps
from frontdesk.db.reads import Reads
from frontdesk.identity.permissions import Permission
from frontdesk.llm.store import By, Usage, usage

# What is summed up at once: a year, and its leap day.
MOST = timedelta(days=366)
USUAL = timedelta(days=30)
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class UsageOut(msgspec.Struct, frozen=True):
    """Sums of attempts; `unpriced` of them are of models whose price is not known, and not in `cost_usd`."""

    key: str
    calls: int
    failed: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_usd: str
    unpriced: int

    @classmethod
    def of(cls, found: Usage) -> "UsageOut":
        return cls(**(msgspec.structs.asdict(found) | {"cost_usd": f"{found.cost_usd:f}"}))


class UsagePage(msgspec.Struct, frozen=True):
    """By key; `next_cursor` is null on the last page."""

    by: str
    since: str
    until: str
    items: list[UsageOut]
    next_cursor: str | None


FORMS = (UsageOut, UsagePage)

_USAGE = answers(200, UsagePage, "The sums") | failures(Invalid)


def build_router(reads: Reads, clock: Clock, access: Access) -> APIRouter:
    router = APIRouter(prefix="/api/admin/usage", tags=["admin"])
    may_read = Depends(access.own(Permission.USAGE_READ))

    @router.get("", responses=_USAGE)
    async def get_usage(
        caller: Annotated[Caller, may_read],
        by: By = By.DAY,
        since: Annotated[AwareDatetime | None, Query(ge=_FIRST, lt=_LAST, description="30 days before `until`")] = None,
        until: Annotated[AwareDatetime | None, Query(ge=_FIRST, lt=_LAST, description="now when left out")] = None,
        limit: Limit = 50,
        cursor: After = "",
    ) -> Response:
        """Tokens and cost of the calls in a time, by day (in UTC), model, agent or purpose."""
        last = until or clock.now()
        first = since or last - USUAL
        if not timedelta(0) <= last - first <= MOST:
            message = f"must be at most {MOST.days} days before `until`"
            raise Invalid(f"since {message}.", errors=[FieldError("since", message)])
        found = await reads.read(
            caller.tenant.id, lambda scope: usage(scope, by, first, last, cursor or None, limit + 1)
        )
        items = [UsageOut.of(each) for each in found[:limit]]
        page = UsagePage(by.value, iso(first), iso(last), items, items[-1].key if len(found) > limit else None)
        return Response(dumps(page), media_type="application/json")

    return router

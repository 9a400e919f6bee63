"""A service on loopback that tools of kind http call, and the context of a call."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiohttp import web

from frontdesk.core import json
from frontdesk.core.ids import new_id
from frontdesk.tools.types import Records, ToolContext

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NoRecords:
    """For tools that keep nothing."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"records.{name} is not expected here")


def make_context(tenant_id: UUID, records: Any, key: str = "key-1") -> ToolContext:
    kept: Records = records
    return ToolContext(
        tenant_id=tenant_id,
        conversation_id=new_id(),
        contact="u1",
        now=datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
        language="en",
        idempotency_key=key,
        records=kept,
    )


class Service:
    """Answers by the handler that a test sets, and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.handler: Handler = self.echo
        self.url = ""
        self.port = 0

    async def echo(self, request: web.Request) -> web.StreamResponse:
        sent = await request.read()
        body = json.loads(sent) if sent else None
        return web.json_response(
            {
                "method": request.method,
                "path": request.raw_path,
                "headers": dict(request.headers),
                "query": [list(pair) for pair in request.query.items()],
                "body": body,
            }
        )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        return await self.handler(request)

"""Which pages of other sites may change something, and that they can read what went wrong."""

from typing import Any, cast

import httpx
import pytest
from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from frontdesk.channels.access import FOR_ALL, Access
from frontdesk.channels.addresses import Clients
from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import Invalid
from frontdesk.server.app import build_app
from frontdesk.server.errors import ErrorRenderer
from frontdesk.server.health import Health
from frontdesk.server.middleware import Surroundings
from frontdesk.telemetry.metrics import Metrics


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        ((), "https://shop.example", 403),
        (("https://shop.example",), "https://shop.example", 200),
        (("https://shop.example",), "https://shop.example.evil.example", 403),
        (("https://shop.example",), "null", 403),
        (("https://shop.example",), None, 403),
        (("*",), "https://anywhere.example", 200),
    ],
)
async def test_only_pages_of_the_named_origins_may(origins: tuple[str, ...], origin: str | None, status: int) -> None:
    errors, metrics = ErrorRenderer(SystemClock(), hide_details=False), Metrics(CollectorRegistry())
    app = Surroundings(
        PlainTextResponse("done"), hosts=(), origins=origins, clients=Clients(()), addresses=(), errors=errors,
        metrics=metrics, refused=lambda *_: None,
    )  # fmt: skip
    headers = {"sec-fetch-site": "cross-site"} | ({"origin": origin} if origin else {})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        assert (await client.post("/chat", headers=headers)).status_code == status
        assert (await client.delete("/session", headers=headers)).status_code == status
        assert (await client.get("/", headers=headers)).status_code == 200


async def test_a_page_of_a_named_origin_can_read_why_its_message_was_refused() -> None:
    router, metrics = APIRouter(), Metrics(CollectorRegistry())

    @router.post("/chat", dependencies=FOR_ALL)
    async def post_chat(request: Request) -> Response:
        raise Invalid("message: is required.")

    async def refresh() -> None:
        return None

    nothing = cast(Any, None)
    errors, origin = ErrorRenderer(SystemClock(), hide_details=False), "https://shop.example"
    access = Access(nothing, nothing, nothing, is_open=False)
    app = build_app(
        [router], access, errors, metrics, Health({}, {}), refresh, (origin,), (), Clients(()), (), lambda *_: None
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        refused = await client.post("/chat", headers={"origin": origin})
    assert (refused.status_code, refused.json()["error_code"]) == (422, "VALIDATION_FAILED")
    assert refused.headers["access-control-allow-origin"] == origin

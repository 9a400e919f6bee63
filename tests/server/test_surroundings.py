"""Which pages of other sites may change something, and that they can read what went wrong."""

from contextlib import suppress
from typing import Any, cast

import httpx
import pytest
from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message
from structlog.testing import capture_logs

from frontdesk.channels.access import FOR_ALL, Access
from frontdesk.channels.addresses import Clients
from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import Invalid, TenantNotFound
from frontdesk.server.app import build_app
from frontdesk.server.cross_origin import CrossOrigin
from frontdesk.server.errors import ErrorRenderer
from frontdesk.server.health import Health
from frontdesk.server.middleware import Surroundings
from frontdesk.telemetry.metrics import Metrics


def surrounded(inner: ASGIApp, errors: ErrorRenderer, metrics: Metrics) -> Surroundings:
    return Surroundings(
        inner, hosts=(), clients=Clients(()), addresses=(), errors=errors, metrics=metrics, refused=lambda *_: None
    )


async def origins_of(tenant: str | None) -> tuple[str, ...]:
    if tenant == "nobody":
        raise TenantNotFound("There is none.")
    return ("https://toys.example",) if tenant == "toys" else ()


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        ((), "https://shop.example", 403),
        (("https://shop.example",), "https://shop.example", 200),
        (("https://shop.example",), "https://shop.example.evil.example", 403),
        (("https://shop.example",), "null", 403),
        (("https://shop.example",), None, 403),
        (("*",), "https://anywhere.example", 200),
        ((), "https://toys.example", 403),
    ],
)
async def test_only_pages_of_the_named_origins_may(origins: tuple[str, ...], origin: str | None, status: int) -> None:
    errors, metrics = ErrorRenderer(SystemClock(), hide_details=False), Metrics(CollectorRegistry())
    inner = CrossOrigin(PlainTextResponse("done"), origins, origins_of, errors)
    app = surrounded(inner, errors, metrics)
    headers = {"sec-fetch-site": "cross-site"} | ({"origin": origin} if origin else {})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        assert (await client.post("/chat", headers=headers)).status_code == status
        assert (await client.delete("/session", headers=headers)).status_code == status
        assert (await client.get("/", headers=headers)).status_code == 200


@pytest.mark.parametrize(("said", "is_logged"), [("unable to …; the handler is closed", False), ("a defect", True)])
async def test_a_client_that_goes_away_while_it_is_answered_is_no_failure(said: str, is_logged: bool) -> None:
    app = surrounded(
        PlainTextResponse("done"), ErrorRenderer(SystemClock(), hide_details=False), Metrics(CollectorRegistry())
    )

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise RuntimeError(said)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "scheme": "http",
    }
    with capture_logs() as logs, suppress(RuntimeError):
        await app(scope, receive, send)
    assert any(entry["event"] == "request.failed" for entry in logs) is is_logged


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
        [router],
        access,
        errors,
        metrics,
        Health({}, {}),
        refresh,
        (origin,),
        origins_of,
        (),
        Clients(()),
        (),
        lambda *_: None,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        refused = await client.post("/chat", headers={"origin": origin})
    assert (refused.status_code, refused.json()["error_code"]) == (422, "VALIDATION_FAILED")
    assert refused.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("/api/toys/chat", True),
        ("/api/public/widgets/toys/tokens", True),
        ("/api/cars/chat", False),
        ("/api/admin/staff", False),
        ("/api/nobody/chat", False),
        ("/chat", False),
        ("/api/messages", False),
    ],
)
async def test_a_tenants_own_pages_may_call_its_routes_and_no_others(path: str, may: bool) -> None:
    errors, metrics = ErrorRenderer(SystemClock(), hide_details=False), Metrics(CollectorRegistry())
    inner = CrossOrigin(PlainTextResponse("done"), (), origins_of, errors)
    app = surrounded(inner, errors, metrics)
    headers = {"sec-fetch-site": "cross-site", "origin": "https://toys.example"}
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        said = await client.post(path, headers=headers)
        read = await client.get(path, headers=headers)
        preflight = await client.options(path, headers=headers | asked)
    assert [said.status_code, read.status_code, preflight.status_code] == ([200, 200, 204] if may else [403, 200, 403])
    for answer in (said, read, preflight):
        assert answer.headers.get("access-control-allow-origin") == ("https://toys.example" if may else None)
    assert read.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in preflight.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin", "origin": "http://localhost"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "same-site", "origin": "http://sister.localhost"}, 403),
        ({"origin": "http://localhost"}, 200),  # a browser from before Sec-Fetch-Site
        ({"origin": "https://evil.example"}, 403),
        ({}, 200),  # a program
    ],
)
async def test_what_is_no_page_of_another_origin_may(headers: dict[str, str], status: int) -> None:
    errors, metrics = ErrorRenderer(SystemClock(), hide_details=False), Metrics(CollectorRegistry())
    inner = CrossOrigin(PlainTextResponse("done"), (), origins_of, errors)
    app = surrounded(inner, errors, metrics)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        assert (await client.post("/chat", headers=headers)).status_code == status

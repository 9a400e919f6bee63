"""Every answer tells browsers to be careful, and whoever is turned away is on record."""

import asyncio
import re
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.responses import PlainTextResponse
from tests.identities import api_key, database_of
from tests.served import Served, serving

from frontdesk.audit import DEPLOYMENT, store
from frontdesk.audit.models import Filters
from frontdesk.channels.addresses import Clients
from frontdesk.core.clock import SystemClock
from frontdesk.core.json import loads
from frontdesk.server.errors import ErrorRenderer
from frontdesk.server.middleware import CAREFUL, STRICT_TRANSPORT, Surroundings
from frontdesk.telemetry.metrics import Metrics
from frontdesk.tenants.store import tenant_named

PAGES = ("/", "/t/clinic", "/t/clinic/messages/0/explanation", "/docs", "/console", "/sign-in")
OTHERS = (
    "/openapi.json", "/static/icon.svg", "/static/lib/markdown.js", "/favicon.ico", "/page", "/api/clinic/page",
    "/health", "/health/ready", "/health/detailed", "/metrics", "/nothing", "/api/nobody/page", "/api/clinic/sessions",
)  # fmt: skip


@pytest.mark.parametrize("path", [*PAGES, *OTHERS])
async def test_every_answer_is_careful(served: Served, path: str) -> None:
    headers = (await served.nobody.get(path)).headers
    for name in CAREFUL:
        assert len(headers.get_list(name.decode())) == 1, name
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "'self'" in headers["content-security-policy"] or path in OTHERS
    assert "strict-transport-security" not in headers  # there is no TLS
    assert headers["cache-control"] in {"no-store", "no-cache"}


async def test_so_is_whatever_a_route_of_the_table_answers(served: Served) -> None:
    """A new route is covered without being named here; most of these refuse a caller whom they do not know."""
    paths = (await served.nobody.get("/openapi.json")).json()["paths"]
    for path, operations in paths.items():
        for method in operations:
            address = re.sub(r"\{[^}]+\}", "clinic", path)
            headers = (await served.nobody.request(method, address)).headers
            lacking = [name.decode() for name in CAREFUL if len(headers.get_list(name.decode())) != 1]
            assert (method, path, lacking) == (method, path, [])
    assert len(paths) > 20


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (
            b"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}",
            422,
        ),
        (b"GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 300_000, 431),
    ],
)
async def test_refusals_are_careful_too(served: Served, request_: bytes, status: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
    writer.write(request_)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    writer.close()
    assert head.startswith(f"http/1.1 {status}".encode())
    assert [name for name in CAREFUL if name not in head] == []


@pytest.mark.parametrize(("forwarded", "is_strict"), [("https", True), ("http", False), (None, False)])
async def test_strict_transport_is_asked_for_where_tls_was_used(forwarded: str | None, is_strict: bool) -> None:
    app = Surroundings(
        PlainTextResponse("done"), hosts=(), clients=Clients([ip_network("127.0.0.1/32")]), addresses=(),
        errors=ErrorRenderer(SystemClock(), hide_details=True), metrics=Metrics(CollectorRegistry()),
        refused=lambda *_: None,
    )  # fmt: skip
    headers = {"x-forwarded-for": "203.0.113.7"} | ({"x-forwarded-proto": forwarded} if forwarded else {})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        answer = await client.get("/", headers=headers)
    assert (answer.headers.get("strict-transport-security") == STRICT_TRANSPORT[1].decode()) is is_strict


async def test_who_is_turned_away_is_on_record_once_with_a_count(tmp_path: Path, database_url: str) -> None:
    environment = {"FRONTDESK_DATABASE_URL": database_url, "FRONTDESK_TENANTS": ""}
    async with serving(tmp_path, environment) as served:
        for _ in range(3):
            refused = await served.nobody.get("/api/clinic/sessions", params={"user_id": "ann"})
            assert refused.status_code == 401
        for path in ("/api/clinic/chat", "/chat"):  # by the messages' own way and past it
            refused = await served.post_chat("Hello", path=path, headers={"authorization": "Bearer fd_guessed0123"})
            assert refused.status_code == 401
        refused = await served.post_chat(
            "Hello", headers={"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
        )
        assert refused.status_code == 403
        assert (await served.nobody.get("/api/nobody/page")).status_code == 404  # nobody was turned away
        async with database_of(tmp_path, environment) as database:
            key = await api_key(database, "clinic")
        for _ in range(2):
            assert (await served.nobody.get("/api/admin/audit", headers={"x-api-key": key})).status_code == 200
    async with database_of(tmp_path, environment) as database:
        tenant = await tenant_named(database, "clinic")
        assert tenant is not None
        async with database.scope(tenant.id) as scope:
            [used] = await store.entries(scope, Filters(action="key.used"), None, 50)
        async with database.scope(DEPLOYMENT) as scope:
            found = await store.entries(scope, Filters(action="access.*"), None, 50)
    assert (used.actor_kind, used.target, bytes(used.after)) == ("api_key", f"key/{used.actor_id}", b'{"count":2}')
    told = {(each.action, each.address, each.target, loads(bytes(each.after))["count"]) for each in found}
    assert told == {
        ("access.unauthenticated", "127.0.0.1", "route/GET /api/{tenant}/sessions", 3),
        ("access.token_invalid", "127.0.0.1", "route/POST /api/{tenant}/chat", 2),
        ("access.cross_site", "127.0.0.1", "route/POST none", 1),
    }

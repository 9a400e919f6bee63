"""Whose address a request counts under, whatever it says of itself, and the list of those who may ask at all."""

from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from frontdesk.channels.addresses import Client, Clients, client_address
from frontdesk.core.clock import SystemClock
from frontdesk.server.errors import ErrorRenderer
from frontdesk.server.middleware import Surroundings
from frontdesk.telemetry.metrics import Metrics

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("127.0.0.1"))
OURS = "10.1.1.1"  # the proxy that is next to the server


def seen(peer: str, *forwarded: str, proxies: Any = PROXIES, scheme: str = "http", **headers: str) -> Client:
    fields = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    fields += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Clients(proxies).of({"client": (peer, 5000), "scheme": scheme, "headers": fields})


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", (), "203.0.113.7"),
        ("203.0.113.7", ("198.51.100.1",), "203.0.113.7"),  # nobody asked it
        (OURS, ("203.0.113.7",), "203.0.113.7"),
        (OURS, ("203.0.113.7, 10.2.2.2",), "203.0.113.7"),  # through two of ours
        (OURS, ("198.51.100.1, 203.0.113.7",), "203.0.113.7"),  # what the client wrote itself stands further left
        (OURS, ("198.51.100.1", "203.0.113.7"), "203.0.113.7"),  # the same in two headers
        (OURS, ("203.0.113.7:55123",), "203.0.113.7"),
        (OURS, ("[2001:db8::7]:55123",), "2001:db8::7"),
        (OURS, ("2001:DB8:0::7",), "2001:db8::7"),
        (OURS, ("::ffff:203.0.113.7",), "203.0.113.7"),
        (OURS, ("fe80::1%eth0",), "fe80::1"),
        (OURS, ("unknown",), OURS),
        (OURS, ("203.0.113.7, unknown, 10.2.2.2",), "10.2.2.2"),
        (OURS, ("",), OURS),
        (OURS, (), OURS),
        (OURS, ("10.3.3.3, 10.2.2.2",), "10.3.3.3"),  # somebody inside
        (OURS, (", ".join(["203.0.113.7"] + ["10.2.2.2"] * 100_000),), "10.2.2.2"),  # no end of hops
        ("::ffff:10.1.1.1", ("203.0.113.7",), "203.0.113.7"),
        ("fd00::1", ("203.0.113.7",), "203.0.113.7"),
        ("", ("203.0.113.7",), ""),
    ],
)
def test_the_rightmost_hop_that_is_not_ours_is_the_client(peer: str, forwarded: tuple[str, ...], address: str) -> None:
    assert seen(peer, *forwarded).address == address


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n")), st.sampled_from(["203.0.113.7", "::5"]))
def test_nothing_that_a_client_writes_moves_its_own_address(written: str, address: str) -> None:
    assert seen(OURS, written, address).address == address
    assert seen(OURS, f"{written},{address}").address == address
    assert seen(address, written).address == address
    assert seen(OURS, written, address, proxies=()).address == OURS


@pytest.mark.parametrize(
    ("peer", "headers", "is_local"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("192.0.2.1", {}, False),
        ("127.0.0.1", {"x_forwarded_for": "127.0.0.1"}, False),
        ("127.0.0.1", {"x_real_ip": "127.0.0.1"}, False),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}, False),
        ("127.0.0.1", {"via": "1.1 cache"}, False),
        ("192.0.2.1", {"x_forwarded_for": "127.0.0.1"}, False),
        (OURS, {"x_forwarded_for": "127.0.0.1"}, False),
    ],
)
def test_only_who_is_here_and_came_through_nobody_is_local(peer: str, headers: dict[str, str], is_local: bool) -> None:
    assert seen(peer, **headers).is_local is is_local


def test_tls_is_our_own_or_that_of_a_believed_proxy() -> None:
    assert seen("203.0.113.7", scheme="https").is_secure
    assert seen(OURS, "203.0.113.7", x_forwarded_proto="https").is_secure
    assert not seen(OURS, "203.0.113.7", x_forwarded_proto="http").is_secure
    assert not seen("203.0.113.7", x_forwarded_proto="https").is_secure


async def _tells_address(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"address": client_address(Request(scope))})(scope, receive, send)


def _client(app: ASGIApp, peer: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(peer, 5000))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_only_listed_addresses_are_served_and_this_machine() -> None:
    app = Surroundings(
        _tells_address, hosts=(), clients=Clients(PROXIES), addresses=(ip_network("203.0.113.0/24"),),
        errors=ErrorRenderer(SystemClock(), hide_details=False), metrics=Metrics(CollectorRegistry()),
        refused=lambda *_: None,
    )  # fmt: skip
    for peer, forwarded, status in (
        ("203.0.113.7", None, 200),
        ("198.51.100.1", None, 403),
        ("198.51.100.1", "203.0.113.7", 403),
        (OURS, "203.0.113.7", 200),
        (OURS, "198.51.100.1", 403),
        (OURS, "203.0.113.7, 198.51.100.1", 403),
        ("127.0.0.1", None, 200),
        ("127.0.0.1", "198.51.100.1", 403),
    ):
        async with _client(app, peer) as client:
            answer = await client.get("/", headers={"x-forwarded-for": forwarded} if forwarded else {})
        assert answer.status_code == status, (peer, forwarded)
        if status == 403:
            assert answer.json()["error_code"] == "ADDRESS_REFUSED"

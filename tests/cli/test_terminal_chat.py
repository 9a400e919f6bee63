"""`frontdesk chat` against a loopback server that speaks the public API's streams, and cuts them."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from frontdesk.cli.chat import Desk, chat, show_answer
from frontdesk.cli.replies import Refused
from frontdesk.cli.sse import Event, StreamBroken, events
from frontdesk.core.errors import Unavailable

SESSION = "0198c0de-0000-7000-8000-000000000001"

ANSWER: dict[str, Any] = {
    "session_id": SESSION,
    "text": "Visiting hours are **14:00 to 16:00**. [1]",
    "agents": ["general_info"],
    "citations": [{"document": "visiting-hours.md", "title": "Visiting hours", "start": 10, "end": 60}],
    "tools": [{"name": "search_documents", "status": "ok", "duration_ms": 4}],
    "source": "local",
    "duration_ms": 420,
}


def sse(name: str, data: str, id_: str) -> bytes:
    return f"id: {id_}\nevent: {name}\ndata: {data}\n\n".encode()


ACCEPTED = sse("accepted", f'{{"seq": 1, "session_id": "{SESSION}"}}', "1-1-0")
FIRST = sse("status", '{"text": "Looking it up"}', "1-1-0") + sse("delta", '{"text": "Visiting "}', "1-1-1")
REST = (
    b": heartbeat\n\n"
    + sse("delta", '{"text": "hours"}', "1-1-2")
    + sse("answer", '{"text": "Visiting hours"}', "1-1-end")
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers with the scripted handlers, one a request; keeps what was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.script: list[Handler] = []
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.path, {k.lower(): v for k, v in request.headers.items()}, body))
        return await self.script.pop(0)(request)


def stream(*pieces: bytes, cut: bool = False) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if cut:
            assert request.transport is not None
            request.transport.abort()
        return response

    return handler


def refusal(status: int, detail: str) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"detail": detail, "error_code": "X"}, status=status)

    return handler


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


async def at_once(_seconds: float) -> None:
    return None


@pytest.fixture
async def desk(server: Server) -> AsyncIterator[Desk]:
    async with aiohttp.ClientSession() as http:
        yield Desk(http, server.url, "clinic", "ana", at_once)


async def said(desk: Desk, message: str) -> list[Event]:
    return [event async for event in desk.say(message)]


async def test_the_second_message_goes_into_the_same_session_until_a_new_one_is_begun(
    server: Server, desk: Desk
) -> None:
    for _ in range(3):
        server.script.append(stream(ACCEPTED, FIRST, REST))
    assert (await said(desk, "When are visiting hours?"))[-1].data == {"text": "Visiting hours"}
    await said(desk, "And on Sunday?")
    desk.begin_anew()
    await said(desk, "Hello")
    bodies = [body for _, _, _, body in server.asked]
    assert [body.get("session_id") for body in bodies] == [None, SESSION, None]
    assert bodies[0] == {"user_id": "ana", "message": "When are visiting hours?", "channel": "cli"}
    assert [path for _, path, _, _ in server.asked] == ["/api/clinic/chat"] * 3


async def test_a_cut_stream_is_taken_up_after_the_last_event_that_came(server: Server, desk: Desk) -> None:
    server.script = [stream(ACCEPTED, FIRST, cut=True), stream(REST)]
    heard = await said(desk, "When are visiting hours?")
    assert [event.name for event in heard if event.name != "lost"] == ["accepted", "status", "delta", "delta", "answer"]
    method, path, headers, _ = server.asked[1]
    assert (method, path) == ("GET", f"/api/clinic/conversations/{SESSION}/stream")
    assert headers["last-event-id"] in ("1-1-0", "1-1-1")


async def test_a_message_whose_connection_broke_before_it_was_accepted_is_sent_again_under_the_same_key(
    server: Server, desk: Desk
) -> None:
    server.script = [stream(cut=True), refusal(503, "starting"), stream(ACCEPTED, REST)]
    assert (await said(desk, "Hello"))[-1].name == "answer"
    keys = {headers["idempotency-key"] for _, _, headers, _ in server.asked}
    assert len(server.asked) == 3
    assert len(keys) == 1


async def test_a_refusal_is_the_servers_own_sentence(server: Server, desk: Desk) -> None:
    server.script = [refusal(404, "There is no tenant 'clinic'.")]
    with pytest.raises(Refused, match="There is no tenant 'clinic'"):
        await said(desk, "Hello")


async def test_a_page_that_is_no_frontdesk_server_is_told_apart(server: Server, desk: Desk) -> None:
    async def page(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>", content_type="text/html")

    server.script = [page]
    with pytest.raises(Refused, match="is not a frontdesk server"):
        await said(desk, "Hello")


async def test_it_gives_up_after_a_bounded_number_of_tries(server: Server, desk: Desk) -> None:
    server.script = [stream(ACCEPTED, cut=True), *(stream(cut=True) for _ in range(20))]
    with pytest.raises(Unavailable):
        await said(desk, "Hello")
    assert len(server.asked) <= 10


async def test_without_a_server_it_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello"))
    written = io.StringIO()
    assert await chat("http://127.0.0.1:9", "clinic", "ana", Console(file=written, width=200)) == 1
    assert "No frontdesk server answers at http://127.0.0.1:9." in written.getvalue()
    assert "frontdesk serve" in written.getvalue()


async def shown(*happenings: Event) -> str:
    async def each() -> AsyncIterator[Event]:
        for event in happenings:
            yield event

    written = io.StringIO()
    await show_answer(each(), Console(file=written, width=100))
    return written.getvalue()


async def test_the_whole_answer_is_shown_with_its_sources_and_who_gave_it() -> None:
    text = await shown(Event("1", "delta", {"text": "Visi"}), Event("2", "answer", ANSWER))
    assert "Visiting hours are 14:00 to 16:00. [1]" in text
    assert "[1] Visiting hours (visiting-hours.md, characters 10-60)" in text
    assert "general_info · search_documents ok · local · 0.4 s" in text


async def test_an_answer_can_not_command_the_terminal() -> None:
    assert "\x1b" not in await shown(Event("1", "answer", {"text": "hi \x1b]0;owned\x07 \x1b[2J"}))


async def test_a_failed_turn_is_told() -> None:
    assert "The turn failed." in await shown(Event("1", "error", {"detail": "The turn failed."}))


STREAM = ACCEPTED + FIRST + REST


@given(st.lists(st.integers(0, len(STREAM)), max_size=12), st.booleans())
async def test_however_the_bytes_are_cut_the_events_are_the_same(cuts: list[int], has_returns: bool) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(places)]
    if has_returns:
        pieces = [piece.replace(b"\n", b"\r\n") for piece in pieces]

    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    found = [event async for event in events(chunks())]
    assert [event.name for event in found] == ["accepted", "status", "delta", "delta", "answer"]
    assert [event.id for event in found] == ["1-1-0", "1-1-0", "1-1-1", "1-1-2", "1-1-end"]


@pytest.mark.parametrize("broken", [b"data: {\n\n", b"data: 3\n\n", b"data: " + b"x" * 1_100_000])
async def test_a_stream_that_is_none_is_told(broken: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield broken

    with pytest.raises(StreamBroken):
        _ = [event async for event in events(chunks())]

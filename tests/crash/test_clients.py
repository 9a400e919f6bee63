"""Clients that are slow, silent, or too many: others are answered meanwhile, and nothing of them stays."""

import asyncio
import json
import resource
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from tests.crash.desk import SLUG, Desk
from tests.crash.talk import WITHIN_S, messages, say
from tests.served import Served, serving
from tests.vendors.replies import Reply
from tests.vendors.server import Vendor

SHORT = {
    "FRONTDESK_CONNECTIONS__HEADERS_S": "2",
    "FRONTDESK_CONNECTIONS__BODY_S": "2",
    "FRONTDESK_CONNECTIONS__STALLED_S": "2",
}
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(served: Served, **how: int) -> AsyncIterator[Stream]:
    address = urlsplit(served.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, **how)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def request(message: str, session_id: str, accept: str = "application/json") -> bytes:
    body = json.dumps({"user_id": "ann", "message": message, "session_id": session_id}).encode()
    head = (
        f"POST /api/{SLUG}/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Accept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def drip(stream: Stream, data: bytes) -> bytes:
    """Sends a byte now and then until the server has had enough; what it said."""
    reader, writer = stream
    answer = asyncio.create_task(reader.read())
    for byte in data:
        writer.write(bytes([byte]))
        done, _ = await asyncio.wait([answer], timeout=0.1)
        if done:
            break
    async with asyncio.timeout(WITHIN_S):
        return await answer


async def test_who_sends_or_reads_no_faster_than_a_byte_at_a_time_is_cut_off_and_others_are_answered_meanwhile(
    desk: Desk,
) -> None:
    desk = replace(desk, settings=SHORT)
    session_id = str(uuid.uuid4())
    whole = request("note one " + "x" * 500, session_id)
    end_of_headers = whole.index(b"\r\n\r\n") + 4
    async with serving(desk.data, desk.environment) as served, AsyncExitStack() as stack:
        silent, slow_headers, slow_body, line_ends = [
            await stack.enter_async_context(connected(served)) for _ in range(4)
        ]
        slow_body[1].write(whole[:end_of_headers])
        cut_off = asyncio.gather(
            drip(silent, b""),
            drip(slow_headers, whole),
            drip(slow_body, whole[end_of_headers:]),
            drip(line_ends, b"\r\n" * 1000),
        )
        while not cut_off.done():
            assert (await say(served, "note two", str(uuid.uuid4()))).status_code == 200
        nothing, headers, body, line_ends_too = await cut_off
        assert (nothing, line_ends_too) == (b"", b"")
        for said in (headers, body):
            head, _, error = said.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 Request Timeout")
            assert json.loads(error)["error_code"] == "REQUEST_LATE"
        # Nothing of what was cut off was kept.
        assert (await served.client.get(f"/api/{SLUG}/conversations/{session_id}")).status_code == 404


async def test_headers_without_end_are_refused_and_trailers_are_no_headers(desk: Desk) -> None:
    desk = replace(desk, settings=SHORT)
    whole = request("note one", str(uuid.uuid4()))
    first_line, _, rest = whole.partition(b"\r\n")
    head, _, body = rest.partition(b"\r\n\r\n")
    async with serving(desk.data, desk.environment) as served:
        for endless in (b"X-Long: " + b"x" * 2**20, b"X-Many: x\r\n" * 2**17):
            async with connected(served) as (reader, writer):
                begun = first_line + b"\r\n" + endless
                answer = asyncio.create_task(reader.read())
                for start in range(0, len(begun), 2**14):
                    writer.write(begun[start : start + 2**14])
                    if (await asyncio.wait([answer], timeout=0.05))[0]:
                        break
                async with asyncio.timeout(WITHIN_S):
                    said = await answer
            assert said.startswith(b"HTTP/1.1 431 Request Header Fields Too Large"), said[:40]
            assert b"x-correlation-id: " in said
            assert json.loads(said.partition(b"\r\n\r\n")[2])["error_code"] == "HEADERS_TOO_LARGE"
        for message in (b"one", b"two"):
            async with connected(served) as (reader, writer):
                changed = body.replace(b"note one", b"note " + message)
                lines = b"".join(line + b"\r\n" for line in head.split(b"\r\n") if b"Content-Length" not in line)
                how = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                chunks = b"%x\r\n%b\r\n0\r\nIdempotency-Key: same\r\n\r\n" % (len(changed), changed)
                writer.write(first_line + b"\r\n" + lines + how + chunks)
                async with asyncio.timeout(WITHIN_S):
                    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")


async def test_a_stream_is_as_good_to_who_reads_it_byte_by_byte(desk: Desk, vendor: Vendor) -> None:
    desk = replace(desk, settings=SHORT)
    vendor.responder = lambda _request: Reply("One two three four five six.", delay_s=0.05)
    async with serving(desk.data, desk.environment) as served, connected(served, limit=1) as (reader, writer):
        writer.write(request("hello", str(uuid.uuid4()), "text/event-stream"))
        read = b""
        async with asyncio.timeout(WITHIN_S):
            while not read.endswith(b"0\r\n\r\n"):
                read += await reader.read(1)
        assert b"event: accepted" in read and b"event: answer" in read


async def test_who_never_reads_is_cut_off_and_finds_the_answer_in_the_history(desk: Desk, vendor: Vendor) -> None:
    desk = replace(desk, settings=SHORT)
    words = "word " * 400_000  # more than the system's buffers take
    vendor.responder = lambda _request: Reply(words, stream_chunks=[words[:1_000_000], words[1_000_000:]])
    session_id = str(uuid.uuid4())
    async with serving(desk.data, desk.environment) as served, connected(served) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # typeshed knows the write half only
        writer.write(request("hello", session_id, "text/event-stream"))
        answer = (await messages(served, session_id, {1}))[-1]
        assert answer["role"] == "assistant"
        process = psutil.Process(served.process.pid)
        port = writer.get_extra_info("sockname")[1]
        async with asyncio.timeout(WITHIN_S):
            while any(c.raddr and c.raddr.port == port for c in process.net_connections("tcp")):
                await asyncio.sleep(0.2)
        assert (await say(served, "note two", str(uuid.uuid4()))).status_code == 200


@pytest.fixture
def many_files() -> int:
    """The limit on open files as high as the system allows; what is left of it for one side."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 10_500 if hard == resource.RLIM_INFINITY else hard


async def test_ten_thousand_connections_are_tried_and_those_that_are_in_are_answered(
    desk: Desk, many_files: int
) -> None:
    tried = min(10_000, many_files - 500)
    desk = replace(desk, settings={"FRONTDESK_CONNECTIONS__MOST": "1000", "FRONTDESK_CONNECTIONS__HEADERS_S": "600"})
    async with serving(desk.data, desk.environment) as served, AsyncExitStack() as stack:
        inside = httpx.AsyncClient(base_url=served.url, timeout=WITHIN_S, limits=httpx.Limits(keepalive_expiry=None))
        within = replace(served, client=await stack.enter_async_context(inside))
        assert (await say(within, "note one", str(uuid.uuid4()))).status_code == 200  # keeps its connection
        process = psutil.Process(served.process.pid)
        before = process.memory_info().rss
        opened = []
        for number in range(tried):
            opened.append(await stack.enter_async_context(connected(served)))
            if number % 500 == 499:  # and so it is never idle for so long that the server may end it
                assert (await say(within, "note two", str(uuid.uuid4()))).status_code == 200
        assert (await say(within, "note three", str(uuid.uuid4()))).status_code == 200
        # Who is above the limit is told so, or refused; the process is said to live all the same.
        async with asyncio.timeout(WITHIN_S):
            while (refused := await once(served, "/api/desk/conversations/" + str(uuid.uuid4()))) is None:
                await asyncio.sleep(0.1)
        assert (refused.status_code, refused.json()["error_code"]) == (503, "TOO_MANY_CONNECTIONS")
        assert int(refused.headers["retry-after"]) > 0
        assert len(process.net_connections("tcp")) < 1_200
        assert process.memory_info().rss - before < 200 * 2**20
        await stack.aclose()
        async with asyncio.timeout(WITHIN_S):
            while (answered := await once(served, "/health/ready")) is None or answered.status_code != 200:
                await asyncio.sleep(0.1)
            while (found := await once(served, "/api/desk/page")) is None or found.status_code != 200:
                await asyncio.sleep(0.1)


async def once(served: Served, path: str) -> httpx.Response | None:
    """By a connection of its own; None when that is refused."""
    async with httpx.AsyncClient(base_url=served.url, timeout=10) as client:
        try:
            return await client.get(path)
        except httpx.TransportError:
            return None

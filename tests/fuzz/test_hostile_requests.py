"""What anybody can send to the port, byte by byte: refused or answered, never a 5xx, and the server goes on."""

import asyncio
import json
import re
import uuid
from urllib.parse import urlsplit

import pytest
from tests.fuzz.contract import BROKEN
from tests.served import Served

BODY = b'{"user_id": "ann", "message": "hello"}'
JSON = b"Content-Type: application/json\r\n"


def post(headers: bytes = b"", body: bytes = BODY, path: bytes = b"/chat") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + JSON + length + headers + b"\r\n" + body


def get(path: bytes, headers: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n"


ID = str(uuid.uuid4()).encode()
OPEN = b"POST /chat HTTP/1.1\r\nHost: localhost\r\n" + JSON
CHUNKED = OPEN + b"Transfer-Encoding: chunked\r\n\r\n"
STREAM = b"/api/clinic/conversations/" + ID + b"/stream"
REQUESTS = {
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 50,
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http/0.9": b"GET /\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "strange host": b"GET /health HTTP/1.1\r\nHost: \xff\xfe:99999999999\r\n\r\n",
    "whole address": b"GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "many headers": get(b"/health", b"".join(b"X-%d: y\r\n" % n for n in range(5000))),
    "an enormous header": get(b"/health", b"X: " + b"y" * 1_000_000 + b"\r\n"),
    "a long address": get(b"/api/" + b"x" * 60_000 + b"/page"),
    "a long query": get(b"/sessions?user_id=" + b"x" * 60_000),
    "bytes in the address": get(b"/api/\xff\xfe\x80/page"),
    "escapes in the address": get(b"/api/%00%ff%c0%ae%ed%a0%80/page"),
    "half an escape": get(b"/api/%/page%2"),
    "dots": get(b"/static/../../../etc/passwd"),
    "hidden dots": get(b"/static/%2e%2e/%2e%2e/__init__.py"),
    "escapes in the query": get(b"/sessions?user_id=%00%ff&limit=%d9%a3&cursor=%ff"),
    "a query thrice": get(b"/sessions?user_id=a&user_id=b&limit=1&limit=x"),
    "figures beyond all": get(b"/api/clinic/conversations/" + ID + b"?after=" + b"9" * 5000),
    "figures of other scripts": get(b"/api/clinic/conversations/" + ID + b"?limit=%D9%A1"),
    "an id of bytes": get(b"/session/%ff%00"),
    "an event id of bytes": get(STREAM, b"Last-Event-ID: \xff\xfe\r\n"),
    "an event id of figures": get(
        b"/api/clinic/conversations/" + ID + b"/stream", b"Last-Event-ID: 9-9-9999999999\r\n"
    ),
    "a key of bytes": post(b"Idempotency-Key: \xff\xfe\x80\r\n"),
    "a key of control characters": post(b"Idempotency-Key: a\x01b\x7f\r\n"),
    "a key with NUL": post(b"Idempotency-Key: a\x00b\r\n"),
    "a correlation id of bytes": post(b"X-Correlation-ID: \xff\xfe\r\n"),
    "a long correlation id": post(b"X-Correlation-ID: " + b"x" * 10_000 + b"\r\n"),
    "accepts of bytes": post(b"Accept: \xff\xfe, text/event-stream\xff\r\n"),
    "two types": post(b"Content-Type: text/plain\r\n"),
    "a length of words": OPEN + b"Content-Length: ten\r\n\r\n" + BODY,
    "a length below nothing": OPEN + b"Content-Length: -1\r\n\r\n",
    "a length beyond all": (OPEN + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"),
    "two lengths": (OPEN + b"Content-Length: 1\r\nContent-Length: 38\r\n\r\n" + BODY),
    "length and chunks": post(b"Transfer-Encoding: chunked\r\n"),
    "a chunk of words": (
        b"POST /chat HTTP/1.1\r\nHost: localhost\r\n"
        + JSON
        + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"
    ),
    "a chunk beyond all": (
        b"POST /chat HTTP/1.1\r\nHost: localhost\r\n"
        + JSON
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"f" * 40
        + b"\r\nx"
    ),
    "another encoding": post(b"Content-Encoding: gzip\r\n", b"\x1f\x8b\x08\x00" + b"\x00" * 100),
    "deep lists": post(body=b'{"user_id": "a", "message": "b", "context": ' + b"[" * 100_000),
    "deep objects": post(body=b'{"a":' * 20_000),
    "a name twice": post(body=b'{"user_id": "a", "user_id": 7, "message": "b"}'),
    "half a character": post(body=b'{"user_id": "a", "message": "\\ud83d"}'),
    "characters in halves": post(body=b'{"user_id": "\xed\xa0\xbd\xed\xb8\x80", "message": "b"}'),
    "a mark of byte order": post(body=b"\xef\xbb\xbf" + BODY),
    "another alphabet": post(body=BODY.decode().encode("utf-16")),
    "figures without end": post(body=b'{"user_id": "a", "message": "b", "context": {"n": ' + b"9" * 50_000 + b"}}"),
    "beyond all figures": post(body=b'{"user_id": "a", "message": "b", "context": {"n": 1e999}}'),
    "no figure": post(body=b'{"user_id": "a", "message": "b", "context": {"n": NaN}}'),
    "many names": post(
        body=b'{"user_id": "a", "message": "b", ' + b",".join(b'"f%d": 1' % n for n in range(10_000)) + b"}"
    ),
    "only marks": post(body=json.dumps({"user_id": "\u200b", "message": "\u0301" * 2000}).encode()),
    "one after the other": post() * 3,
}


async def answered(served: Served, request: bytes) -> bytes:
    """All that comes back until the connection is closed or silent."""
    address = urlsplit(served.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    got = b""
    try:
        writer.write(request)
        await writer.drain()
        writer.write_eof()
        async with asyncio.timeout(15):
            while piece := await reader.read(65536):
                got += piece
    except OSError:
        pass  # refused, or kept open for more: what came until then is what counts
    finally:
        writer.close()
    return got


@pytest.mark.parametrize("name", REQUESTS)
async def test_the_server_answers_or_refuses_and_goes_on(served: Served, name: str) -> None:
    said = len(served.said)
    got = await answered(served, REQUESTS[name])
    statuses = [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3})", got, re.MULTILINE)]
    assert all(200 <= status < 500 for status in statuses), got
    for body in re.findall(rb'\{"detail":.*\}', got):
        assert json.loads(body)["error_code"] != "INTERNAL"
    assert (await served.client.get("/health")).status_code == 200
    assert list(filter(BROKEN.search, served.said[said:])) == []


async def test_nobody_writes_lines_of_the_log_but_the_server(served: Served) -> None:
    """A name with line breaks and a terminal's commands stays one name on one line."""
    user = "eve\n2026-01-01T00:00:00Z [error    ] request.failed forged=1\x1b[2J\u202e"
    answer = await served.chat("hello", user=user)
    line = await served.said_line(answer["session_id"])
    assert "forged=1" in line
    assert not any(said.startswith("2026-01-01") for said in served.said)
    assert not any(mark in line for mark in "\x1b\u202e")

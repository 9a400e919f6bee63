"""The load generator: concurrent conversations against a chat endpoint, by a client that costs next to nothing.

Runs in a process of its own (`python -m benchmarks.load`, a Plan as JSON on its standard input, a Load as JSON on its
output), so that its CPU is not the server's and its event loop is not the measurement's.
"""

import asyncio
import subprocess
import sys
import time
import urllib.parse
import uuid
from pathlib import Path
from typing import Any  # httptools is untyped

import httptools
import msgspec
import uvloop

from benchmarks.processes import MemoryWatch, cpu_seconds

REPOSITORY = Path(__file__).parents[1]


class Plan(msgspec.Struct, frozen=True):
    """`body` may hold CONVERSATION (a UUID, the same through a conversation), KEY (its beginning) and TURN (from 0)."""

    url: str
    body: str
    expects: str  # what a good answer contains
    first: str = "data:"  # what begins the first token of a stream
    headers: dict[str, str] = {}
    concurrency: int = 1
    conversations: int = 1  # of each of the concurrent ones, one after the other
    turns: int = 10
    warm_up: int = 2  # conversations before anything is counted
    pids: dict[str, int] = {}


class Load(msgspec.Struct, frozen=True):
    """Times in ms. `all_turns` counts the warm-up's too, as WAL and calls to the model do."""

    turns: int
    all_turns: int
    errors: int
    first_error: str | None
    wall_s: float
    turns_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    first_p50_ms: float | None
    cpu_ms: dict[str, float]  # per turn
    peak_mib: dict[str, float]


def load(plan: Plan, within_s: float = 600.0) -> Load:
    """Runs the plan in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"], input=msgspec.json.encode(plan), cwd=REPOSITORY,
        stdout=subprocess.PIPE, timeout=within_s, check=True,
    )  # fmt: skip
    return msgspec.json.decode(done.stdout, type=Load)


class Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._parts: list[bytes] = []
        self._mark = b""
        self.first_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        if self.first_at is None and self._mark in data:
            self.first_at = time.perf_counter()
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)

    def on_message_complete(self) -> None:
        status, body, self._parts = self._parser.get_status_code(), b"".join(self._parts), []
        self._parser = httptools.HttpResponseParser(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, body))

    async def post(self, head: bytes, body: bytes, mark: bytes) -> tuple[int, bytes]:
        """`first_at` is then when `mark` was first seen."""
        self._answer = asyncio.get_running_loop().create_future()
        self._mark, self.first_at = mark, None
        self._transport.write(b"%scontent-length: %d\r\n\r\n%s" % (head, len(body), body))
        return await self._answer


class Tally:
    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.errors: list[str] = []


async def run(plan: Plan) -> Load:
    url = urllib.parse.urlsplit(plan.url)
    headers = {"host": url.netloc, "content-type": "application/json"} | plan.headers
    head = f"POST {url.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    host, port = url.hostname or "", url.port or 80

    async def converse(tally: Tally, conversations: int) -> None:
        _, client = await asyncio.get_running_loop().create_connection(Client, host, port)
        for _ in range(conversations):
            await conversation(client, head.encode(), plan, tally)

    warm = Tally()
    await converse(warm, plan.warm_up)
    tally = Tally()
    with MemoryWatch(plan.pids) as memory:
        before = {name: cpu_seconds(pid) for name, pid in plan.pids.items()}
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(plan.concurrency):
                group.create_task(converse(tally, plan.conversations))
        wall_s = time.perf_counter() - began
        after = {name: cpu_seconds(pid) for name, pid in plan.pids.items()}
    turns = len(tally.latencies)
    errors = warm.errors + tally.errors
    return Load(
        turns=turns,
        all_turns=turns + len(warm.latencies),
        errors=len(errors),
        first_error=errors[0] if errors else None,
        wall_s=wall_s,
        turns_per_s=turns / wall_s,
        p50_ms=percentile(tally.latencies, 0.50) * 1e3,
        p95_ms=percentile(tally.latencies, 0.95) * 1e3,
        p99_ms=percentile(tally.latencies, 0.99) * 1e3,
        first_p50_ms=percentile(tally.firsts, 0.5) * 1e3 if tally.firsts else None,
        cpu_ms={name: (after[name] - before[name]) / turns * 1e3 for name in plan.pids},
        peak_mib=memory.peaks,
    )


async def conversation(client: Client, head: bytes, plan: Plan, tally: Tally) -> None:
    key = str(uuid.uuid4())
    body = plan.body.replace("CONVERSATION", key).replace("KEY", key[:8])
    for turn in range(plan.turns):
        began = time.perf_counter()
        status, answer = await client.post(head, body.replace("TURN", str(turn)).encode(), plan.first.encode())
        tally.latencies.append(time.perf_counter() - began)
        if client.first_at is not None:
            tally.firsts.append(client.first_at - began)
        if status != 200 or plan.expects.encode() not in answer:
            tally.errors.append(f"{status} {answer[:300].decode(errors='replace')}")


def percentile(values: list[float], share: float) -> float:
    """The nearest rank: a time that was really measured."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


if __name__ == "__main__":
    sys.stdout.buffer.write(
        msgspec.json.encode(uvloop.run(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Plan))))
    )

"""Many streamed answers at once, read by a client that costs next to nothing.

Runs in a process of its own (`python -m benchmarks.listeners`, a Crowd as JSON on its standard input, a Heard as JSON
on its output). Streams are opened at an even rate; each is long enough that all are open together for a while, and the
tokens of that while are what is counted. A token is the moment at which the model sent it (`mock_llm.py`, paced).
"""

import asyncio
import re
import subprocess
import sys
import time
import urllib.parse
import uuid
from array import array
from pathlib import Path
from typing import Any  # httptools is untyped

import httptools
import msgspec
import uvloop

from benchmarks.load import percentile
from benchmarks.processes import cpu_seconds, rss_mib

REPOSITORY = Path(__file__).parents[1]
_STAMP = re.compile(rb" (\d{9,18})")


class Crowd(msgspec.Struct, frozen=True):
    """`body` may hold KEY, another for each stream. `last` begins a good stream's last event. `pids`: server first."""

    url: str
    body: str
    last: str
    streams: int
    tokens: int  # of each answer
    opened_a_s: float
    together_s: float
    pids: dict[str, int]
    headers: dict[str, str] = {}


class Heard(msgspec.Struct, frozen=True):
    """Times in ms. Gaps and delays are those of the time in which all streams were open."""

    streams: int
    lost: int  # without all their tokens or without their end
    first_loss: str | None
    tokens: int
    reads: int  # with at least one token: what came together is one
    window_s: float
    first_p50_ms: float
    first_p99_ms: float
    gap_p50_ms: float
    gap_p99_ms: float
    gap_max_ms: float
    delay_p50_ms: float
    delay_p99_ms: float
    cpu_s: dict[str, float]  # in the window
    mib_before: float
    mib_open: float


def listen(crowd: Crowd) -> Heard:
    """Listens in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.listeners"], input=msgspec.json.encode(crowd), cwd=REPOSITORY,
        stdout=subprocess.PIPE, timeout=900, check=True,
    )  # fmt: skip
    return msgspec.json.decode(done.stdout, type=Heard)


class Tally:
    """What all streams heard. `is_counting`: all of them are open."""

    def __init__(self) -> None:
        self.is_counting = False
        self.firsts = array("d")
        self.gaps = array("d")
        self.delays = array("d")
        self.tokens = 0
        self.reads = 0


class Stream(asyncio.Protocol):
    """One request and its answer."""

    def __init__(self, request: bytes, end: bytes, tally: Tally) -> None:
        """`end` begins the last event."""
        self._request = request
        self._last = end
        self._tally = tally
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._rest = b""
        self._asked_at = 0.0
        self._heard_at = 0.0
        self.tokens = 0
        self.ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._asked_at = time.monotonic()
        self._transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(f"cut after {self.tokens} tokens")

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        """An event may come in two pieces: what has no end yet is kept. So is the last one, which repeats all."""
        events, end, self._rest = (self._rest + data).rpartition(b"\n\n")
        events, last, final = events.partition(self._last)
        if stamps := _STAMP.findall(events):
            self._hear(stamps)
        if last:
            self._rest = last + final + end + self._rest

    def _hear(self, stamps: list[bytes]) -> None:
        now, tally = time.monotonic(), self._tally
        if not self._heard_at:
            tally.firsts.append(now - self._asked_at)
        elif tally.is_counting:
            tally.gaps.append(now - self._heard_at)
            tally.delays.extend([now - int(stamp) / 1e6 for stamp in stamps])
            tally.tokens += len(stamps)
            tally.reads += 1
        self._heard_at = now
        self.tokens += len(stamps)

    def on_message_complete(self) -> None:
        self._end(None)

    def _end(self, reason: str | None) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)
        self._transport.close()

    def fault(self, reason: str | None, tokens: int) -> str | None:
        """What is wrong with it at its end."""
        if reason is None and self.tokens == tokens and self._rest.startswith(self._last):
            return None
        return reason or f"{self.tokens} tokens, then {self._rest[-300:].decode(errors='replace')}"


async def run(crowd: Crowd) -> Heard:
    url = urllib.parse.urlsplit(crowd.url)
    headers = {"host": url.netloc, "content-type": "application/json"} | crowd.headers
    head = f"POST {url.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    loop, tally = asyncio.get_running_loop(), Tally()
    last, server = crowd.last.encode(), next(iter(crowd.pids.values()))
    mib_before = rss_mib(server)

    async def one(number: int) -> str | None:
        await asyncio.sleep(number / crowd.opened_a_s)
        body = crowd.body.replace("KEY", str(uuid.uuid4()))
        request = f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()
        _, stream = await loop.create_connection(lambda: Stream(request, last, tally), url.hostname, url.port)
        return stream.fault(await stream.ended, crowd.tokens)

    async def together() -> tuple[float, float, dict[str, float]]:
        while len(tally.firsts) < crowd.streams:
            await asyncio.sleep(0.1)
        began, before = time.monotonic(), {name: cpu_seconds(pid) for name, pid in crowd.pids.items()}
        tally.is_counting = True
        await asyncio.sleep(crowd.together_s)
        tally.is_counting = False
        used = {name: cpu_seconds(pid) - before[name] for name, pid in crowd.pids.items()}
        return time.monotonic() - began, rss_mib(server), used

    async with asyncio.TaskGroup() as group:
        counted = group.create_task(together())
        streams = [group.create_task(one(number)) for number in range(crowd.streams)]
        faults = [fault for stream in streams if (fault := await stream)]
        if not counted.done() and len(tally.firsts) < crowd.streams:
            raise RuntimeError(f"{len(faults)} streams never began: {faults[:1]}")
    window_s, mib_open, cpu_s = counted.result()
    gaps, delays, firsts = list(tally.gaps), list(tally.delays), list(tally.firsts)
    return Heard(
        streams=crowd.streams,
        lost=len(faults),
        first_loss=faults[0] if faults else None,
        tokens=tally.tokens,
        reads=tally.reads,
        window_s=window_s,
        first_p50_ms=percentile(firsts, 0.5) * 1e3,
        first_p99_ms=percentile(firsts, 0.99) * 1e3,
        gap_p50_ms=percentile(gaps, 0.5) * 1e3,
        gap_p99_ms=percentile(gaps, 0.99) * 1e3,
        gap_max_ms=max(gaps) * 1e3,
        delay_p50_ms=percentile(delays, 0.5) * 1e3,
        delay_p99_ms=percentile(delays, 0.99) * 1e3,
        cpu_s=cpu_s,
        mib_before=mib_before,
        mib_open=mib_open,
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(
        msgspec.json.encode(uvloop.run(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Crowd))))
    )

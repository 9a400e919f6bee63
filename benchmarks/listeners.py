"""Many streamed answers at once, read by a client that costs next to nothing.

Runs in a process of its own (`python -m benchmarks.listeners`, a Crowd as JSON on its standard input, a Heard as JSON
on its output). Streams are opened at an even rate; each is long enough that all are open together for a while, and the
tokens of that while are what is counted. A token is the moment at which the model sent it (`mock_llm.py`, paced).
"""

import asyncio
import re
import sys
import time
import urllib.parse
import uuid
from array import array
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any  # httptools is untyped

import httptools
import msgspec
import uvloop

from benchmarks.load import percentile
from benchmarks.processes import cpu_seconds, rss_mib

REPOSITORY = Path(__file__).parents[1]
TOLD_EVERY_S = 5
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
    within_s: float  # what has not begun, or not ended, within as long is lost
    pids: dict[str, int]
    headers: dict[str, str] = {}


class Heard(msgspec.Struct, frozen=True):
    """Times in ms. Gaps and delays are those of the time in which all streams were open."""

    streams: int
    open: int  # at the end of what is counted: fewer than `streams` when some were refused, or ended before
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


async def listen(crowd: Crowd, tell: Callable[[str], None]) -> Heard:
    """Listens in a process of its own. `tell`: how far it is, every few seconds. Raises RuntimeError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.listeners", cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin and process.stdout and process.stderr
    said: deque[str] = deque(maxlen=20)
    try:
        process.stdin.write(msgspec.json.encode(crowd))
        process.stdin.close()
        async for line in process.stderr:
            said.append(line.decode(errors="replace").rstrip())
            tell(said[-1])
        heard = await process.stdout.read()
        if await process.wait():
            raise RuntimeError("the listeners failed:\n" + "\n".join(said))
        return msgspec.json.decode(heard, type=Heard)
    finally:
        if process.returncode is None:
            process.kill()


class Tally:
    """What all streams heard. `is_counting`: all of them are open. `faults`: of those that have ended."""

    def __init__(self) -> None:
        self.is_counting = False
        self.faults: list[str | None] = []
        self.ended = 0  # of those that had begun
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

    async def one(number: int) -> None:
        await asyncio.sleep(number / crowd.opened_a_s)
        body = crowd.body.replace("KEY", str(uuid.uuid4()))
        request = f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()
        try:
            _, stream = await loop.create_connection(lambda: Stream(request, last, tally), url.hostname, url.port)
            tally.faults.append(stream.fault(await stream.ended, crowd.tokens))
            tally.ended += stream.tokens > 0
        except OSError as error:
            tally.faults.append(f"no connection: {error}")

    async def until(is_so: Callable[[], bool]) -> None:
        """Or until it takes too long."""
        begun_s = time.monotonic()
        for number in count(1):
            if is_so() or time.monotonic() - begun_s > crowd.within_s:
                return
            await asyncio.sleep(0.1)
            if number % (TOLD_EVERY_S * 10) == 0:
                lost = sum(1 for fault in tally.faults if fault)
                told = f"{len(tally.firsts)} of {crowd.streams} began, {len(tally.faults)} ended, {lost} lost"
                print(told, file=sys.stderr, flush=True)

    streams = [loop.create_task(one(number)) for number in range(crowd.streams)]
    await until(lambda: len(tally.firsts) + sum(1 for fault in tally.faults if fault) >= crowd.streams)
    began, before = time.monotonic(), {name: cpu_seconds(pid) for name, pid in crowd.pids.items()}
    tally.is_counting = True
    await asyncio.sleep(crowd.together_s)
    tally.is_counting = False
    cpu_s = {name: cpu_seconds(pid) - before[name] for name, pid in crowd.pids.items()}
    window_s, mib_open = time.monotonic() - began, rss_mib(server)
    still_open = len(tally.firsts) - tally.ended
    await until(lambda: len(tally.faults) >= crowd.streams)
    faults = [fault for fault in tally.faults if fault]
    faults += [f"not ended in {crowd.within_s:.0f} s"] * sum(1 for stream in streams if not stream.done())
    if not tally.gaps:
        raise RuntimeError(f"nothing was heard; {len(faults)} streams were lost: {faults[:1]}")
    gaps, delays, firsts = list(tally.gaps), list(tally.delays), list(tally.firsts)
    return Heard(
        streams=crowd.streams,
        open=still_open,
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

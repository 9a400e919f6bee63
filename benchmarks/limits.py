"""What a message pays at the door, in CPU: its five limits, in memory and in Redis, whose own server is not in it.

For comparison four of them with the library `limits`, where it is installed (it is none of our packages).
"""

import asyncio
import importlib.util
import shutil
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import process_time

import uvloop
from prometheus_client import CollectorRegistry

from benchmarks.machine import machine
from benchmarks.processes import free_port, started
from benchmarks.report import Steps, arguments, write
from frontdesk.core.clock import SystemClock
from frontdesk.core.ids import new_id
from frontdesk.core.limits import Limits
from frontdesk.core.tls import TlsFiles
from frontdesk.quotas.quotas import Quotas
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.places import MemoryPlaces, Places, RedisPlaces
from frontdesk.shared.rates import MemoryRateLimiter, RateLimiter, RedisRateLimiter
from frontdesk.shared.redis import connected

CONTACTS = (1, 1_000, 10_000)
TENANT = new_id()
LIMITS = Limits(10**9, 10**9, 10**9, 10**9, 10**9)

Admit = Callable[[str], Awaitable[object]]


def ours(rates: RateLimiter, turns: Places) -> Admit:
    quotas = Quotas(rates, turns, CollectorRegistry())

    async def admit(contact: str) -> None:
        async with quotas.admitted(TENANT, "acme", LIMITS, "key", contact, contact):
            pass

    return admit


def library(url: str | None) -> Admit:
    from limits import RateLimitItemPerMinute  # noqa: PLC0415 - where it is installed
    from limits.aio.storage import MemoryStorage, RedisStorage  # noqa: PLC0415
    from limits.aio.strategies import SlidingWindowCounterRateLimiter  # noqa: PLC0415

    storage = MemoryStorage() if url is None else RedisStorage(f"async+{url}", implementation="redispy")
    strategy, most = SlidingWindowCounterRateLimiter(storage), RateLimitItemPerMinute(10**9)

    async def admit(contact: str) -> None:
        for whose in (("address", contact), ("contact", contact), ("key", "key"), ("tenant", "")):
            await strategy.hit(most, *whose)

    return admit


async def us_a_message(admit: Admit, contacts: int, messages: int) -> float:
    """CPU of this process. The loop turns between two messages, as a server's does."""
    for number in range(contacts):
        await admit(str(number))
    began = process_time()
    for number in range(messages):
        await admit(str(number % contacts))
        await asyncio.sleep(0)
    return (process_time() - began) / messages * 1e6


async def measured(url: str | None, messages: int, repeat: int) -> dict[str, dict[str, float]]:
    """By way and number of contacts, the median of runs in turns."""
    clock, metrics = SystemClock(), SharedMetrics(CollectorRegistry())
    alone = MemoryPlaces(lambda _tenant: 0)
    ways: dict[str, Callable[[], Admit]] = {"memory": lambda: ours(MemoryRateLimiter(clock), alone)}
    link = None
    if url is not None:
        link = connected(url, TlsFiles(), metrics)
        assert await link.look(), "redis-server has just been started"
        rates = RedisRateLimiter(link, MemoryRateLimiter(clock), metrics)
        ways["Redis, without turns at once"] = lambda: ours(rates, alone)
        shared = RedisPlaces(link, alone, new_id(), metrics, clock)
        ways["Redis"] = lambda: ours(rates, shared)
    if importlib.util.find_spec("limits") is not None:
        ways["memory, by the library"] = lambda: library(None)
        if url is not None:
            ways["Redis, by the library"] = lambda: library(url)
    found: dict[str, dict[str, list[float]]] = {way: {str(count): [] for count in CONTACTS} for way in ways}
    with Steps() as progress:
        step = progress.add_task("messages at the door", total=repeat * len(ways) * len(CONTACTS))
        for _ in range(repeat):
            for way, make in ways.items():
                for count in CONTACTS:
                    found[way][str(count)].append(await us_a_message(make(), count, messages))
                    progress.advance(step)
    if link is not None:
        await link.close()
    return {way: {count: round(statistics.median(us), 1) for count, us in runs.items()} for way, runs in found.items()}


def report(us: dict[str, dict[str, float]]) -> str:
    head = "| CPU us a message | " + " | ".join(f"{int(count):,} contacts" for count in map(str, CONTACTS)) + " |"
    lines = [f"| {way} | " + " | ".join(f"{value:g}" for value in runs.values()) + " |" for way, runs in us.items()]
    return "\n".join([head, "|---" * (len(CONTACTS) + 1) + "|", *lines])


def main() -> None:
    parser = arguments("limits", __doc__ or "")
    parser.add_argument("--messages", type=int, default=3000, help="of each run")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, in turns")
    given, where = parser.parse_args(), machine()
    with tempfile.TemporaryDirectory(prefix="frontdesk-limits-") as folder:
        program = shutil.which("redis-server")
        if program is None:
            us = uvloop.run(measured(None, given.messages, given.repeat))
        else:
            port = free_port()
            command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
            with started(command, Path(folder) / "redis.log"):
                uvloop.run(_listening(port))
                us = uvloop.run(measured(f"redis://127.0.0.1:{port}", given.messages, given.repeat))
    results = {"messages": given.messages, "repeat": given.repeat, "us": us}
    write("limits", given.out, where, results, "What a message pays at the door", report(us))


async def _listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


if __name__ == "__main__":
    main()

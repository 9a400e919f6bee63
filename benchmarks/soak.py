"""Ten thousand conversations of ten messages at full speed: does memory stay flat, and does anything leak?

An hour's work and more goes through one server in parts, plain and streamed ones in turns; each turn is three calls to
a model that answers at once. After each part, when nothing runs, the server and PostgreSQL are looked at: what has
grown since the warm-up, in which caches fill and the allocators find their size, is what would go on growing.
"""

import asyncio
import statistics
import tempfile
from pathlib import Path
from typing import Any  # results are JSON

import httpx
import msgspec
import psutil
import uvloop

from benchmarks import servers
from benchmarks.load import Load, Plan, load
from benchmarks.machine import machine
from benchmarks.mock_llm import LAST_WORD
from benchmarks.postgres import Postgres, postgres
from benchmarks.processes import private_mib, rss_mib
from benchmarks.report import Steps, arguments, table, write
from benchmarks.servers import TENANTS, Running

CONVERSATIONS, TURNS, AT_ONCE = 10_000, 10, 20
PARTS = 20
WARM_UP = 6  # parts
REST_S = 3.0  # after a part: readers of the log catch up, the kernel closes what was closed
PART_WITHIN_S = 3600.0
COUNTED = ("files", "threads", "tasks", "connections")
DATABASE = "bench_soak"
MESSAGE = "Hello, could you have a look at A-1001 for me please, note KEY-TURN"


class Sample(msgspec.Struct, frozen=True):
    """What there is when nothing runs and `turns` have ended."""

    turns: int
    server_mib: float
    postgres_mib: float  # what its processes have for themselves
    files: int
    threads: int
    tasks: int
    connections: int  # to the database


async def main() -> None:
    parser = arguments("soak", __doc__ or "")
    parser.add_argument("--scale", type=float, default=0.2, help="of the 10,000 conversations; 1 is the full form")
    given, where = parser.parse_args(), machine()
    each = max(1, round(CONVERSATIONS * given.scale / PARTS / AT_ONCE))
    samples: list[Sample] = []
    loads: list[Load] = []
    with tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as place, Steps() as progress:
        folder = Path(place)
        steps = progress.add_task("soak", total=PARTS)
        with postgres(folder / "postgres") as database, servers.model(folder) as model:
            settings = {
                "database_url": await database.make(DATABASE),
                "env": "production",
                "example": "",
                "tenants": str(TENANTS),
                "providers__mock__base_url": f"{model.url}/v1",
            }
            with servers.frontdesk(folder, **settings) as at:
                samples.append(await sample(at, database, 0))
                for part in range(PARTS):
                    progress.update(steps, description=f"{samples[-1].turns} turns")
                    planned = plan(at, database, each, is_streamed=part % 2 == 1)
                    loads.append(await asyncio.to_thread(load, planned, PART_WITHIN_S))
                    await asyncio.sleep(REST_S)
                    samples.append(await sample(at, database, samples[-1].turns + loads[-1].all_turns))
                    progress.advance(steps)
    counted = samples[WARM_UP:]
    results = {
        "scale": given.scale, "at_once": AT_ONCE, "turns": samples[-1].turns,
        "errors": sum(load.errors for load in loads), "turns_per_s": statistics.median(x.turns_per_s for x in loads),
        "mib_a_10000_turns": {name: slope(counted, name) for name in ("server_mib", "postgres_mib")},
        "gained": {name: getattr(counted[-1], name) - getattr(counted[0], name) for name in COUNTED},
        "samples": msgspec.to_builtins(samples),
    }  # fmt: skip
    write("soak", given.out, where, results, "Memory over many conversations", report(results, counted))
    if results["errors"]:
        raise SystemExit(f"turns failed: {next(load.first_error for load in loads if load.errors)}")


def plan(at: Running, database: Postgres, conversations: int, *, is_streamed: bool) -> Plan:
    body = {"user_id": "u-KEY", "session_id": "CONVERSATION", "message": MESSAGE}
    return Plan(
        f"{at.url}/api/bench/chat",
        msgspec.json.encode(body).decode(),
        expects=LAST_WORD,
        headers={"accept": "text/event-stream"} if is_streamed else {},
        concurrency=AT_ONCE,
        conversations=conversations,
        turns=TURNS,
        warm_up=0,
        pids={"server": at.pid, "postgres": database.pid},
    )


async def sample(at: Running, database: Postgres, turns: int) -> Sample:
    process = psutil.Process(at.pid)
    query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{DATABASE}' AND backend_type = 'client backend'"
    return Sample(
        turns=turns,
        server_mib=rss_mib(at.pid),
        postgres_mib=private_mib(database.pid),
        files=process.num_fds(),
        threads=process.num_threads(),
        tasks=await asyncio.to_thread(tasks, at),
        connections=await database.value(query),
    )


def tasks(at: Running) -> int:
    """By `/metrics`."""
    lines = httpx.get(f"{at.url}/metrics", timeout=60).text.splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("frontdesk_tasks "))


def slope(samples: list[Sample], name: str) -> float:
    """MiB in 10,000 turns, by least squares."""
    line = statistics.linear_regression([each.turns for each in samples], [getattr(each, name) for each in samples])
    return line.slope * 10_000


def report(results: dict[str, Any], counted: list[Sample]) -> str:
    head = ["turns", "server MiB", "PostgreSQL MiB", "open files", "threads", "tasks", "database connections"]
    samples = results["samples"]
    rows = [list(each.values()) for place, each in enumerate(samples) if place % 2 == 0]
    grown = results["mib_a_10000_turns"]
    first, last = counted[0], counted[-1]
    return "\n\n".join((
        f"{results['turns']:,} turns in conversations of {TURNS}, {results['at_once']} at a time, in {PARTS} parts, "
        f"every second one streamed: {results['turns_per_s']:.0f} turns/s, {results['errors']} errors. Looked at after "
        f"each part, {REST_S:.0f} s after the last answer. (The full form has 100,000 turns: `--scale 1`; this one is "
        f"{results['scale']:g} of it.)",
        f"From turn {first.turns:,} to {last.turns:,} the server went from {first.server_mib:.1f} to "
        f"{last.server_mib:.1f} MiB: **{grown['server_mib']:.2f} MiB in 10,000 turns**. PostgreSQL: "
        f"{first.postgres_mib:.1f} to {last.postgres_mib:.1f}, {grown['postgres_mib']:.2f} in 10,000, without the "
        "buffers that its processes share, which fill with the tables and are bounded by `shared_buffers`. "
        f"Open files {first.files} → {last.files}, tasks {first.tasks} → {last.tasks}, threads {first.threads} → "
        f"{last.threads}, connections {first.connections} → {last.connections}.",
        table(head, rows),
    ))  # fmt: skip


if __name__ == "__main__":
    uvloop.run(main())

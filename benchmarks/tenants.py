"""What a turn, the start and memory cost with a thousand tenants, against one tenant with as many conversations in all.

Two databases of one PostgreSQL, filled with copies of one tenant and one conversation (`filling.py`), each with a
server of its own; started and measured in turns, so that the machine's other load falls on both. Each turn begins a
conversation, of a tenant taken at random, and both servers have had as many before.
"""

import asyncio
import random
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any  # results are JSON
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import msgspec
import uvloop

from benchmarks import servers
from benchmarks.filling import copy_into_tenant, copy_tenant, settle
from benchmarks.growth import MESSAGE, server
from benchmarks.machine import machine
from benchmarks.postgres import Postgres, postgres
from benchmarks.processes import cpu_seconds, private_mib
from benchmarks.report import Steps, arguments, table, write
from benchmarks.servers import TENANTS, Running

AT_ONCE = 4
ONE, MANY = "one", "many"
# In place of the python tool of the other measurements: only a tenant with a folder on the server can have one.
_TOOL = """description: Look up an order by its number and return its state.
http:
  url: {url}/orders/{{order_id}}
input_schema:
  type: object
  required: [order_id]
  properties:
    order_id: {{type: string, description: "The order's number, such as A-1001."}}
"""


class Round(msgspec.Struct, frozen=True):
    """`start_s`: to the first answer of /health/ready. Memory is the server's own, scraping the time of `/metrics`."""

    start_s: float
    start_mib: float
    warm_mib: float
    cpu_ms: float
    postgres_cpu_ms: float
    p50_ms: float
    scrape_ms: float
    errors: int


def tenants_folder(folder: Path, model: Running) -> Path:
    """The measurements' tenant with a tool that a tenant without a folder has as well."""
    shutil.copytree(TENANTS / "bench", folder / "bench")
    (folder / "bench/tools/orders.py").unlink()
    (folder / "bench/tools/lookup_order.yaml").write_text(_TOOL.format(url=model.url))
    with (folder / "bench/tenant.yaml").open("a") as settings:
        settings.write("http_allow: [127.0.0.0/8]\n")
    return folder


async def grow(tenants: int, conversations: int, folder: Path, url: str, model: Running, files: Path) -> list[str]:
    """Fills the database, with what remains to be settled; the slugs."""
    session = uuid4()
    with server(folder, url, model, files) as at:
        body = {"user_id": "u", "session_id": str(session), "message": MESSAGE.replace("TURN", "0")}
        await asyncio.to_thread(servers.post, f"{at.url}/api/bench/chat", body)
    owner = await asyncpg.connect(url, timeout=60, command_timeout=3600)
    try:
        first: UUID = await owner.fetchval("SELECT id FROM tenants WHERE slug = 'bench'")
        slugs = ["bench"]
        for number in range(tenants):
            tenant = first
            if number:
                tenant, slug = uuid4(), f"bench-{number}"
                await copy_tenant(owner, first, tenant, slug)
                slugs.append(slug)
            start = number * conversations + 1
            await copy_into_tenant(owner, session, tenant, start, start + conversations - 1)
    finally:
        await owner.close()
    return slugs


async def settled(url: str) -> None:
    """Once nothing else runs in any database: what is read of the log is told by the oldest transaction."""
    owner = await asyncpg.connect(url, timeout=60, command_timeout=3600)
    try:
        await settle(owner)
    finally:
        await owner.close()


async def talk(at: Running, slugs: list[str]) -> tuple[list[float], int]:
    """A turn with each, of a contact and with words that are new, as words are. (seconds of each, how many failed)."""
    left = iter([(slug, uuid4().hex) for slug in slugs])
    lasted: list[float] = []
    errors = 0

    async def talk_on(http: aiohttp.ClientSession) -> None:
        nonlocal errors
        for slug, new in left:
            body = {"user_id": f"u-{new}", "message": MESSAGE.replace("TURN", new[:8])}
            began = time.perf_counter()
            async with http.post(f"{at.url}/api/{slug}/chat", json=body) as response:
                await response.read()
                errors += response.status != 200
            lasted.append(time.perf_counter() - began)

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(talk_on(http) for _ in range(AT_ONCE)))
    return lasted, errors


async def measured(
    folder: Path, url: str, model: Running, files: Path, database: Postgres, slugs: list[str], first: int, turns: int,
    seed: int,
) -> Round:  # fmt: skip
    """One start, `first` turns that go to each tenant in its turn, `turns` more, and the `turns` that count."""
    with ExitStack() as stack:
        began = time.perf_counter()
        at = stack.enter_context(server(folder, url, model, files))
        start_s = time.perf_counter() - began
        start_mib = private_mib(at.pid)
        chosen = random.Random(seed)
        each = [slugs[number % len(slugs)] for number in range(first)]
        _, failed = await talk(at, [*each, *(chosen.choice(slugs) for _ in range(turns))])
        before, postgres_before = cpu_seconds(at.pid), cpu_seconds(database.pid)
        lasted, errors = await talk(at, [chosen.choice(slugs) for _ in range(turns)])
        cpu, postgres_cpu = cpu_seconds(at.pid) - before, cpu_seconds(database.pid) - postgres_before
        warm_mib = private_mib(at.pid)
        scrape_s = await asyncio.to_thread(_scrape, f"{at.url}/metrics")
    return Round(
        start_s, start_mib, warm_mib, cpu / turns * 1000, postgres_cpu / turns * 1000,
        statistics.median(lasted) * 1000, scrape_s * 1000, errors + failed,
    )  # fmt: skip


def _scrape(url: str) -> float:
    servers.get_text(url)  # the first makes what later ones use
    began = time.perf_counter()
    servers.get_text(url)
    return time.perf_counter() - began


async def main() -> None:
    parser = arguments("tenants", __doc__ or "")
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument(
        "--conversations", type=int, default=1000, help="of each tenant; the one tenant has all of them"
    )
    parser.add_argument("--turns", type=int, default=1000, help="a round, of each")
    parser.add_argument("--repeat", type=int, default=5, help="rounds; medians are reported")
    given, where = parser.parse_args(), machine()
    sizes = {ONE: (1, given.tenants * given.conversations), MANY: (given.tenants, given.conversations)}
    rounds: dict[str, list[Round]] = {name: [] for name in sizes}
    with tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as place, Steps() as progress:
        folder = Path(place)
        steps = progress.add_task("tenants", total=2 + 2 * given.repeat)
        with postgres(folder / "postgres") as database, servers.model(folder) as model:
            await database.value("ALTER SYSTEM SET max_wal_size = '8GB'")  # filling is no part of the measurement
            await database.value("SELECT pg_reload_conf()")
            files = tenants_folder(folder / "files", model)
            urls = {name: await database.make(f"bench_{name}") for name in sizes}
            progress.update(steps, description=f"filling {given.tenants} × {given.conversations} twice")
            filled = await asyncio.gather(
                *(grow(*size, folder / name, urls[name], model, files) for name, size in sizes.items())
            )
            slugs = dict(zip(sizes, filled, strict=True))
            progress.advance(steps)
            for url in urls.values():
                progress.update(steps, description="settling")
                await settled(url)
            progress.advance(steps)
            for number in range(given.repeat):
                for name in sizes:
                    progress.update(steps, description=f"{name} {number + 1}/{given.repeat}")
                    rounds[name].append(
                        await measured(
                            folder / name,
                            urls[name],
                            model,
                            files,
                            database,
                            slugs[name],
                            given.tenants,
                            given.turns,
                            seed=number * 2,
                        )
                    )
                    progress.advance(steps)
    medians = {
        name: {key: statistics.median(getattr(each, key) for each in of) for key in Round.__struct_fields__}
        for name, of in rounds.items()
    }
    ratios = {key: medians[MANY][key] / medians[ONE][key] for key in _KEYS if medians[ONE][key]}
    results = {
        "tenants": given.tenants, "conversations": given.conversations, "turns": given.turns, "repeat": given.repeat,
        "medians": medians, "ratios": ratios, "rounds": msgspec.to_builtins(rounds),
    }  # fmt: skip
    write("tenants", given.out, where, results, "Many tenants on one server", report(results))


def report(results: dict[str, Any]) -> str:
    tenants, conversations = results["tenants"], results["conversations"]
    turns, repeat = results["turns"], results["repeat"]
    text = (
        f"{tenants:,} tenants with {conversations:,} conversations each, against one tenant with "
        f"{tenants * conversations:,}: the same turn (three calls to a model that answers at once), {AT_ONCE} at a "
        f"time, each of a tenant taken at random; medians of {repeat} rounds of {turns} turns after one of each tenant "
        f"and as many that warm up, each with a start of its own. Aim: no ratio above 1.1."
    )
    head = ["", "start s", "memory at start MiB", "warm MiB", "CPU ms", "PG CPU ms", "p50 ms", "scrape ms", "errors"]
    lines: list[list[object]] = []
    for name, title in ((ONE, "one tenant"), (MANY, f"{tenants:,} tenants")):
        of = results["medians"][name]
        lines.append([title, *(of[key] for key in _KEYS), of["errors"]])
    lines.append(["**ratio**", *(results["ratios"].get(key) for key in _KEYS), ""])
    return f"{text}\n\n{table(head, lines)}"


_KEYS = ("start_s", "start_mib", "warm_mib", "cpu_ms", "postgres_cpu_ms", "p50_ms", "scrape_ms")


if __name__ == "__main__":
    uvloop.run(main())

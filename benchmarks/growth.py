"""What a turn costs when there is much: a million stored messages against ten thousand, and a long conversation.

Two databases of one PostgreSQL, each with a server of its own, measured in turns, so that the machine's other load
falls on both. Every table that a turn fills has grown along (`filling.py`).
"""

import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any  # results are JSON
from uuid import UUID, uuid4

import asyncpg
import msgspec
import uvloop

from benchmarks import servers
from benchmarks.filling import copy_conversation, lengthen_conversation, settle
from benchmarks.load import Load, Plan, load
from benchmarks.machine import machine
from benchmarks.mock_llm import LAST_WORD
from benchmarks.postgres import Postgres, postgres
from benchmarks.report import Steps, arguments, table, write
from benchmarks.servers import TENANTS, Running

MESSAGE = "Hello, could you have a look at A-1001 for me please, note TURN"
TURNS = 10  # of a conversation: 20 messages
WINDOW = 40  # messages, by the tenant's settings
NEW, LONG = "new conversations", "one conversation"
TABLES = ("messages", "turns", "steps", "llm_calls", "outbox", "conversations")


class Grown(msgspec.Struct, frozen=True):
    """A database with `messages` in conversations of 20, and one conversation of `length`."""

    name: str
    messages: int
    length: int


def server(folder: Path, database_url: str, model: Running, tenants: Path = TENANTS) -> Any:
    folder.mkdir(exist_ok=True)
    settings = {
        "database_url": database_url,
        "env": "production",
        "example": "",
        "tenants": str(tenants),
        "providers__mock__base_url": f"{model.url}/v1",
    }
    return servers.frontdesk(folder, **settings)


async def grow(size: Grown, folder: Path, database: Postgres, url: str, model: Running) -> tuple[UUID, dict[str, int]]:
    """Fills the database; the long conversation, and the rows of each table."""
    many, long = uuid4(), uuid4()
    with server(folder, url, model) as at:
        for session, user in ((many, "u-many"), (long, "u-long")):
            for turn in range(TURNS):
                body = {"user_id": user, "session_id": str(session), "message": MESSAGE.replace("TURN", str(turn))}
                await asyncio.to_thread(servers.post, f"{at.url}/api/bench/chat", body)
    owner = await asyncpg.connect(url, timeout=60, command_timeout=1800)
    try:
        await copy_conversation(owner, many, size.messages // (2 * TURNS) - 1)
        await lengthen_conversation(owner, long, size.length // (2 * TURNS), WINDOW)
        await settle(owner)
        return long, {name: await owner.fetchval(f"SELECT count(*) FROM {name}") for name in TABLES}
    finally:
        await owner.close()


def plan(kind: str, long: UUID, at: Running, database: Postgres, turns: int) -> Plan:
    body = {"user_id": "u-KEY", "session_id": "CONVERSATION", "message": MESSAGE}
    if kind == LONG:
        body |= {"user_id": "u-long", "session_id": str(long)}
    return Plan(
        f"{at.url}/api/bench/chat",
        msgspec.json.encode(body).decode(),
        expects=LAST_WORD,
        conversations=max(1, turns // TURNS),
        turns=TURNS,
        pids={"server": at.pid, "postgres": database.pid},
    )


async def main() -> None:
    parser = arguments("growth", __doc__ or "")
    parser.add_argument("--messages", default="10000,1000000", help="stored in the small and the large database")
    parser.add_argument("--lengths", default="100,100000", help="messages of the long conversation in each")
    parser.add_argument("--turns", type=int, default=300, help="a round, of each kind in each database")
    parser.add_argument("--repeat", type=int, default=5, help="rounds; medians are reported")
    given, where = parser.parse_args(), machine()
    sizes = [
        Grown(name, int(messages), int(length))
        for name, messages, length in zip(
            ("small", "large"), given.messages.split(","), given.lengths.split(","), strict=True
        )
    ]
    rounds: dict[str, dict[str, list[Load]]] = {kind: {size.name: [] for size in sizes} for kind in (NEW, LONG)}
    rows: dict[str, dict[str, int]] = {}
    filled_s: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as place, Steps() as progress:
        folder = Path(place)
        steps = progress.add_task("growth", total=2 + given.repeat * 4)
        with postgres(folder / "postgres") as database, servers.model(folder) as model, ExitStack() as stack:
            await database.value("ALTER SYSTEM SET max_wal_size = '8GB'")  # filling is no part of the measurement
            await database.value("SELECT pg_reload_conf()")
            urls = {size.name: await database.make(f"bench_{size.name}") for size in sizes}
            long: dict[str, UUID] = {}
            for size in sizes:
                progress.update(steps, description=f"filling: {size.messages} messages")
                began = time.perf_counter()
                long[size.name], rows[size.name] = await grow(
                    size, folder / size.name, database, urls[size.name], model
                )
                filled_s[size.name] = time.perf_counter() - began
                progress.advance(steps)
            at = {size.name: stack.enter_context(server(folder / size.name, urls[size.name], model)) for size in sizes}
            for number in range(given.repeat):
                for kind in (NEW, LONG):
                    for size in sizes:
                        progress.update(steps, description=f"{kind}, {size.name} {number + 1}/{given.repeat}")
                        planned = plan(kind, long[size.name], at[size.name], database, given.turns)
                        rounds[kind][size.name].append(await asyncio.to_thread(load, planned))
                        progress.advance(steps)
    medians = {kind: {name: median(loads) for name, loads in of.items()} for kind, of in rounds.items()}
    ratios = {
        kind: {key: of["large"][key] / of["small"][key] for key in of["small"] if of["small"][key]}
        for kind, of in medians.items()
    }
    results = {
        "sizes": msgspec.to_builtins(sizes), "rows": rows, "filled_s": filled_s, "repeat": given.repeat,
        "turns": given.turns, "medians": medians, "ratios": ratios, "rounds": msgspec.to_builtins(rounds),
    }  # fmt: skip
    write("growth", given.out, where, results, "A turn in a database that has grown", report(results))


def median(loads: list[Load]) -> dict[str, float]:
    return {
        "cpu_ms": statistics.median(load.cpu_ms["server"] for load in loads),
        "postgres_cpu_ms": statistics.median(load.cpu_ms["postgres"] for load in loads),
        "p50_ms": statistics.median(load.p50_ms for load in loads),
        "p99_ms": statistics.median(load.p99_ms for load in loads),
        "errors": sum(load.errors for load in loads),
    }


def report(results: dict[str, Any]) -> str:
    small, large = results["sizes"]
    parts = [
        f"The same turn (three calls to a model that answers at once) with {small['messages']:,} and with "
        f"{large['messages']:,} stored messages in conversations of {2 * TURNS}: one conversation at a time, medians "
        f"of {results['repeat']} rounds of {results['turns']} turns, the databases in turns. *{NEW}* of {TURNS} turns "
        f"are begun; *{LONG}* goes on, one of {small['length']:,} and one of {large['length']:,} messages, with the "
        f"same window of {WINDOW}."
    ]
    head = ["", "stored", "CPU ms", "PG CPU ms", "p50 ms", "p99 ms", "errors"]
    lines: list[list[object]] = []
    for kind, of in results["medians"].items():
        for size in (small, large):
            stored = f"{size['messages' if kind == NEW else 'length']:,}"
            lines.append([kind, stored, *(of[size["name"]][key] for key in _KEYS), of[size["name"]]["errors"]])
        ratio = results["ratios"][kind]
        lines.append([f"**{kind}: ratio**", "", *(ratio.get(key) for key in _KEYS), ""])
    parts.append(table(head, lines))
    counts = "; ".join(
        f"{size['name']}: " + ", ".join(f"{name} {count:,}" for name, count in results["rows"][size["name"]].items())
        for size in (small, large)
    )
    parts.append(f"Rows before the measurement: {counts}.")
    return "\n\n".join(parts)


_KEYS = ("cpu_ms", "postgres_cpu_ms", "p50_ms", "p99_ms")


if __name__ == "__main__":
    uvloop.run(main())

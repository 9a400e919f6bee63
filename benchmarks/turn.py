"""What a turn costs beside the floors, in the same run, with a model that answers at once.

One turn is three calls to the model: which agent, a tool call, the answer of 50 tokens. Everything of ours is on.
"""

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # results are JSON

import msgspec

from benchmarks import servers
from benchmarks.load import Load, Plan, load
from benchmarks.machine import machine
from benchmarks.mock_llm import LAST_WORD
from benchmarks.postgres import Postgres, postgres
from benchmarks.processes import NotStarted, rss_mib
from benchmarks.report import Steps, arguments, table, write
from benchmarks.servers import TENANTS, Running
from frontdesk.embedding.minilm import MiniLM

OURS, YARDSTICK = "frontdesk", "durable_floor"
# Ours with agents that have no examples: no classifier, so no embedding, and the model is asked at once.
BARE = "frontdesk, no embedding"
MESSAGE = "Hello, could you have a look at A-1001 for me please, note KEY-TURN"
TURNS, CALLS = 10, 3  # of a conversation; of a turn
COUNTED = 50  # turns whose rows and statements are counted


@dataclass(frozen=True)
class Scenario:
    """`turns`: how many to measure; byhand, whose turn is long, gets a fifth."""

    name: str
    concurrency: int
    turns: int
    streamed: bool = False


SCENARIOS = (Scenario("c1", 1, 600), Scenario("c32", 32, 2880), Scenario("stream8", 8, 960, streamed=True))


class Round(msgspec.Struct, frozen=True):
    """One server in one scenario, once."""

    load: Load
    calls: float  # to the model, a turn
    wal_kib: float  # a turn


@contextmanager
def server(name: str, folder: Path, database: Postgres, database_url: str, model: Running) -> Iterator[Running]:
    """Raises NotStarted."""
    if name not in (OURS, BARE):
        with servers.floor(name, folder, database_url, model.url) as running:
            yield running
        return
    settings = {
        "database_url": database_url,
        "env": "production",
        "example": "",
        "tenants": str(TENANTS if name == OURS else without_examples(folder)),
        "providers__mock__base_url": f"{model.url}/v1",
    }
    with servers.frontdesk(folder, key_of="bench", **settings) as running:
        yield running


def plan(name: str, scenario: Scenario, at: Running, database: Postgres, model: Running, scale: float) -> Plan:
    share = scale / 5 if name == "byhand" else scale
    conversations = max(1, round(scenario.turns * share / scenario.concurrency / TURNS))
    common: dict[str, Any] = {
        "expects": LAST_WORD,
        "concurrency": scenario.concurrency,
        "conversations": conversations,
        "turns": TURNS,
        "pids": {"server": at.pid, "postgres": database.pid, "model": model.pid},
    }
    if name in (OURS, BARE):
        body = {"user_id": "u-KEY", "session_id": "CONVERSATION", "message": MESSAGE}
        headers = dict(at.headers) | ({"accept": "text/event-stream"} if scenario.streamed else {})
        return Plan(f"{at.url}/api/bench/chat", _json(body), headers=headers, first="event: delta", **common)
    path = "/chat/stream" if scenario.streamed else "/chat"
    body = {"conversation_id": "CONVERSATION", "message": MESSAGE}
    return Plan(f"{at.url}{path}", _json(body), **common)


async def measure(
    name: str, scenario: Scenario, at: Running, database: Postgres, model: Running, scale: float
) -> Round:
    the_plan = plan(name, scenario, at, database, model, scale)
    calls, wal = servers.get(f"{model.url}/stats")["calls"], await database.wal_bytes()
    result = await asyncio.to_thread(load, the_plan)
    calls = servers.get(f"{model.url}/stats")["calls"] - calls
    wal = await database.wal_bytes() - wal
    return Round(result, calls / result.all_turns, wal / result.all_turns / 1024)


async def main() -> None:
    parser = arguments("turn", __doc__ or "")
    parser.add_argument(
        "--servers", nargs="+", default=[YARDSTICK, "floor", "byhand", OURS, BARE], help="in this order"
    )
    parser.add_argument("--repeat", type=int, default=3, help="rounds; medians are reported")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of turns")
    given, where = parser.parse_args(), machine()
    names, missing, idle = given.servers, dict[str, str](), dict[str, float]()
    rounds: dict[str, dict[str, list[Round]]] = {name: {scenario.name: [] for scenario in SCENARIOS} for name in names}
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as place, Steps() as progress:
        folder = Path(place)
        steps = progress.add_task("turn", total=given.repeat * len(names) * len(SCENARIOS))
        with postgres(folder / "postgres") as database, servers.model(folder) as model:
            urls = {name: await database.make(f"bench_{place}") for place, name in enumerate(names)}
            for number in range(given.repeat):
                for name in names:
                    try:
                        with server(name, folder, database, urls[name], model) as at:
                            idle[name] = rss_mib(at.pid)
                            for scenario in SCENARIOS:
                                progress.update(
                                    steps, description=f"{name} {scenario.name} {number + 1}/{given.repeat}"
                                )
                                one = await measure(name, scenario, at, database, model, given.scale)
                                rounds[name][scenario.name].append(one)
                                progress.advance(steps)
                            if name == OURS and not facts:
                                facts = await our_facts(at, database, f"bench_{names.index(name)}")
                    except NotStarted as reason:
                        missing[name] = str(reason).splitlines()[-1]
                        progress.advance(steps, len(SCENARIOS))
            facts["postgres"] = await database.value("SHOW server_version")
            facts["durability"] = {
                name: await database.value(f"SHOW {name}") for name in ("fsync", "synchronous_commit")
            }
            facts["embedding"] = await embedding_cost(folder / "data" / "models")
    medians = {name: {key: median(found) for key, found in of.items() if found} for name, of in rounds.items()}
    medians = {name: of for name, of in medians.items() if of}
    results = {
        "repeat": given.repeat, "medians": medians, "ratios": ratios(medians), "idle_rss_mib": idle, "facts": facts,
        "missing": missing, "rounds": msgspec.to_builtins(rounds),
    }  # fmt: skip
    write("turn", given.out, where, results, "What a turn costs", report(medians, idle, facts, missing, given.repeat))


def without_examples(folder: Path) -> Path:
    """A copy of the measurement's tenant whose agents have none."""
    copy = folder / "tenants"
    if not copy.exists():
        shutil.copytree(TENANTS, copy)
        for agent in copy.glob("bench/agents/*.yaml"):
            agent.write_text(agent.read_text().partition("examples:")[0])
    return copy


def median(rounds: list[Round]) -> dict[str, float]:
    def of(value: Any) -> float:
        return float(statistics.median(value(each) for each in rounds))

    return {
        "cpu_ms": of(lambda each: each.load.cpu_ms["server"]),
        "postgres_cpu_ms": of(lambda each: each.load.cpu_ms["postgres"]),
        "p50_ms": of(lambda each: each.load.p50_ms),
        "p99_ms": of(lambda each: each.load.p99_ms),
        "first_token_p50_ms": of(lambda each: each.load.first_p50_ms or 0.0),
        "turns_per_s": of(lambda each: each.load.turns_per_s),
        "wal_kib": of(lambda each: each.wal_kib),
        "peak_rss_mib": of(lambda each: each.load.peak_mib["server"]),
        "calls": of(lambda each: each.calls),
        "turns": sum(each.load.turns for each in rounds),
        "errors": sum(each.load.errors for each in rounds),
    }


def ratios(medians: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Each server's figures over the yardstick's."""
    base = medians.get(YARDSTICK, {})
    kept = ("cpu_ms", "postgres_cpu_ms", "p50_ms", "p99_ms", "turns_per_s", "wal_kib", "peak_rss_mib")
    return {
        name: {
            scenario: {key: round(of[key] / base[scenario][key], 3) for key in kept if base[scenario][key]}
            for scenario, of in found.items()
            if scenario in base
        }
        for name, found in medians.items()
        if base and name != YARDSTICK
    }


async def our_facts(at: Running, database: Postgres, tables: str) -> dict[str, Any]:
    """What a turn of ours was, asked and wrote: read from its answer, the tables and PostgreSQL's log."""

    async def say(turn: int) -> Any:
        body = {"user_id": f"facts-{turn}", "message": MESSAGE.replace("KEY-TURN", f"{turn:08x}-0")}
        return await asyncio.to_thread(servers.post, f"{at.url}/api/bench/chat", body)

    answer = await say(0)
    before = await _written(database, tables)
    for turn in range(COUNTED):
        await say(turn + 1)
    after = await _written(database, tables)
    async with database.counting() as statements:
        for turn in range(COUNTED):
            await say(turn + COUNTED + 1)
    rows = {
        name: {"inserted": (inserted - before[name][0]) / COUNTED, "updated": (updated - before[name][1]) / COUNTED}
        for name, (inserted, updated) in after.items()
        if (inserted, updated) != before[name]
    }
    return {
        "routing": answer["routing"],
        "agents": answer["agents"],
        "tools": [use["name"] for use in answer["tools"]],
        "llm_calls": answer["usage"]["llm_calls"],
        "rows_a_turn": rows,
        "statements_a_turn": {name: round(count / COUNTED, 2) for name, count in statements.most_common(20)},
    }


async def _written(database: Postgres, tables: str) -> dict[str, tuple[int, int]]:
    """Rows inserted and updated so far, by table."""
    await asyncio.sleep(11)  # a PostgreSQL backend that fell idle flushes its statistics after 10 s
    rows = await database.rows(tables, "SELECT relname, n_tup_ins, n_tup_upd FROM pg_stat_user_tables")
    return {row["relname"]: (row["n_tup_ins"], row["n_tup_upd"]) for row in rows}


async def embedding_cost(cache: Path) -> dict[str, float]:
    """One embedding of the measurement's message, as the server makes it: CPU by the process's clock."""
    embedder = await asyncio.to_thread(MiniLM.load, cache)
    await embedder.embed([MESSAGE])
    number = 300
    cpu, wall = time.process_time(), time.perf_counter()
    for turn in range(number):
        await embedder.embed([MESSAGE.replace("KEY-TURN", f"{turn:08x}-{turn % TURNS}")])
    return {
        "cpu_ms": (time.process_time() - cpu) / number * 1e3,
        "wall_ms": (time.perf_counter() - wall) / number * 1e3,
    }


def report(
    medians: dict[str, dict[str, dict[str, float]]],
    idle: dict[str, float],
    facts: dict[str, Any],
    missing: dict[str, str],
    repeat: int,
) -> str:
    parts = [
        "A turn is three calls to a model that answers at once: which agent, a tool call, an answer of 50 tokens. All "
        "servers use the same model, the same PostgreSQL and the same load generator on this machine, one after the "
        f"other; medians of {repeat} rounds. **Read ratios, not milliseconds.** CPU is user + system of the process "
        "tree; x is against `durable_floor`, which keeps message, turn, usage and events in the same way and does "
        "nothing else."
    ]
    titles = {
        "c1": "One conversation at a time",
        "c32": "32 conversations at once",
        "stream8": "Streamed, 8 conversations at once",
    }
    head = ["server", "CPU ms", "x", "PG CPU ms", "x", "p50 ms", "x", "p99 ms", "x", "turns/s", "WAL KiB", "x",
            "RSS MiB", "calls", "errors"]  # fmt: skip
    for scenario, title in titles.items():
        rows = []
        base = medians.get(YARDSTICK, {}).get(scenario)
        for name, found in medians.items():
            if (of := found.get(scenario)) is None:
                continue

            def x(key: str, of: dict[str, float] = of) -> float | None:
                return of[key] / base[key] if base and base[key] else None  # noqa: B023 - used within its round

            rows.append([
                name, of["cpu_ms"], x("cpu_ms"), of["postgres_cpu_ms"], x("postgres_cpu_ms"), of["p50_ms"],
                x("p50_ms"), of["p99_ms"], x("p99_ms"), of["turns_per_s"], of["wal_kib"], x("wal_kib"),
                of["peak_rss_mib"], of["calls"], f"{of['errors']:.0f}",
            ])  # fmt: skip
        if rows:
            parts.append(f"## {title}\n\n{table(head, rows)}")
    if facts.get("embedding"):
        cost = facts["embedding"]
        parts.append(
            f"One embedding of the message, which only frontdesk makes (once a turn, for the classifier): "
            f"**{cost['cpu_ms']:.2f} ms** of CPU, {cost['wall_ms']:.2f} ms of time, one after the other in a warm "
            "process. In a turn, where other work has taken the caches, it costs more: the difference of the last two "
            "rows of each table, classifier included." + _without_embedding(medians, cost)
        )
    if facts.get("rows_a_turn"):
        written = ", ".join(
            f"{name} {counts['inserted']:.2f} + {counts['updated']:.2f}"
            for name, counts in sorted(facts["rows_a_turn"].items())
        )
        parts.append(
            "On in frontdesk: the guard (emergency, wish for a human), language, every router stage before the model "
            f"(this turn's stage: `{facts['routing']['stage']}`), the gateway (breaker, allowance, ledger), schema "
            "checks of tool arguments, encryption of messages and events, the event log with its consumers, Prometheus "
            "metrics, one log line a turn, row-level security. "
            f"Rows written a turn in conversations of one turn (inserted + updated): {written}."
        )
    if statements := facts.get("statements_a_turn"):
        said = ", ".join(f"{name} {count:.2f}" for name, count in statements.items() if count >= 0.01)
        parts.append(
            f"Statements of frontdesk a turn, one at a time, by PostgreSQL's log: **{sum(statements.values()):.1f}**"
            f" ({said}). `durable_floor` has 3."
        )
    parts.append(
        f"PostgreSQL {facts['postgres']}, fsync {facts['durability']['fsync']}, synchronous_commit "
        f"{facts['durability']['synchronous_commit']}. Idle RSS: "
        + ", ".join(f"{name} {mib:.0f} MiB" for name, mib in idle.items())
        + ". CPU comes in ticks of 10 ms, so short runs (`--scale`) are rough."
    )
    if (calls := sum(of["calls"] for of in medians.get(OURS, {}).values())) and abs(calls / 3 - CALLS) > 0.02:
        parts.insert(1, f"**Not the same turn: frontdesk called the model {calls / 3:.2f} times, not {CALLS}.**")
    parts.extend(f"Left out: {name} ({reason})." for name, reason in missing.items())
    return "\n\n".join(parts)


def _without_embedding(medians: dict[str, dict[str, dict[str, float]]], cost: dict[str, float]) -> str:
    """The aim is set as a multiple of the floor plus one embedding."""
    ours, base = medians.get(OURS), medians.get(YARDSTICK)
    if not ours or not base:
        return ""
    said = [
        f"{(ours[scenario]['cpu_ms'] - cost['cpu_ms']) / base[scenario]['cpu_ms']:.1f} ({scenario})"
        for scenario in ours
    ]
    return f" Without it frontdesk's CPU is {', '.join(said)} times `durable_floor`'s."


def _json(body: dict[str, str]) -> str:
    return msgspec.json.encode(body).decode()


if __name__ == "__main__":
    asyncio.run(main())

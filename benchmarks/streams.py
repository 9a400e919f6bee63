"""A thousand streamed answers at once: gaps between tokens, time to the first one, memory and CPU.

The model streams at a human pace, so all streams are open together; the contacts' clients and the model are processes
of their own on the same cores. Beside it a bare relay of the same bytes, in the same run.
"""

import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any  # results are JSON

import msgspec
import uvloop

from benchmarks import servers
from benchmarks.listeners import Crowd, Heard, listen
from benchmarks.machine import machine
from benchmarks.postgres import postgres
from benchmarks.processes import rss_mib
from benchmarks.report import Steps, arguments, table, write
from benchmarks.servers import TENANTS, Running

OURS, YARDSTICK = "frontdesk", "relay"
MESSAGE = "Hello, could you have a look at A-1001 for me please"
WARM_UP = 8  # streams before anything is counted


@contextmanager
def server(name: str, folder: Path, database_url: str, model: Running) -> Iterator[Running]:
    if name == YARDSTICK:
        with servers.relay(folder, model.url) as at:
            yield at
        return
    settings = {
        "database_url": database_url,
        "env": "production",
        "example": "",
        "tenants": str(TENANTS),
        "providers__mock__base_url": f"{model.url}/v1",
        "gateway__deadline_s": "600",  # answers are longer than people want them
        "turns__deadline_s": "600",
    }
    with servers.frontdesk(folder, key_of="bench", **settings) as at:
        yield at


def plan(name: str, streams: int, together_s: float, at: Running, pids: dict[str, int], given: Any) -> Crowd:
    """Answers are so long that the first is open when the last has been heard for `together_s`, at a slow start too."""
    answer_s = 1.2 * streams / given.opened_a_s + together_s + 3
    common: dict[str, Any] = {
        "streams": streams,
        "tokens": round(given.pace * answer_s),
        "within_s": 60 + 3 * answer_s,
        "opened_a_s": given.opened_a_s,
        "together_s": together_s,
        "pids": {"server": at.pid} | pids,
    }
    if name == YARDSTICK:
        return Crowd(f"{at.url}/", "{}", "data: [DONE]", **common)
    body = msgspec.json.encode({"user_id": "u-KEY", "message": MESSAGE}).decode()
    headers = {"accept": "text/event-stream"} | dict(at.headers)
    return Crowd(f"{at.url}/api/bench/chat", body, "event: answer", headers=headers, **common)


async def main() -> None:
    parser = arguments("streams", __doc__ or "")
    parser.add_argument("--servers", default=f"{YARDSTICK},{OURS}", help="which, in this order")
    parser.add_argument("--streams", default="100,1000", help="how many at once, one measurement each")
    parser.add_argument("--pace", type=int, default=25, help="tokens a second of each answer")
    parser.add_argument("--opened-a-s", type=float, default=8.0, help="streams opened a second")
    parser.add_argument("--together-s", type=float, default=15.0, help="time in which all are open and counted")
    given, where = parser.parse_args(), machine()
    crowds = [int(number) for number in given.streams.split(",")]
    allow_open_files(2 * max(crowds) + 200)
    found: dict[str, dict[str, Heard]] = {}
    idle: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as place, Steps() as progress:
        folder = Path(place)
        names = given.servers.split(",")
        steps = progress.add_task("streams", total=len(names) * len(crowds))
        with postgres(folder / "postgres") as database, servers.model(folder, given.pace) as model:
            url = await database.make("bench_streams")
            pids = {"model": model.pid, "postgres": database.pid}

            async def hear(name: str, streams: int, together_s: float, at: Running) -> Heard:
                crowd = plan(name, streams, together_s, at, pids, given)
                servers.get(f"{model.url}/tokens/{crowd.tokens}")
                what = f"{name}, {streams} streams"
                return await listen(crowd, lambda said: progress.update(steps, description=f"{what}: {said}"))

            for name in names:
                with server(name, folder, url, model) as at:
                    await hear(name, WARM_UP, 1.0, at)
                    idle[name] = rss_mib(at.pid)
                    for streams in crowds:
                        progress.update(steps, description=f"{name}, {streams} streams")
                        found.setdefault(name, {})[str(streams)] = await hear(name, streams, given.together_s, at)
                        progress.advance(steps)
    results = {
        "pace": given.pace, "opened_a_s": given.opened_a_s, "together_s": given.together_s, "idle_rss_mib": idle,
        "heard": msgspec.to_builtins(found),
        "kib_a_stream": {name: kib_a_stream(of, idle[name]) for name, of in found.items()},
    }  # fmt: skip
    write("streams", given.out, where, results, "Many streamed answers at once", report(found, idle, given))
    if lost := {name: loss for name, of in found.items() for heard in of.values() if (loss := heard.first_loss)}:
        raise SystemExit(f"streams were lost: {lost}")


def allow_open_files(wanted: int) -> None:
    """To what is started too, as far as the system lets us: the relay holds two sockets for each stream."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def kib_a_stream(of: dict[str, Heard], idle_mib: float) -> float:
    """Of the largest crowd, against the server that has run a few streams."""
    most = max(of.values(), key=lambda heard: heard.streams)
    return (most.mib_open - idle_mib) * 1024 / most.streams


def report(found: dict[str, dict[str, Heard]], idle: dict[str, float], given: Any) -> str:
    head = ["server", "streams", "open", "gap p50 ms", "p99", "max", "delay p50 ms", "p99", "first token p50 ms", "p99",
            "CPU µs a token", "cores", "RSS MiB", "tokens a read", "lost"]  # fmt: skip
    rows = [
        [
            name, heard.streams, heard.open, heard.gap_p50_ms, heard.gap_p99_ms, heard.gap_max_ms, heard.delay_p50_ms,
            heard.delay_p99_ms, heard.first_p50_ms, heard.first_p99_ms, heard.cpu_s["server"] / heard.tokens * 1e6,
            heard.cpu_s["server"] / heard.window_s, heard.mib_open, heard.tokens / heard.reads, heard.lost,
        ]
        for name, of in found.items()
        for heard in of.values()
    ]  # fmt: skip
    memory = ", ".join(f"{name} {kib_a_stream(of, idle[name]):.0f} KiB (idle {idle[name]:.0f} MiB)"
                       for name, of in found.items())  # fmt: skip
    return "\n\n".join((
        f"Answers come at {given.pace} tokens a second (every pause between 0.67 and 1.33 of the mean, so the ideal "
        f"p99 gap is {1330 / given.pace:.0f} ms); {given.opened_a_s:.0f} streams are opened a second, answers are so "
        f"long that all are open together, and what is counted is {given.together_s:.0f} s of that (*open*: how many "
        "still were at its end). In frontdesk each is a whole turn: three calls to the model, of which the last is "
        "streamed. Gap: between two reads with tokens at the client. Delay: from the model's write of a token to the "
        "client's read.",
        table(head, rows),
        f"Memory a stream, with its two sockets, at {max(int(number) for number in given.streams.split(','))} streams: "
        f"{memory}. CPU and cores are the server's process alone; model, PostgreSQL and clients run on the same cores.",
    ))  # fmt: skip


if __name__ == "__main__":
    uvloop.run(main())

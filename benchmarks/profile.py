"""Where a turn's CPU goes, room by room: `make bench-profile`.

The turns of `benchmarks/turn.py` at 32 conversations at once, while py-spy samples who holds the interpreter's lock.
"""

import asyncio
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks import servers
from benchmarks.load import Load
from benchmarks.machine import machine
from benchmarks.postgres import Postgres, postgres
from benchmarks.report import Steps, arguments, table, write
from benchmarks.servers import Running
from benchmarks.turn import OURS, SCENARIOS, measure, server

RATE, SAMPLED_S = 500, 20
LEAST = 0.5  # per cent: rooms below it are put together
_ROOM = re.compile(r"\bfrontdesk/(\w+)/")
_LIBRARY = re.compile(r"\((?:.*/)?site-packages/([\w-]+)|\(([A-Za-z_]\w*)[/.]")


async def main() -> None:
    given, where = arguments("profile", __doc__ or "").parse_args(), machine()
    scenario = next(each for each in SCENARIOS if each.name == "c32")
    with tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as place, Steps() as progress:
        folder = Path(place)
        step = progress.add_task("warming up", total=3)
        with postgres(folder / "postgres") as database, servers.model(folder) as model:
            url = await database.make("bench")
            with server(OURS, folder, database, url, model) as at:
                await measure(OURS, scenario, at, database, model, 0.3)  # warm
                progress.update(step, advance=1, description="measured")
                before = threads_s(at.pid)
                load = (await measure(OURS, scenario, at, database, model, 1.0)).load
                spent = {thread: seconds - before.get(thread, 0.0) for thread, seconds in threads_s(at.pid).items()}
                progress.update(step, advance=1, description="sampled")
                rooms, libraries = await sampled(folder, at, database, model)
                progress.advance(step)
    loop_ms = spent[at.pid] / load.all_turns * 1e3
    beside_ms = (sum(spent.values()) - spent[at.pid]) / load.all_turns * 1e3
    results = {
        "turns": load.turns, "cpu_ms": load.cpu_ms["server"], "loop_ms": loop_ms, "beside_ms": beside_ms,
        "rooms": shares(rooms), "libraries": shares(libraries),
    }  # fmt: skip
    write("profile", given.out, where, results, "Where a turn's CPU goes", report(results, load))


async def sampled(folder: Path, at: Running, database: Postgres, model: Running) -> tuple[Counter[str], Counter[str]]:
    """Samples by room and by library while the load goes on."""
    scenario = next(each for each in SCENARIOS if each.name == "c32")
    stacks = folder / "stacks.txt"
    spy = Path(sys.executable).with_name("py-spy")
    command = [
        str(spy), "record", "--pid", str(at.pid), "--gil", "--nonblocking", "--format", "raw", "--full-filenames",
        "--rate", str(RATE), "--duration", str(SAMPLED_S), "--output", str(stacks),
    ]  # fmt: skip
    spying = await asyncio.to_thread(subprocess.Popen, command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while spying.poll() is None:
        await measure(OURS, scenario, at, database, model, 0.5)
    return read(stacks.read_text())


def read(stacks: str) -> tuple[Counter[str], Counter[str]]:
    """By the innermost of our rooms in a stack, and by the package of its innermost frame."""
    rooms, libraries = Counter[str](), Counter[str]()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        ours = [found[1] for frame in frames if (found := _ROOM.search(frame))]
        # The command line and the server's loop stand below everything: what is only theirs is the HTTP server's.
        room = ours[-1] if ours and ours[-1] != "cli" else "http server, event loop"
        rooms[room] += int(count)
        found = _LIBRARY.search(frames[-1])
        own = _ROOM.search(frames[-1])
        libraries["frontdesk" if own else (found[1] or found[2]) if found else "python"] += int(count)
    return rooms, libraries


def shares(counts: Counter[str]) -> dict[str, float]:
    """Per cent, the largest first; what is below LEAST together."""
    total = sum(counts.values())
    large = {name: count / total * 100 for name, count in counts.most_common() if count / total * 100 >= LEAST}
    return large | {"all others": max(0.0, 100 - sum(large.values()))}


def threads_s(pid: int) -> dict[int, float]:
    """CPU of each thread of a process so far, by its id."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        found[int(task.name)] = (int(fields[11]) + int(fields[12])) / 100
    return found


def report(results: dict[str, object], load: Load) -> str:
    rooms, libraries = results["rooms"], results["libraries"]
    loop_ms, beside_ms = results["loop_ms"], results["beside_ms"]
    assert isinstance(rooms, dict) and isinstance(libraries, dict)
    assert isinstance(loop_ms, float) and isinstance(beside_ms, float)
    by_room = table(
        ["room", "share of the event loop %", "ms a turn"],
        [[name, share, share / 100 * loop_ms] for name, share in rooms.items()],
    )
    by_library = table(["package of the running function", "%"], [[name, share] for name, share in libraries.items()])
    return (
        f"{load.turns} turns, 32 at once: {load.cpu_ms['server']:.2f} ms of CPU each, of which {loop_ms:.2f} ms on the "
        f"event loop and {beside_ms:.2f} ms in threads beside it (the embedding, above all).\n\n"
        f"## By room\n\nA sample counts for the innermost of our rooms on the stack, with the libraries that it calls."
        f"\n\n{by_room}\n\n## By library\n\n{by_library}\n\n"
        "Samples are of who holds the interpreter's lock, so that a system call which wakes another process counts a "
        "little too much."
    )


if __name__ == "__main__":
    asyncio.run(main())

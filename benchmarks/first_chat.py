"""From a clean clone to the first answer, as a new user walks it: `git clone`, `make serve`, a question.

The package cache is warm (what a second project on the same machine has); everything else is new: clone, environment,
packages, database, schema, tenant. Then the same server is started a second time, and left alone to see what it holds.
"""

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any  # results are JSON

import psutil
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks import servers
from benchmarks.machine import machine
from benchmarks.processes import NotStarted, clean_environment, free_port, pss_mib, rss_mib, stop, wait_until_ready
from benchmarks.report import Steps, arguments, table, write

REPOSITORY = Path(__file__).parents[1]
QUESTION = "When are visiting hours?"
START_S = 900.0
# What `make serve` says, and what begins with it; the time until the next such line is the step's.
STEPS = (
    (re.compile(r"fetching the installer"), "installer (uv)"),
    (re.compile(r"installing \d+ packages"), "packages"),
    (re.compile(r"Creating the database"), "create the database"),
    (re.compile(r"Starting the database"), "start the database"),
    (re.compile(r"Bringing the schema"), "schema"),
    (re.compile(r"Loading the language model"), "language model"),
    (re.compile(r"Loading the tenant"), "tenant: definitions, documents, classifier"),
    (re.compile(r"Ready in"), "ready"),
)
READY = re.compile(r"Ready in ([\d.]+) s: (http://\S+)")


class Start:
    """One `make serve`: its process, its lines with the moment of each, its address."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.began = time.perf_counter()
        self.lines: list[tuple[float, str]] = []
        self.url = ""
        self.ready_at = 0.0
        self._ready = threading.Event()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append((time.perf_counter() - self.began, line.decode(errors="replace").rstrip()))
            if found := READY.search(self.lines[-1][1]):
                self.url, self.ready_at = found[2], self.lines[-1][0]
                self._ready.set()
        self._ready.set()

    def wait(self) -> None:
        """Raises NotStarted with what was said last."""
        self._ready.wait(START_S)
        if not self.url:
            raise NotStarted("`make serve` did not come up:\n" + "\n".join(line for _, line in self.lines[-15:]))

    def steps(self) -> dict[str, float]:
        """Seconds of each step up to the address."""
        marks = [(moment, name) for moment, line in self.lines for pattern, name in STEPS if pattern.search(line)]
        seconds = {"make, imports": marks[0][0]} if marks else {}
        for (moment, name), (following, _) in pairwise(marks):
            seconds[name] = seconds.get(name, 0.0) + following - moment
        return seconds


@contextmanager
def serving(clone: Path, environment: dict[str, str], data: Path) -> Iterator[Start]:
    """Stopped by SIGTERM to the server itself, and then checked to be gone with its database."""
    process = subprocess.Popen(
        ["make", "serve"], cwd=clone, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        yield Start(process)
    finally:
        database = postmaster(data)
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                if child.pid == server_pid(data):
                    child.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        stop(process)
        if database is not None and psutil.pid_exists(database):  # a server that had to be killed leaves it behind
            with suppress(ProcessLookupError):
                os.kill(database, signal.SIGQUIT)


def server_pid(data: Path) -> int:
    """Of the server, out of its own lock."""
    text = (data / "frontdesk.lock").read_text() if (data / "frontdesk.lock").exists() else ""
    return int(text) if text.isdigit() else -1


def postmaster(data: Path) -> int | None:
    path = data / "postgres" / "postmaster.pid"
    return int(path.read_text().splitlines()[0]) if path.exists() else None


def main() -> None:
    parser = arguments("first_chat", __doc__ or "")
    parser.add_argument("--repository", type=Path, default=REPOSITORY, help="what is cloned: its last commit")
    parser.add_argument("--settle", type=float, default=30.0, help="seconds before idle memory is read")
    given, where = parser.parse_args(), machine()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="frontdesk-first-")))
        progress = stack.enter_context(Steps(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()))
        doing = progress.add_task("git clone", total=None)
        clone, data = folder / "frontdesk", folder / "data"
        steps: dict[str, float] = {}
        began = time.perf_counter()
        subprocess.run(["git", "clone", "--quiet", "--no-local", str(given.repository), str(clone)], check=True)
        steps["clone"] = time.perf_counter() - began

        progress.update(doing, description="make serve, the first time")
        environment = clean_environment(FRONTDESK_DATA=str(data), FRONTDESK_PORT=str(free_port()))
        with serving(clone, environment, data) as first:
            first.wait()
            steps |= first.steps()
            wait_until_ready(first.process, f"{first.url}/health/ready", folder / "none")
            steps["listening"] = time.perf_counter() - first.began - first.ready_at
            steps["first answer"], answer = asked(first.url)
            to_answer_s = steps["clone"] + time.perf_counter() - first.began
        progress.update(doing, description="make serve, the second time")
        with serving(clone, environment, data) as second:
            second.wait()
            wait_until_ready(second.process, f"{second.url}/health/ready", folder / "none")
            second_ready_s = time.perf_counter() - second.began
            said_s = ready_s(second)
            second_steps = second.steps()
            progress.update(doing, description="idle")
            time.sleep(given.settle)
            idle = memory(data)
            second_answer_s, _ = asked(second.url)
            after_answer = memory(data)
    results: dict[str, Any] = {
        "to_first_answer_s": to_answer_s, "steps_s": steps, "second_start_s": second_ready_s,
        "second_start_said_s": said_s, "second_steps_s": second_steps, "second_answer_s": second_answer_s,
        "idle": idle, "after_answer": after_answer, "answer": answer["text"][:200],
    }  # fmt: skip
    write("first_chat", given.out, where, results, "From a clean clone to the first answer", report(results))


def asked(url: str) -> tuple[float, dict[str, Any]]:
    """Seconds and the answer."""
    began = time.perf_counter()
    answer = servers.post(f"{url}/chat", {"user_id": "newcomer", "message": QUESTION})
    return time.perf_counter() - began, answer


def ready_s(start: Start) -> float:
    """What the server itself says."""
    return next(float(found[1]) for _, line in start.lines if (found := READY.search(line)))


def memory(data: Path) -> dict[str, float]:
    server, database = server_pid(data), postmaster(data)
    alone = psutil.Process(server).memory_full_info()
    return {
        "server_rss_mib": alone.rss / 2**20,
        "server_uss_mib": alone.uss / 2**20,
        "postgres_pss_mib": pss_mib(database) if database else 0.0,
        "postgres_rss_mib": rss_mib(database) if database else 0.0,
    }


def report(results: dict[str, Any]) -> str:
    rows = [[name, seconds] for name, seconds in results["steps_s"].items()]
    rows.append(["**all, to the first answer**", results["to_first_answer_s"]])
    second = [[name, seconds] for name, seconds in results["second_steps_s"].items()]
    second.append(["**ready, from `make serve`**", results["second_start_s"]])
    idle, after = results["idle"], results["after_answer"]
    memory_rows = [
        ["server, resident", idle["server_rss_mib"], after["server_rss_mib"]],
        ["server, its own pages", idle["server_uss_mib"], after["server_uss_mib"]],
        ["PostgreSQL, shared pages counted once", idle["postgres_pss_mib"], after["postgres_pss_mib"]],
    ]
    return "\n\n".join((
        "`git clone`, `make serve`, one question; the package cache is warm, all else is new.",
        table(["step", "seconds"], rows),
        f"Asked: {QUESTION} Answered: “{results['answer'].splitlines()[0]}”",
        "## The second start\n\n" + table(["step", "seconds"], second)
        + f"\nThe server's own count: {results['second_start_said_s']:.1f} s.",
        "## Memory, idle\n\n" + table(["MiB", "idle", "after an answer"], memory_rows),
    ))  # fmt: skip


if __name__ == "__main__":
    main()

"""Processes of a measurement: started, watched and stopped by their own id, also when the measurement fails."""

import contextlib
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

START_S = 120.0
STOP_S = 20.0


class NotStarted(Exception):
    """A process ended or stayed silent before it was ready; the message has its last lines."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(**more: str) -> dict[str, str]:
    """Ours without what would change the server: its own settings, keys of vendors, an active environment."""
    foreign = ("FRONTDESK_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "PYTEST_", "MAKE", "MFLAGS")
    dropped = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT", "OUT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign) and name not in dropped}
    if active := os.environ.get("VIRTUAL_ENV"):
        kept["PATH"] = os.pathsep.join(part for part in kept["PATH"].split(os.pathsep) if not part.startswith(active))
    return kept | more


@contextlib.contextmanager
def started(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, so that Ctrl-C reaches us first; its output goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=cwd, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, time to end, then SIGKILL to it and to what it has started."""
    if process.poll() is not None:
        return
    children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path, within_s: float = START_S) -> None:
    """Until `url` answers below 500. Raises NotStarted."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise NotStarted(f"{url} did not come up:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and everything below it, the dead included."""
    total = 0.0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            total += used.user + used.system
            if process.pid == pid:
                total += used.children_user + used.children_system
    return total


def rss_mib(pid: int, *, alone: bool = False) -> float:
    """Resident memory of the tree, or of the process alone."""
    if alone:
        return float(psutil.Process(pid).memory_info().rss / 2**20)
    total = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / 2**20


def pss_mib(pid: int) -> float:
    """Memory of the tree with what is shared counted once. For PostgreSQL, whose processes share their buffers."""
    total = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 2**20


def private_mib(pid: int) -> float:
    """Memory that the tree's processes have for themselves. For PostgreSQL: without its buffers, which fill up."""
    total = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().uss
    return total / 2**20


def tree(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


class MemoryWatch:
    """The highest resident memory of process trees while the context lasts, looked at every quarter of a second."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peaks = dict.fromkeys(pids, 0.0)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            for name, pid in self._pids.items():
                self.peaks[name] = max(self.peaks[name], rss_mib(pid))
            if self._over.wait(0.25):
                return

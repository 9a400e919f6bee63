"""What a server's first start makes and every later one finds: made once for a run of tests, copied for each of them.

That is the cluster of the embedded database with its schema, and the converted model: most of what a first start takes.
No tenant, no key, nobody. Outside of pytest nothing is prepared, and servers start from nothing.
"""

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from frontdesk.db.embedded import EmbeddedServer
from frontdesk.db.migrate import migrate
from frontdesk.embedding.minilm import MiniLM

PLACE = "TESTS_PREPARED"  # where it is; for the workers of pytest-xdist too


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[PLACE] = tempfile.mkdtemp(prefix="frontdesk-prepared-")
        Path(os.environ[PLACE]).chmod(0o755)  # PostgreSQL's own user passes, when we are root


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(PLACE))


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder with the converted model; to be read."""
    return _prepared() / "models"


async def prepare(data: Path, environment: Mapping[str, str]) -> None:
    """Puts what is prepared where `data` has nothing of its own. `environment`: the server's."""
    if PLACE not in os.environ:
        return
    wanted = ["models"] if "FRONTDESK_DATABASE_URL" in environment else ["models", "postgres"]
    await asyncio.to_thread(_copy, [name for name in wanted if not (data / name).exists()], data)


def _copy(names: list[str], data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    for name in names:
        subprocess.run(["cp", "-Rp", _prepared() / name, data / name], check=True)


def _prepared() -> Path:
    """Made by whoever needs it first, while the others wait."""
    place = Path(os.environ[PLACE])
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "made").exists():
            # In a process of its own: what starts an embedded database minds it to its own end.
            command = [sys.executable, "-m", "tests.prepared", place / "making"]
            subprocess.run(command, cwd=Path(__file__).parents[1], check=True)
            (place / "making").rename(place / "made")
    return place / "made"


async def _make(data: Path) -> None:
    server = EmbeddedServer(data)
    await server.start()
    try:
        await migrate(server.owner_url)
    finally:
        await server.stop()
    MiniLM.load(data / "models")


if __name__ == "__main__":
    asyncio.run(_make(Path(sys.argv[1])))

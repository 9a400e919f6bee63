"""The embedded server keeps other users of the machine out, and out of their way; it stops, whoever its parent is."""

import asyncio
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.command import run
from tests.conftest import HANG_S

from frontdesk.db.embedded import EmbeddedServer, postmaster

NOBODY = 65534


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder that is its owner's alone, in one that everybody may pass."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-embedded-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        closed = Path(folder) / "closed"
        closed.mkdir(mode=0o700)
        yield closed


@pytest.mark.parametrize("name", ["data", "a-long-path" * 10], ids=["socket with the data", "socket elsewhere"])
async def test_nobody_else_may_connect_or_look_into_the_folders_above(closed: Path, name: str) -> None:
    server = EmbeddedServer(closed / name)
    await server.start()
    try:
        connection = await asyncpg.connect(server.owner_url)
        [folder] = (await connection.fetchval("SHOW unix_socket_directories")).split(",")
        await connection.close()
        socket = Path(folder.strip()) / ".s.PGSQL.5432"
        assert (socket.parent == closed / name / "postgres") is (name == "data")
        assert stat.S_IMODE(socket.stat().st_mode) & 0o077 == 0
        # PostgreSQL's own user passes through, when we are root: also when it has to be started again.
        assert stat.S_IMODE(closed.stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)
        running = postmaster(closed / name / "postgres")
        assert running is not None
        running.kill()
        await asyncio.to_thread(running.wait, 30)
        keeping = asyncio.create_task(server.keep_running())
        async with asyncio.timeout(HANG_S):
            while not server.restarts:
                await asyncio.sleep(0.1)
        keeping.cancel()
    finally:
        await server.stop()


def test_what_others_left_in_the_temporary_folder_stops_nobody(closed: Path) -> None:
    (closed / ".lockfile").mkdir()  # where the package has one lock for all servers of the machine
    found = run("tenant", "list", "--data", str(closed / "data"), TMPDIR=str(closed), XDG_RUNTIME_DIR=str(closed))
    assert (found.returncode, found.stderr.count("Traceback")) == (0, 0), found.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may do another user's work by mistake")
def test_root_takes_no_users_database_over(closed: Path) -> None:
    postgres = closed / "data" / "postgres"
    postgres.mkdir(parents=True)
    os.chown(postgres, NOBODY, NOBODY)
    found = run("tenant", "list", "--data", str(postgres.parent))
    assert found.returncode == 1
    assert f"{postgres} belongs to" in found.stderr
    assert "Traceback" not in found.stderr
    assert postgres.stat().st_uid == NOBODY
    assert list(postgres.iterdir()) == []


# Takes over what its children leave behind, and never asks what became of it: as the first process of a container may.
HEEDLESS = """
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
sys.exit(subprocess.call([sys.executable, "-c", sys.argv[1], *sys.argv[2:]]))
"""
# However patient: a stop that waits for the process to be buried waits for ever.
STARTS_AND_STOPS = """
import asyncio, signal, sys
from pathlib import Path
from frontdesk.db import embedded
embedded._WAYS_TO_STOP = ((signal.SIGINT, 1e6),)
async def main():
    server = embedded.EmbeddedServer(Path(sys.argv[1]))
    await server.start()
    await server.stop()
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there can a process take over another's children")
def test_a_stop_does_not_wait_for_a_parent_that_takes_no_note_of_its_children(closed: Path) -> None:
    started = [sys.executable, "-c", HEEDLESS, STARTS_AND_STOPS, str(closed / "data")]
    subprocess.run(started, check=True, timeout=HANG_S)
    assert postmaster(closed / "data" / "postgres") is None

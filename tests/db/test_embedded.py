"""The embedded server keeps other users of the machine out."""

import asyncio
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.conftest import HANG_S

from frontdesk.db.embedded import EmbeddedServer, postmaster


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

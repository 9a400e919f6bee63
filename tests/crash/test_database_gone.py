"""Whatever the database's death looks like to a connection, callers see one error: DatabaseUnavailable."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from tests.conftest import HANG_S

from frontdesk.core.errors import DatabaseUnavailable
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.embedded import EmbeddedServer, postmaster
from frontdesk.db.migrate import migrate


async def _call(database: Database) -> None:
    await database.call("SELECT pg_sleep(0.01)")


async def _scope(database: Database) -> None:
    async with database.scope(new_id()) as scope:
        await scope.fetch("SELECT pg_sleep(0.005)")
        await scope.fetch("SELECT pg_sleep(0.005)")


def kill_all(process: psutil.Process) -> None:
    for each in [process, *process.children()]:
        each.kill()


DEATHS: dict[str, Callable[[psutil.Process], None]] = {
    "the server is killed": psutil.Process.kill,
    "the server and its backends are killed": kill_all,
    "a backend is killed": lambda process: process.children()[-1].kill(),
    "the server is stopped at once": lambda process: process.send_signal(3),
    "the server is stopped": lambda process: process.send_signal(2),
}


@pytest.mark.parametrize("death", DEATHS)
async def test_callers_see_one_error_and_then_the_server_again(place: Path, death: str) -> None:
    server = EmbeddedServer(place)
    await server.start()
    keeping = asyncio.create_task(server.keep_running())
    await migrate(server.owner_url)
    database = await Database.connect(server.app_url, max_connections=8)
    died, over = asyncio.Event(), asyncio.Event()
    is_gone = death != "a backend is killed"  # the server itself outlives that
    seen: list[BaseException] = []

    async def caller(use: Callable[[Database], Awaitable[None]]) -> None:
        while not over.is_set():
            try:
                await use(database)
                if died.is_set() and seen and (server.restarts or not is_gone):
                    over.set()  # it is back
            except DatabaseUnavailable as error:
                seen.append(error)
                await asyncio.sleep(0.02)
            except Exception as error:
                seen.append(error)
                raise

    try:
        async with asyncio.timeout(HANG_S), asyncio.TaskGroup() as group:
            for use in (_call, _scope) * 6:
                group.create_task(caller(use))
            for _ in range(20):
                await _call(database)
            process = postmaster(place / "postgres")
            assert process is not None
            DEATHS[death](process)
            died.set()
    finally:
        keeping.cancel()
        await database.close()
        await server.stop()
    assert {type(error) for error in seen} == {DatabaseUnavailable}
    assert postmaster(place / "postgres") is None

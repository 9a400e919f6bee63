"""The connections that stay at hand: what happens to them while nobody uses them."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.conftest import as_application

from frontdesk.db import Database
from frontdesk.db.database import AT_HAND


@pytest.fixture
async def idle(database_url: str) -> AsyncIterator[Database]:
    """A pool with as many connections at hand as it keeps there."""
    database = await Database.connect(as_application(database_url), max_connections=AT_HAND)
    await asyncio.gather(*(database.call("SELECT pg_sleep(0.1)") for _ in range(AT_HAND)))
    assert database.size() == (AT_HAND, AT_HAND)
    yield database
    await database.close()


async def test_connections_that_the_server_has_ended_meanwhile_are_nobodys_error(
    idle: Database, database_url: str
) -> None:
    owner = await asyncpg.connect(database_url)
    try:
        ended = """
            SELECT pg_terminate_backend(pid, 5000)
              FROM pg_stat_activity
             WHERE application_name = 'frontdesk' AND datname = current_database()
        """
        assert [row[0] for row in await owner.fetch(ended)] == [True] * AT_HAND
    finally:
        await owner.close()
    await asyncio.sleep(0.2)  # their ends have come to us
    for _ in range(2 * AT_HAND):
        await idle.ping()
    assert idle.size() == (1, 1)


async def test_what_lies_between_does_not_forget_a_connection_that_nobody_uses(idle: Database) -> None:
    # Here it is a socket file, where PostgreSQL keeps no time: that it was asked to is all that can be seen.
    [row] = await idle.call("SELECT source FROM pg_settings WHERE name = 'tcp_keepalives_idle'")
    assert row["source"] == "client"

"""The turn that never was: it leaves connections that know a turn's statements, and nothing else."""

import asyncpg
from tests.conftest import as_application

from frontdesk.conversations.store import rehearse
from frontdesk.db import Database
from frontdesk.db.database import AT_HAND

TABLES = ("contacts", "conversations", "turns", "messages", "steps", "llm_calls", "outbox")


async def test_a_rehearsal_opens_the_connections_and_leaves_no_row(database_url: str) -> None:
    database = await Database.connect(as_application(database_url), max_connections=10)
    owner = await asyncpg.connect(database_url)
    try:
        await rehearse(database)
        left = {table: await owner.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES}
        assert left == dict.fromkeys(TABLES, 0)
        assert database.size() == (AT_HAND, AT_HAND)
        [known] = await database.call(
            "SELECT count(*) AS statements FROM pg_prepared_statements WHERE generic_plans + custom_plans > 0"
        )
        assert known["statements"] >= 2  # accept and complete
    finally:
        await owner.close()
        await database.close()


async def test_a_rehearsal_leaves_a_connection_to_others(database_url: str) -> None:
    database = await Database.connect(as_application(database_url), max_connections=3)
    try:
        await rehearse(database)
        assert database.size() == (2, 2)
    finally:
        await database.close()


async def test_without_a_database_there_is_no_rehearsal_and_no_error(database_url: str) -> None:
    database = await Database.connect(as_application(database_url), max_connections=3)
    await database.close()
    await rehearse(database)

"""Brings the schema up to date: Alembic's versions, then the functions, then a restored log, under one lock.

Only ever forward: what a newer program has installed is left as it is, and used.

Run in a process of its own (`python -m frontdesk.db.migrate`, the owner's URL in FRONTDESK_MIGRATE_URL), so that the
server does not carry Alembic and SQLAlchemy in its memory.
"""

import asyncio
import os
from typing import Any  # asyncpg's connections are untyped

import alembic.command
import alembic.config
import asyncpg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from frontdesk.db.schema import FUNCTIONS, FUNCTIONS_VERSION, MIGRATIONS, function_names, functions_hash, head

# Any number that nothing else in the database uses: "frontdsk" as ASCII.
LOCK = int.from_bytes(b"frontdsk")
LOOK_S = 0.2

# Servers of the version before are at work beside it: whoever waits behind a version's lock waits no longer than this.
LOCK_TIMEOUT_MS = 2000
TRIES = 60
RETRY_S = 1.0
_IN_THE_WAY = ("55P03", "40P01")  # lock_not_available, deadlock_detected


async def migrate(owner_url: str) -> None:
    """Waits for another migration that runs, then applies what is missing. Safe to repeat."""
    connection = await asyncpg.connect(owner_url)
    try:
        # Asked for again and again: a statement that waits has a snapshot, and an index that is made concurrently waits
        # for every snapshot to end.
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(LOOK_S)
        if await _revision(connection) < head():
            await run_versions(owner_url, head())
        await _install_functions(connection)
        await _take_over_restored_log(connection)
    finally:
        await connection.close()


async def _revision(connection: Any) -> str:
    if not await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
        return ""
    return await connection.fetchval("SELECT version_num FROM alembic_version") or ""


async def run_versions(owner_url: str, last: str) -> None:
    """Each version up to `last` in a transaction of its own. Raises DBAPIError; what is done by then stays.

    One that can't have its locks lets everybody pass and is tried again.
    """
    # asyncpg reads the URL itself: SQLAlchemy does not know libpq's options, sslmode among them.
    settings = {"lock_timeout": str(LOCK_TIMEOUT_MS)}
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(owner_url, server_settings=settings),
        poolclass=NullPool,
    )
    try:
        for left in range(TRIES, 0, -1):
            try:
                async with engine.connect() as connection:
                    await connection.run_sync(_upgrade, last)
                return
            except DBAPIError as error:
                if left == 1 or getattr(error.orig, "sqlstate", None) not in _IN_THE_WAY:
                    raise
            await asyncio.sleep(RETRY_S)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, last: str) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, last)


async def _install_functions(connection: Any) -> None:
    async with connection.transaction():
        await connection.execute(_FUNCTIONS_TABLE)
        if await connection.fetchval("SELECT version > $1 FROM schema_functions", FUNCTIONS_VERSION):
            return
        # Loads the extension's library: only then does it accept its settings from who is no superuser.
        await connection.execute("SELECT '[1]'::vector")
        # First all of that name away: what a function returns, and the types that it takes, can't be replaced.
        for (function,) in await connection.fetch(_OURS, function_names()):
            await connection.execute(f"DROP FUNCTION {function}")
        for path in FUNCTIONS:
            await connection.execute(path.read_text())
        await connection.execute("GRANT SELECT ON schema_functions, alembic_version TO frontdesk_app")
        await connection.execute(_INSTALLED, functions_hash(), FUNCTIONS_VERSION)


async def _take_over_restored_log(connection: Any) -> None:
    if await connection.fetchval("SELECT outbox_is_restored()"):
        await connection.execute("SELECT outbox_rebase()")


_FUNCTIONS_TABLE = """
    CREATE TABLE IF NOT EXISTS schema_functions (one boolean PRIMARY KEY DEFAULT true, hash text NOT NULL);
    ALTER TABLE schema_functions ADD COLUMN IF NOT EXISTS version int NOT NULL DEFAULT 0
"""

# Each as name(types of its arguments), quoted where needed. Extensions' own are not ours to drop.
_OURS = """
    SELECT p.oid::regprocedure::text
      FROM pg_proc AS p
     WHERE p.pronamespace = 'public'::regnamespace
       AND p.prokind = 'f'
       AND p.proname = ANY ($1)
       AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
     LIMIT 1000
"""

_INSTALLED = """
    INSERT INTO schema_functions (hash, version)
    VALUES ($1, $2)
        ON CONFLICT (one) DO UPDATE SET hash = EXCLUDED.hash, version = EXCLUDED.version
"""


if __name__ == "__main__":
    asyncio.run(migrate(os.environ["FRONTDESK_MIGRATE_URL"]))

"""Brings the schema up to date: Alembic's versions, then the functions, under one lock.

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
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from frontdesk.db.schema import FUNCTIONS, MIGRATIONS, functions_hash

# Any number that nothing else in the database uses: "frontdsk" as ASCII.
LOCK = int.from_bytes(b"frontdsk")


async def migrate(owner_url: str) -> None:
    """Waits for another migration that runs, then applies what is missing. Safe to repeat."""
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        await _run_versions(owner_url)
        await _install_functions(connection)
    finally:
        await connection.close()


async def _run_versions(owner_url: str) -> None:
    url = make_url(owner_url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, "head")


async def _install_functions(connection: Any) -> None:
    async with connection.transaction():
        # Loads the extension's library: only then does it accept its settings from who is no superuser.
        await connection.execute("SELECT '[1]'::vector")
        for path in FUNCTIONS:
            await connection.execute(path.read_text())
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_functions (one boolean PRIMARY KEY DEFAULT true, hash text NOT NULL)"
        )
        await connection.execute("GRANT SELECT ON schema_functions, alembic_version TO frontdesk_app")
        await connection.execute(
            "INSERT INTO schema_functions (hash) VALUES ($1) ON CONFLICT (one) DO UPDATE SET hash = EXCLUDED.hash",
            functions_hash(),
        )


if __name__ == "__main__":
    asyncio.run(migrate(os.environ["FRONTDESK_MIGRATE_URL"]))

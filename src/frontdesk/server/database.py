"""From settings to a migrated database: the embedded server, or one by URL."""

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from frontdesk.core.errors import DatabaseUnavailable, SettingsError
from frontdesk.core.settings import DatabaseSettings, Settings
from frontdesk.core.tls import TlsFiles
from frontdesk.db import Database, schema
from frontdesk.db.embedded import EmbeddedServer

Say = Callable[[str], None]

MIGRATE_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class OpenDatabase:
    database: Database
    embedded: EmbeddedServer | None  # None: an external one
    owner_url: str


@asynccontextmanager
async def opened(settings: Settings, say: Say, *, alone: bool = True) -> AsyncIterator[OpenDatabase]:
    """The pool on an up-to-date schema. `alone`: as the one server of the data directory; else beside it.

    Raises DataDirectoryInUse, SettingsError, DatabaseUnavailable.
    """
    embedded: EmbeddedServer | None = None
    if settings.database_url is None:
        is_new = not (settings.data / "postgres" / "PG_VERSION").exists()
        say("Creating the database" if is_new else "Starting the database")
        embedded = EmbeddedServer(settings.data)
        await embedded.start(alone=alone)
        owner_url, app_url = embedded.owner_url, embedded.app_url
    else:
        owner_url = app_url = external_url(settings.database_url.get_secret_value(), settings.database)
    try:
        await _migrated(owner_url, say)
        database = await Database.connect(
            app_url,
            max_connections=settings.database.max_connections,
            statement_timeout_s=settings.database.statement_timeout_s,
        )
        try:
            yield OpenDatabase(database, embedded, owner_url)
        finally:
            await database.close()
    finally:
        if embedded is not None:
            await embedded.stop()


async def opened_replica(settings: Settings) -> Database | None:
    """Connections are made when they are needed: one that is away holds nothing up. Raises SettingsError."""
    if settings.replica_url is None:
        return None
    if settings.database_url is None:
        raise SettingsError("FRONTDESK_REPLICA_URL: the embedded database has no replica; set FRONTDESK_DATABASE_URL.")
    try:
        return await Database.connect(
            external_url(settings.replica_url.get_secret_value(), settings.database),
            max_connections=settings.database.max_connections,
            statement_timeout_s=settings.database.statement_timeout_s,
        )
    except (ValueError, asyncpg.InterfaceError) as error:
        raise SettingsError("FRONTDESK_REPLICA_URL: is not a PostgreSQL URL, postgresql://user@host/name.") from error


def external_url(url: str, settings: DatabaseSettings) -> str:
    """With the files of TLS, as asyncpg reads them: the migration's process then needs nothing but the URL.

    Raises SettingsError that names the file.
    """
    files = TlsFiles(settings.ca_file, settings.certificate, settings.key)
    if not files.given:
        return url
    files.context("FRONTDESK_DATABASE__")  # says what is wrong with them; asyncpg makes its own
    named = {"sslrootcert": files.ca_file, "sslcert": files.certificate, "sslkey": files.key}
    options = {"sslmode": "verify-full"} | {name: str(path.resolve()) for name, path in named.items() if path}
    parts = urlsplit(url)
    others = [(name, value) for name, value in parse_qsl(parts.query) if name not in {*named, "sslmode"}]
    return urlunsplit(parts._replace(query=urlencode([*others, *options.items()])))


async def _migrated(owner_url: str, say: Say) -> None:
    try:
        connection = await asyncpg.connect(owner_url, timeout=10)
    except asyncpg.InvalidPasswordError as error:
        raise SettingsError("FRONTDESK_DATABASE_URL: the server refused the user or password.") from error
    except asyncpg.InvalidCatalogNameError as error:
        raise SettingsError("FRONTDESK_DATABASE_URL: there is no such database. Create it first.") from error
    except ssl.SSLError as error:
        sentence = f"FRONTDESK_DATABASE_URL: TLS failed ({error.reason or type(error).__name__}): {_tls_reason(error)}."
        raise SettingsError(sentence) from error
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise DatabaseUnavailable(f"The database can't be reached: {type(error).__name__}.", retry_after=2) from error
    except (ValueError, asyncpg.InterfaceError) as error:
        raise SettingsError("FRONTDESK_DATABASE_URL: is not a PostgreSQL URL, postgresql://user@host/name.") from error
    try:
        is_due = not await is_current(connection)
    finally:
        await connection.close()
    if is_due:
        say("Bringing the schema up to date")
        await asyncio.to_thread(_run_migration, owner_url)


async def is_current(connection: asyncpg.Connection) -> bool:
    """Whether there is nothing for a migration to do."""
    try:
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
        functions = await connection.fetchrow("SELECT hash, version FROM schema_functions")
        is_restored = await connection.fetchval("SELECT outbox_is_restored()")
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError):
        return False
    if revision is None or functions is None or is_restored:
        return False
    # A newer program's are used as they are.
    is_ours = functions["hash"] == schema.functions_hash()
    return bool(revision >= schema.head() and (is_ours or functions["version"] > schema.FUNCTIONS_VERSION))


def _tls_reason(error: ssl.SSLError) -> str:
    return error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else "the server refused it"


def _run_migration(owner_url: str) -> None:
    """In a process of its own: Alembic's memory goes with it. The URL goes by environment, out of process lists."""
    done = subprocess.run(
        [sys.executable, "-m", "frontdesk.db.migrate"],
        env=os.environ | {"FRONTDESK_MIGRATE_URL": owner_url},
        capture_output=True,
        text=True,
        timeout=MIGRATE_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith((" ", "(", "["))]
        reason = told[-1] if told else "no message"
        raise SettingsError(f"The database could not be brought up to date: {reason}")

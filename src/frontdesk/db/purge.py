"""Removes the bytes of deleted rows from the disk, where PostgreSQL itself would only use their place again some day.

They are in dead tuples and in the free space of pages (also after VACUUM, which moves rows but wipes nothing), in
indexes, in the planner's statistics, and in the write-ahead log, whose old files are kept under new names. So tables
and their indexes are written anew, statistics made anew, and the log is gone through until no old file is left.
The last of these needs a superuser of PostgreSQL: the embedded server's owner is one, another's hardly ever.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any  # asyncpg's connections are untyped

import asyncpg
import structlog

log = structlog.get_logger()

# Any number that nothing else in the database uses: "frontprg" as ASCII.
LOCK = int.from_bytes(b"frontprg")
# Who else wants the table waits behind us as long as we wait for it.
LOCK_TIMEOUT_MS = 200
LOCK_TRIES = 100
LOCK_PAUSE_S = 0.3
# Transactions that began before the rows went see them still. None of ours lasts longer.
OLDER_S = 90.0
SEGMENTS = 2000
RELOAD_S = 0.5  # a signal's way to the process that removes files

# (table, how many are done, of how many)
OnTable = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Purged:
    tables: int
    postponed: tuple[str, ...]  # too large for now, or never free long enough
    is_log_purged: bool
    longest_s: float  # that one table was closed
    duration_s: float


def unheard(_table: str, _done: int, _count: int) -> None:
    return None


async def purge(owner_url: str, *, most_bytes: int | None = None, on_table: OnTable = unheard) -> Purged:
    """Table by table, each closed while it is written anew, for which it must not be larger than `most_bytes` with its
    indexes. One at a time, whoever calls; safe to repeat and to be killed."""
    begun = monotonic()
    connection = await asyncpg.connect(owner_url, timeout=10, server_settings={"application_name": "frontdesk purge"})
    try:
        await connection.execute("SET statement_timeout = 0")
        # Not inside the database: a transaction that waits is one that the other purge waits for.
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110
            await asyncio.sleep(1)
        await _wait_for_older(connection)
        postponed, longest_s, count = await _rewrite_tables(connection, most_bytes, on_table)
        is_superuser = bool(await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"))
        if is_superuser:
            await _rewrite(connection, "pg_catalog.pg_statistic")
            await _purge_log(connection)
        done = Purged(count - len(postponed), tuple(postponed), is_superuser, longest_s, monotonic() - begun)
    finally:
        await connection.close()
    log.info(
        "database.purged",
        tables=done.tables, postponed=list(done.postponed), is_log_purged=is_superuser,
        longest_s=round(longest_s, 3), duration_s=round(done.duration_s, 3),
    )  # fmt: skip
    return done


async def _wait_for_older(connection: Any) -> None:
    """A row that somebody may still see is copied into the new table."""
    now = await connection.fetchval("SELECT now()")
    deadline = monotonic() + OLDER_S
    while await connection.fetchval(_OLDER, now) and monotonic() < deadline:  # noqa: ASYNC110 - another process's end
        await asyncio.sleep(0.1)


async def _rewrite_tables(connection: Any, most_bytes: int | None, on_table: OnTable) -> tuple[list[str], float, int]:
    """(postponed, the longest that one was closed, how many there are)."""
    postponed, longest_s = [], 0.0
    tables = await connection.fetch(_TABLES)
    for done, table in enumerate(tables):
        on_table(table["name"], done, len(tables))
        lasted_s = None
        if most_bytes is None or table["size"] <= most_bytes:
            await _renew_statistics(connection, table["oid"], table["name"])
            lasted_s = await _rewrite(connection, table["name"])
        if lasted_s is None:
            postponed.append(table["name"])
        else:
            longest_s = max(longest_s, lasted_s)
    on_table("", len(tables), len(tables))
    return postponed, longest_s, len(tables)


async def _renew_statistics(connection: Any, oid: int, name: str) -> None:
    """ANALYZE alone leaves those of a table that is empty now. Who is no superuser can do no more than that."""
    try:
        async with connection.transaction():
            await connection.execute("DELETE FROM pg_statistic WHERE starelid = $1", oid)
    except asyncpg.InsufficientPrivilegeError:
        pass
    await connection.execute(f"ANALYZE {name}")


async def _rewrite(connection: Any, name: str) -> float | None:
    """How many seconds it took; None when others never left the table alone."""
    await connection.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
    try:
        for _ in range(LOCK_TRIES):
            begun = monotonic()
            try:
                await connection.execute(f"VACUUM (FULL) {name}")
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                await asyncio.sleep(LOCK_PAUSE_S)
            else:
                return monotonic() - begun
        return None
    finally:
        await connection.execute("SET lock_timeout = 0")


async def _purge_log(connection: Any) -> None:
    """Every file of the log that is there now is written over or removed."""
    await connection.execute("ALTER SYSTEM SET wal_recycle = off")
    try:
        await connection.execute("SELECT pg_reload_conf()")
        await asyncio.sleep(RELOAD_S)
        await connection.execute("CHECKPOINT")  # if it gave files new names nevertheless, they are among those below
        old = await connection.fetchval("SELECT max(name) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'")
        for _ in range(SEGMENTS):
            # A switch does nothing where nothing was written since the last one.
            await connection.execute("SELECT pg_logical_emit_message(false, 'frontdesk', 'purge')")
            await connection.execute("SELECT pg_switch_wal()")
            await connection.execute("CHECKPOINT")
            left = await connection.fetchval("SELECT min(name) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'")
            if left > old:
                return
        raise RuntimeError("the write-ahead log keeps files that it should have removed")
    finally:
        await connection.execute("ALTER SYSTEM RESET wal_recycle")
        await connection.execute("SELECT pg_reload_conf()")


_OLDER = """
    SELECT EXISTS (
        SELECT FROM pg_stat_activity AS a
         WHERE a.pid <> pg_backend_pid()
           AND a.datname = current_database()
           AND a.xact_start < $1
           AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL))
"""

# The small ones first: most of what is to be done is done soon.
_TABLES = """
    SELECT c.oid, c.oid::regclass::text AS name, pg_total_relation_size(c.oid) AS size
      FROM pg_class AS c
     WHERE c.relnamespace = 'public'::regnamespace
       AND c.relkind = 'r'
     ORDER BY size, name
"""

"""Walks everything that is sealed, and seals anew what was sealed with another key than the first.

By blocks of each table's file: a statement is short, the work known beforehand, and no index is needed. A row that
somebody changes meanwhile is left alone: the walk is repeated until it finds nothing.
"""

from collections.abc import Callable, Iterator
from typing import Any  # asyncpg's connections are untyped
from uuid import UUID

import msgspec

from frontdesk.db.cipher import HEAD, Cipher, DecryptFailed

# Texts of the whole deployment are sealed as if they were this tenant's.
DEPLOYMENT = UUID(int=0)
BLOCKS = 64  # of 8 KiB, read by one statement
ROWS = 500  # written by one statement


class SealedTable(msgspec.Struct, frozen=True):
    """Columns that hold a ciphertext each, or nothing. `tenant`: the column of the tenant; None: the deployment's."""

    name: str
    columns: tuple[str, ...]
    tenant: str | None = "tenant_id"


# Complete: a test reads the database's catalogue. What stays in clear, and why: docs/decisions/0019.
SEALED = (
    SealedTable("messages", ("body",)),
    SealedTable("conversations", ("pending", "context", "summary")),
    SealedTable("turns", ("decision",)),
    SealedTable("steps", ("input", "output")),
    SealedTable("outbox", ("payload",)),
    SealedTable("secrets", ("value",)),
    SealedTable("staff", ("totp_secret",)),
    SealedTable("signing_keys", ("private",), tenant=None),
)


class Resealed(msgspec.Struct):
    """What one walk did."""

    rows: int = 0  # sealed anew
    missed: int = 0  # rows that somebody changed meanwhile
    closed: int = 0  # texts that can't be opened: damaged, or their key is gone


# Blocks walked, blocks in all, the table's name.
OnBlocks = Callable[[int, int, str], None]


async def reseal(connection: Any, cipher: Cipher, on_blocks: OnBlocks) -> Resealed:
    """One walk over everything. `connection`: the owner's, whom row-level security does not bind. Safe to repeat."""
    done = Resealed()
    sizes = {table.name: await _blocks(connection, table.name) for table in SEALED}
    total, before = sum(sizes.values()), 0
    for table in SEALED:
        for start in range(0, sizes[table.name], BLOCKS):
            rows = await connection.fetch(_selected(table), (start, 0), (start + BLOCKS, 0), cipher.seals_with)
            for portion in _portions(rows):
                await _write(connection, table, cipher, portion, done)
            on_blocks(before + min(start + BLOCKS, sizes[table.name]), total, table.name)
        before += sizes[table.name]
    return done


async def left(connection: Any, cipher: Cipher) -> int:
    """How many texts are sealed with another key, those that can't be opened among them.

    By one statement for each table: a walk is of many, and misses a row that a change moves to where it has been.
    """
    return sum([int(await connection.fetchval(_counted(table), cipher.seals_with, HEAD)) for table in SEALED])


async def _blocks(connection: Any, table: str) -> int:
    return int(
        await connection.fetchval("SELECT pg_relation_size($1::regclass) / current_setting('block_size')::int", table)
    )


def _counted(table: SealedTable) -> str:
    """$1: the key, $2: the length of a head: what is no longer holds nothing."""
    others = [
        f"count(*) FILTER (WHERE substring({column} FROM 2 FOR 4) <> $1 AND length({column}) > $2)"
        for column in table.columns
    ]
    return f"SELECT {' + '.join(others)} FROM {table.name}"


def _selected(table: SealedTable) -> str:
    """Rows of a range of blocks where any column has another key than $3. Names come from `SEALED` alone."""
    of_others = " OR ".join(f"substring({column} FROM 2 FOR 4) <> $3" for column in table.columns)
    tenant = table.tenant or f"'{DEPLOYMENT}'::uuid"
    return f"""
        SELECT ctid AS place, {tenant} AS tenant_id, {", ".join(table.columns)}
          FROM {table.name}
         WHERE ctid >= $1
           AND ctid < $2
           AND ({of_others})
    """


def _portions(rows: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(rows), ROWS):
        yield rows[start : start + ROWS]


async def _write(connection: Any, table: SealedTable, cipher: Cipher, rows: list[Any], done: Resealed) -> None:
    fresh: list[tuple[Any, list[bytes | None]]] = []
    for row in rows:
        values = [_again(cipher, row["tenant_id"], row[column], done) for column in table.columns]
        if any(value is not None for value in values):
            fresh.append((row, values))
    if not fresh:
        return
    was = [[row[column] for row, _ in fresh] for column in table.columns]
    now = [[values[place] for _, values in fresh] for place in range(len(table.columns))]
    written = await connection.fetchval(_updated(table), [row["place"] for row, _ in fresh], *was, *now)
    done.missed += len(fresh) - written
    done.rows += written


def _again(cipher: Cipher, tenant_id: UUID, sealed: bytes | None, done: Resealed) -> bytes | None:
    """None for what stays as it is."""
    if sealed is None or len(sealed) <= HEAD or sealed[1:5] == cipher.seals_with:
        return None
    try:
        return cipher.seal(tenant_id, cipher.open(tenant_id, sealed))
    except DecryptFailed:
        done.closed += 1
        return None


def _updated(table: SealedTable) -> str:
    """Of rows that are still where, and as, they were read. $1 their places, then the old values, then the new ones."""
    count = len(table.columns)
    olds, news = range(2, 2 + count), range(2 + count, 2 + 2 * count)
    given = ", ".join(["$1::tid[]", *(f"${n}::bytea[]" for n in (*olds, *news))])
    names = ", ".join(["place", *(f"was{n}" for n in range(count)), *(f"now{n}" for n in range(count))])
    sets = ", ".join(f"{column} = coalesce(n.now{n}, t.{column})" for n, column in enumerate(table.columns))
    same = " AND ".join(f"t.{column} IS NOT DISTINCT FROM n.was{n}" for n, column in enumerate(table.columns))
    return f"""
        WITH written AS (
            UPDATE {table.name} AS t
               SET {sets}
              FROM unnest({given}) AS n ({names})
             WHERE t.ctid = ANY ($1)
               AND t.ctid = n.place
               AND {same}
            RETURNING 1
        )
        SELECT count(*) FROM written
    """

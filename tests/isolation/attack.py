"""An attack on every tenant's table, made from the catalogue: one row of each of two tenants, and what the
application's role can do to the other's from its own scope."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import md5
from typing import Any  # asyncpg's connections are untyped
from uuid import UUID

import asyncpg
from tests.isolation.catalogue import APP, tenant_tables

MINE, THEIRS = UUID(int=0xA), UUID(int=0xB)

_REFUSED = asyncpg.InsufficientPrivilegeError


class Uncovered(Exception):
    """A table of which no row can be made: the attack must learn how."""


async def plant(owner: Any) -> None:
    """A row of each tenant in every table, the same but for what must differ. Raises Uncovered."""
    await owner.execute("SET LOCAL session_replication_role = replica")  # rows need nothing to refer to
    for table, column in (await tenant_tables(owner)).items():
        for tenant_id in (MINE, THEIRS):
            names, values = await _row(owner, table, column, tenant_id)
            try:
                await owner.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(values)})")
            except asyncpg.PostgresError as error:
                raise Uncovered(f"{table}: {error}") from error
    await owner.execute("SET LOCAL session_replication_role = origin")


async def leaks(owner: Any, table: str, column: str) -> list[str]:
    """What the application's role sees or changes of the other tenant's row, and what it no longer sees of its own.

    Within a transaction of the owner's, who plays the application's role; every attempt is undone.
    """
    names, values = await _row(owner, table, column, THEIRS)
    insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(values)})"
    found = []
    async with undone(owner):
        await owner.execute(f"SET LOCAL ROLE {APP}; SET LOCAL app.tenant_id = '{MINE}'")
        if await _rows(owner, f"SELECT {column} FROM {table} WHERE {column} = '{MINE}'") != 1:
            found.append("its own row is not there")
        if await _rows(owner, f"SELECT {column} FROM {table}") != 1:
            found.append("another's row is seen")
        if await _rows(owner, f"SELECT {column} FROM {table} WHERE {column} = '{THEIRS}'") != 0:
            found.append("another's row is found by its tenant")
        if await _changed(owner, f"UPDATE {table} SET {column} = {column} WHERE {column} = '{THEIRS}'"):
            found.append("another's row can be changed")
        if await _changed(owner, f"UPDATE {table} SET {column} = '{THEIRS}' WHERE {column} = '{MINE}'") is not None:
            found.append("a row can be given to another")
        if await _changed(owner, f"UPDATE {table} SET {column} = '{MINE}' WHERE {column} = '{THEIRS}'"):
            found.append("another's row can be taken")
        if await _changed(owner, f"DELETE FROM {table} WHERE {column} = '{THEIRS}'"):
            found.append("another's row can be deleted")
        if await _changed(owner, insert) is not None:
            found.append("a row can be put among another's")
        if await _changed(owner, f"{insert} ON CONFLICT DO NOTHING") is not None:
            found.append("what another has can be asked for")
        if await _changed(owner, f"TRUNCATE {table} CASCADE") is not None:
            found.append("everything can be deleted at once")
        await owner.execute("SET LOCAL app.tenant_id = ''")
        if await _rows(owner, f"SELECT {column} FROM {table}") != 0:
            found.append("rows are seen without a tenant")
    return found


@asynccontextmanager
async def undone(owner: Any) -> AsyncIterator[None]:
    """What is done inside is undone at its end."""
    inside = owner.transaction()
    await inside.start()
    try:
        yield
    finally:
        await inside.rollback()


async def _rows(owner: Any, query: str) -> int:
    """How many rows it gives; none when it is refused, as without a tenant."""
    async with undone(owner):
        try:
            return len(await owner.fetch(query))
        except (_REFUSED, asyncpg.InvalidTextRepresentationError):
            return 0


async def _changed(owner: Any, statement: str) -> int | None:
    """How many rows it changed; None when it was refused. Another error is an answer, too: it came past the wall."""
    async with undone(owner):
        try:
            status: str = await owner.execute(statement)
        except _REFUSED:
            return None
        except asyncpg.PostgresError:
            return 1
    return int(status.split()[-1]) if status[-1].isdigit() else 1


async def _row(owner: Any, table: str, column: str, tenant_id: UUID) -> tuple[list[str], list[str]]:
    """Names and SQL values of every column that must be given."""
    columns = await owner.fetch(
        """
        SELECT a.attname AS name, format_type(a.atttypid, NULL) AS kind, a.atttypmod AS size, a.attnotnull AS needed,
               a.atthasdef OR a.attidentity <> '' AS given
          FROM pg_attribute AS a
         WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
         ORDER BY a.attnum
        """,
        table,
    )
    checks = " ".join(
        row["definition"]
        for row in await owner.fetch(
            "SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint"
            " WHERE contype = 'c' AND conrelid = $1::regclass",
            table,
        )
    )
    if column not in {each["name"] for each in columns}:
        raise Uncovered(f"{table} has no column {column}")
    names, values = [], []
    for each in columns:
        if each["name"] == column:
            value = f"'{tenant_id}'"
        elif not each["needed"] or each["given"]:
            continue
        else:
            value = _value(table, each, checks, tenant_id)
        names.append(each["name"])
        values.append(value)
    return names, values


def _value(table: str, column: Any, checks: str, tenant_id: UUID) -> str:
    name, kind = column["name"], column["kind"]
    allowed = re.search(rf"\({name} = ANY \(ARRAY\['([^']*)'", checks)
    if allowed:
        return f"'{allowed[1]}'"
    match kind:
        case "text":
            return f"'{name} of {'mine' if tenant_id == MINE else 'theirs'}'"
        case "uuid":
            return f"'{UUID(md5(f'{table}.{name}.{tenant_id}'.encode(), usedforsecurity=False).hexdigest())}'"
        case "integer" | "bigint" | "smallint" | "numeric" | "double precision" | "xid8":
            return "'1'"
        case "boolean":
            return "false"
        case "bytea":
            return r"'\x" + ("0a" if tenant_id == MINE else "0b") * 32 + "'"
        case "timestamp with time zone" | "date":
            return "now()"
        case "json" | "jsonb":
            return "'{}'"
        case "tsvector":
            return "'word'"
        case "halfvec" | "vector":
            return f"array_fill(1.0, ARRAY[{column['size']}])::{kind}"
        case "inet" | "cidr":
            return "'203.0.113.1'"
        case array if array.endswith("[]"):
            return "'{}'"
        case _:
            raise Uncovered(f"{table}.{name}: how is a value of {kind} made?")

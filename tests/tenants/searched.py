"""Looks for words wherever a server keeps something: in each column of each table, opened, and in the disk's bytes."""

from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from frontdesk.db.cipher import Cipher, DecryptFailed, read_key_file


def found_on_disk(folder: Path, words: list[str]) -> dict[str, set[str]]:
    """word -> files that hold it, in any of PostgreSQL's files and beside them."""
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*"):
        try:
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        except OSError:  # gone meanwhile, or a socket
            continue
        for word in words:
            if word.encode() in content:
                found.setdefault(word, set()).add(str(path.relative_to(folder)))
    return found


async def found_in_database(owner: Any, data: Path, tenants: list[UUID], words: list[str]) -> dict[str, set[str]]:
    """word -> table.column that holds it, as text or sealed for one of `tenants`."""
    cipher = Cipher(read_key_file(data / "keys"))
    found: dict[str, set[str]] = {}
    columns = await owner.fetch(_COLUMNS)
    for column in columns:
        name, table, kind = column["name"], column["table"], column["kind"]
        value = f'"{name}"' if kind == "bytea" else f'"{name}"::text'
        for (content,) in await owner.fetch(f"SELECT {value} FROM {table} WHERE {value} IS NOT NULL"):
            text = _opened(cipher, tenants, content) if kind == "bytea" else content
            for word in words:
                if word in text:
                    found.setdefault(word, set()).add(f"{table}.{name}")
    return found


async def tenants_with_rows(owner: Any) -> set[UUID]:
    """Whose rows are in any table."""
    tables = await owner.fetch("SELECT name FROM tenant_tables()")
    return {
        row["tenant_id"]
        for table in tables
        for row in await owner.fetch(f"SELECT DISTINCT tenant_id FROM {table['name']}")
    }


async def as_owner(data: Path) -> Any:
    """A connection to the embedded server of a data directory, while that runs."""
    return await asyncpg.connect(host=str(data / "postgres"), user="postgres", database="postgres")


def _opened(cipher: Cipher, tenants: list[UUID], content: bytes) -> str:
    for tenant_id in tenants:
        try:
            return cipher.open(tenant_id, content).decode(errors="replace")
        except DecryptFailed:
            continue
    return content.decode(errors="replace")


_COLUMNS = """
    SELECT a.attname AS name, c.oid::regclass::text AS table, a.atttypid::regtype::text AS kind
      FROM pg_attribute AS a
      JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'r'
     WHERE a.attnum > 0
       AND NOT a.attisdropped
       AND (c.relnamespace = 'public'::regnamespace OR c.relname = 'pg_statistic')
"""

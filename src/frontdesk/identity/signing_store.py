"""Signing keys in PostgreSQL; of the deployment, so that no tenant's scope is needed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any  # a JWK is JSON

import msgspec

from frontdesk.core.json import dumps_text, loads
from frontdesk.db import Database


class SigningKeyRow(msgspec.Struct, frozen=True):
    kid: str
    public: dict[str, Any]
    private: bytes  # sealed
    signs_from: datetime


async def keys(db: Database) -> list[SigningKeyRow]:
    """In the order in which they sign."""
    query = """
        SELECT kid, public, private, signs_from
          FROM signing_keys
         ORDER BY signs_from, kid
         LIMIT 100
    """
    rows = await db.call(query)
    return [SigningKeyRow(row["kid"], loads(row["public"]), row["private"], row["signs_from"]) for row in rows]


async def add(db: Database, key: SigningKeyRow, *, first: bool = False, closed: Sequence[str] = ()) -> None:
    """`first`: not when there is one that signs, of others than `closed`."""
    query = "SELECT add_signing_key($1, $2, $3, $4, $5, $6)"
    await db.call(query, key.kid, dumps_text(key.public), key.private, key.signs_from, first, list(closed))


async def remove(db: Database, kids: Sequence[str]) -> None:
    query = """
        DELETE FROM signing_keys
         WHERE kid = ANY ($1)
    """
    await db.call(query, list(kids))

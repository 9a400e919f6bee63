"""Which keys the database's texts are sealed with, by their ids; no more of a key is ever in the database."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from frontdesk.db.database import Database

# A server that says nothing for so long is believed gone; each says something six times in it.
SILENT_S = 60.0


class Beat(msgspec.Struct, frozen=True):
    """What a server hears: the key that it seals with, or what stands in the way."""

    seals: bytes | None  # None: nothing was noted
    missing: list[bytes]  # texts are sealed with them, and the server does not know them
    waits_for: list[str]  # machines whose servers do not know its first key yet


class SealingServer(msgspec.Struct, frozen=True):
    server: UUID
    host: str
    knows: list[bytes]
    seals: bytes
    seals_s: float  # since when it seals with that key
    silent_s: float  # since it was heard


async def missing(db: Database, configured: Sequence[bytes]) -> list[bytes]:
    """Ids of the keys that texts are sealed with and that are not among `configured`."""
    query = """
        SELECT id
          FROM sealing_keys
         WHERE id <> ALL ($1)
         ORDER BY since
         LIMIT 100
    """
    return [row["id"] for row in await db.call(query, configured)]


async def beat(db: Database, server: UUID, host: str, configured: Sequence[bytes], seals: bytes | None) -> Beat:
    """The server's word: it knows `configured`, and sealed with `seals` until now (None: it has just started)."""
    query = "SELECT seals, missing, waits_for FROM sealing_beat($1, $2, $3, $4, $5)"
    [row] = await db.call(query, server, host, configured, seals, SILENT_S)
    return Beat(row["seals"], row["missing"] or [], row["waits_for"] or [])


async def leave(db: Database, server: UUID) -> None:
    """The server seals no more."""
    await db.call("DELETE FROM sealing_servers WHERE server = $1", server)


async def servers(db: Database) -> list[SealingServer]:
    """Those that were heard lately, the longest silent last."""
    query = """
        SELECT server, host, knows, seals, extract(epoch FROM now() - seals_since)::float AS seals_s,
               extract(epoch FROM now() - seen)::float AS silent_s
          FROM sealing_servers
         WHERE seen > now() - make_interval(secs => $1)
         ORDER BY seen DESC
         LIMIT 1000
    """
    return [SealingServer(**dict(row)) for row in await db.call(query, SILENT_S)]


async def retired(db: Database, of: Sequence[bytes]) -> list[bytes]:
    """Those of the keys `of` that sealed once, and seal nothing any more."""
    query = """
        SELECT id
          FROM retired_keys
         WHERE id = ANY ($1)
         LIMIT 1000
    """
    return [row["id"] for row in await db.call(query, of)]


async def retire(db: Database, kept: bytes) -> list[bytes]:
    """Servers start without any key but `kept` from now on. Only once nothing is sealed with the others."""
    return [row["id"] for row in await db.call("SELECT * FROM sealing_keys_retire($1, $2) AS id", kept, SILENT_S)]


async def forget(db: Database, key_id: bytes) -> bool:
    """Servers start without that key again; whether it was known. Texts are left as they are."""
    return bool(await db.call("DELETE FROM sealing_keys WHERE id = $1 RETURNING id", key_id))

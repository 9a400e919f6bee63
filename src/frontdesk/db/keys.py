"""Which keys the database's texts are sealed with, by their ids; no more of a key is ever in the database."""

from collections.abc import Sequence

from frontdesk.db.database import Database


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


async def join(db: Database, configured: Sequence[bytes]) -> list[bytes]:
    """Notes that the first of `configured` seals from now on; or notes nothing, and gives the ids that are missing."""
    rows = await db.call("SELECT id FROM sealing_keys_join($1, $2)", configured, configured[0])
    return [row["id"] for row in rows]


async def forget(db: Database, key_id: bytes) -> bool:
    """Servers start without that key again; whether it was known. Texts are left as they are."""
    return bool(await db.call("DELETE FROM sealing_keys WHERE id = $1 RETURNING id", key_id))

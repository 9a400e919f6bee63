"""Small durable records of a tenant, for tools that have no other system to keep their state in."""

from collections.abc import Mapping
from typing import Any  # records' values are the tools' own JSON, rows untyped
from uuid import UUID

import asyncpg

from frontdesk.core import json
from frontdesk.db import Database
from frontdesk.tools.types import JSONObject, ToolError

# The contact that the turn is of, as long as it is there. An erasure, which deletes the turn, waits for whoever writes
# here, and whoever writes waits for an erasure that has begun, and then finds no turn.
_ITS_CONTACT = """
            SELECT c.contact
              FROM turns AS t
              JOIN conversations AS c ON c.tenant_id = t.tenant_id AND c.id = t.conversation_id
             WHERE t.tenant_id = $1
               AND t.id = $2
               FOR KEY SHARE OF t"""


class PostgresRecords:
    """`Records` of one tenant in the table `records`, as the tools of one turn read and write them.

    What is written is the contact's. Raises ToolError where the turn was erased meanwhile: nothing is written then.
    """

    def __init__(self, database: Database, tenant_id: UUID, turn_id: UUID) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._turn_id = turn_id

    async def get(self, collection: str, key: str) -> JSONObject | None:
        query = """
            SELECT value
              FROM records
             WHERE tenant_id = $1
               AND collection = $2
               AND key = $3
        """
        async with self._database.scope(self._tenant_id) as scope:
            return _parsed(await scope.fetchval(query, self._tenant_id, collection, key))

    async def find(self, collection: str, where: Mapping[str, Any], limit: int = 100) -> list[tuple[str, JSONObject]]:
        query = """
            SELECT key, value
              FROM records
             WHERE tenant_id = $1
               AND collection = $2
               AND value @> $3::jsonb
             ORDER BY key
             LIMIT $4
        """
        async with self._database.scope(self._tenant_id) as scope:
            rows = await scope.fetch(query, self._tenant_id, collection, json.dumps_text(dict(where)), limit)
        return [(row["key"], json.loads(row["value"])) for row in rows]

    async def range(self, collection: str, first: str, last: str, limit: int = 500) -> list[tuple[str, JSONObject]]:
        query = """
            SELECT key, value
              FROM records
             WHERE tenant_id = $1
               AND collection = $2
               AND key >= $3
               AND key < $4
             ORDER BY key
             LIMIT $5
        """
        async with self._database.scope(self._tenant_id) as scope:
            rows = await scope.fetch(query, self._tenant_id, collection, first, last, limit)
        return [(row["key"], json.loads(row["value"])) for row in rows]

    async def insert(self, collection: str, key: str, value: JSONObject, made_by: str) -> JSONObject | None:
        # DO UPDATE, not DO NOTHING: it waits for and then sees a row that another transaction inserts just now.
        query = f"""
            WITH turn AS MATERIALIZED ({_ITS_CONTACT}),
            stored AS (
                INSERT INTO records AS kept (tenant_id, collection, key, value, made_by, contact)
                SELECT $1, $3, $4, $5::jsonb, $6, turn.contact
                  FROM turn
                    ON CONFLICT (tenant_id, collection, key) DO UPDATE
                   SET made_by = kept.made_by
                 WHERE kept.made_by = EXCLUDED.made_by
             RETURNING value)
            SELECT EXISTS (SELECT FROM turn) AS is_there, (SELECT value FROM stored) AS value
        """
        async with self._database.scope(self._tenant_id) as scope:
            row = await scope.fetchrow(
                query, self._tenant_id, self._turn_id, collection, key, json.dumps_text(value), made_by
            )
        return _parsed(_of_a_turn(row)["value"])

    async def move(self, collection: str, key: str, new_key: str, value: JSONObject, made_by: str) -> bool:
        query = f"""
            WITH turn AS MATERIALIZED ({_ITS_CONTACT}),
            -- A move that this very call has already made: whoever took the old key since then keeps it.
            earlier AS (
                SELECT 1
                  FROM records
                 WHERE tenant_id = $1
                   AND collection = $3
                   AND key = $5
                   AND made_by = $7
                   AND $4 <> $5),
            -- The move. A new key that is taken ends it by the primary key.
            moved AS (
                UPDATE records
                   SET key = $5, value = $6::jsonb, made_by = $7, contact = turn.contact
                  FROM turn
                 WHERE tenant_id = $1
                   AND collection = $3
                   AND key = $4
                   AND NOT EXISTS (SELECT FROM earlier)
             RETURNING 1)
            SELECT EXISTS (SELECT FROM turn) AS is_there,
                   EXISTS (SELECT FROM earlier) OR EXISTS (SELECT FROM moved) AS is_moved
        """
        values = (collection, key, new_key, json.dumps_text(value), made_by)
        try:
            async with self._database.scope(self._tenant_id) as scope:
                row = await scope.fetchrow(query, self._tenant_id, self._turn_id, *values)
        except asyncpg.UniqueViolationError:
            return False
        return bool(_of_a_turn(row)["is_moved"])

    async def delete(self, collection: str, key: str) -> bool:
        query = """
            DELETE FROM records
             WHERE tenant_id = $1
               AND collection = $2
               AND key = $3
            RETURNING true
        """
        async with self._database.scope(self._tenant_id) as scope:
            return bool(await scope.fetchval(query, self._tenant_id, collection, key))


def _of_a_turn(row: Any) -> Any:
    if not row["is_there"]:
        raise ToolError("The conversation was erased: nothing may be kept of it any more.")
    return row


def _parsed(value: str | None) -> JSONObject | None:
    if value is None:
        return None
    parsed: JSONObject = json.loads(value)
    return parsed

"""Small durable records of a tenant, for tools that have no other system to keep their state in."""

from collections.abc import Mapping
from typing import Any  # records' values are the tools' own JSON
from uuid import UUID

import asyncpg

from frontdesk.core import json
from frontdesk.db import Database
from frontdesk.tools.types import JSONObject


class PostgresRecords:
    """`Records` of one tenant in the table `records`."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        self._database = database
        self._tenant_id = tenant_id

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
        query = """
            INSERT INTO records AS kept (tenant_id, collection, key, value, made_by)
            VALUES ($1, $2, $3, $4::jsonb, $5)
                ON CONFLICT (tenant_id, collection, key) DO UPDATE
               SET made_by = kept.made_by
             WHERE kept.made_by = EXCLUDED.made_by
            RETURNING value
        """
        async with self._database.scope(self._tenant_id) as scope:
            return _parsed(
                await scope.fetchval(query, self._tenant_id, collection, key, json.dumps_text(value), made_by)
            )

    async def move(self, collection: str, key: str, new_key: str, value: JSONObject, made_by: str) -> bool:
        query = """
            -- A move that this very call has already made: whoever took the old key since then keeps it.
            WITH earlier AS (
                SELECT 1
                  FROM records
                 WHERE tenant_id = $1
                   AND collection = $2
                   AND key = $4
                   AND made_by = $6
                   AND $3 <> $4),
            -- The move. A new key that is taken ends it by the primary key.
            moved AS (
                UPDATE records
                   SET key = $4, value = $5::jsonb, made_by = $6
                 WHERE tenant_id = $1
                   AND collection = $2
                   AND key = $3
                   AND NOT EXISTS (SELECT FROM earlier)
             RETURNING 1)
            SELECT EXISTS (SELECT FROM earlier) OR EXISTS (SELECT FROM moved)
        """
        try:
            async with self._database.scope(self._tenant_id) as scope:
                return bool(
                    await scope.fetchval(
                        query, self._tenant_id, collection, key, new_key, json.dumps_text(value), made_by
                    )
                )
        except asyncpg.UniqueViolationError:
            return False

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


def _parsed(value: str | None) -> JSONObject | None:
    if value is None:
        return None
    parsed: JSONObject = json.loads(value)
    return parsed

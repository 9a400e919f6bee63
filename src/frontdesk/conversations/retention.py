"""What is kept how long: conversations, explanations, the ledger, dead letters and events, as each tenant says."""

from typing import Any  # asyncpg's rows are untyped
from uuid import UUID

from frontdesk.agents.models import RetentionSettings
from frontdesk.conversations.sealed import Sealed
from frontdesk.db import Database

OF_A_TENANT = 50  # conversations removed before the next tenant's turn
AT_ONCE = 1000
_PRESET = RetentionSettings()
# By kind of `retention_due`: the table whose ids are of the moment when a row was made.
_TABLES = {"ledger": "llm_calls", "dead_letters": "dead_letters"}


class Retention:
    """Removes what is over, in portions, each in a transaction of its own."""

    def __init__(self, db: Database, sealed: Sealed, *, events_days: float) -> None:
        """`events_days`: how long the deployment keeps events; a tenant may say less."""
        self._db = db
        self._sealed = sealed
        self._events_days = events_days

    async def remove_conversations(self) -> int:
        """How many, of all tenants."""
        removed = 0
        while True:
            query = "SELECT tenant_id, conversation_id, days FROM conversations_over($1, $2, $3)"
            over = await self._db.call(query, _PRESET.conversations_days, OF_A_TENANT, AT_ONCE)
            done = 0
            for row in over:
                done += await self._removed(row)
            removed += done
            if not done:
                return removed

    async def remove_records(self) -> int:
        """Explanations, calls in the ledger and dead letters: how many, of all tenants."""
        removed = 0
        query = "SELECT tenant_id, kind, days FROM retention_due($1, $2, $3)"
        due = await self._db.call(query, _PRESET.explanations_days, _PRESET.ledger_days, self._events_days)
        for row in due:
            removed += await self._removed_of_kind(row["tenant_id"], row["kind"], row["days"])
        return removed

    async def remove_events(self) -> int:
        """Those of tenants that keep them for a shorter time: how many."""
        removed = 0
        while True:
            [row] = await self._db.call("SELECT remove_tenants_events($1, $2) AS done", self._events_days, AT_ONCE)
            removed += int(row["done"])
            if row["done"] < AT_ONCE:
                return removed

    async def _removed(self, over: Any) -> bool:
        tenant_id, conversation_id = over["tenant_id"], over["conversation_id"]
        payload = self._sealed.json(tenant_id, {"conversation_id": conversation_id})
        query = "SELECT remove_conversation($1, $2, $3, $4) AS done"
        [row] = await self._db.call(query, tenant_id, conversation_id, over["days"], payload)
        return bool(row["done"])

    async def _removed_of_kind(self, tenant_id: UUID, kind: str, days: float) -> int:
        removed = 0
        while True:
            done = await self._removed_at_once(tenant_id, kind, days)
            removed += done
            if done < AT_ONCE:
                return removed

    async def _removed_at_once(self, tenant_id: UUID, kind: str, days: float) -> int:
        if kind == "explanations":
            [row] = await self._db.call("SELECT remove_explanations($1, $2, $3) AS done", tenant_id, days, AT_ONCE)
            return int(row["done"])
        table = _TABLES[kind]
        query = f"""
            WITH gone AS (
                DELETE FROM {table}
                 WHERE tenant_id = $1
                   AND id IN (SELECT id
                                FROM {table}
                               WHERE tenant_id = $1
                                 AND id < first_id_of(now() - make_interval(secs => $2::float * 86400))
                               ORDER BY id
                               LIMIT $3)
                RETURNING 1
            )
            SELECT count(*) FROM gone
        """
        async with self._db.scope(tenant_id) as scope:
            return int(await scope.fetchval(query, tenant_id, days, AT_ONCE))

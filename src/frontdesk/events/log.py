"""The outbox as the log: reading after a position, consumer groups, and the tail for whoever is connected now."""

from collections.abc import Sequence
from typing import Any  # a consumer's derived value is its own business
from uuid import UUID

from frontdesk.core import json
from frontdesk.core.ids import new_id
from frontdesk.db import Database, TenantScope
from frontdesk.db.cipher import Cipher, DecryptFailed
from frontdesk.events.models import Event, Position

# Payloads are sealed like messages: they may hold what a contact wrote.


class PostgresLog:
    """The event log in PostgreSQL. Delivery at least once; a group's position moves with its effect."""

    def __init__(self, db: Database, cipher: Cipher) -> None:
        self._db = db
        self._cipher = cipher

    def seal(self, tenant_id: UUID, payload: dict[str, Any]) -> bytes:
        return self._cipher.seal(tenant_id, json.dumps(payload))

    async def append(self, scope: TenantScope, topic: str, key: str, type_: str, payload: dict[str, Any]) -> UUID:
        """Adds an event to the scope's transaction. Call it before any other write of that transaction: the key's
        lock must be taken before the transaction has an id (see outbox.sql)."""
        await scope.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key)
        event_id = new_id()
        query = """
            INSERT INTO outbox (tenant_id, event_id, topic, key, type, correlation_id, payload)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
        """
        sealed = self.seal(scope.tenant_id, payload)
        await scope.execute(query, scope.tenant_id, event_id, topic, key, type_, str(event_id), sealed)
        return event_id

    async def end(self) -> Position:
        """Whatever commits from now on lies behind this position."""
        [row] = await self._db.call("SELECT at_xid, at_position FROM outbox_end()")
        return Position(row["at_xid"], row["at_position"])

    async def after(self, position: Position, topics: Sequence[str], most: int) -> list[tuple[Position, Event | None]]:
        """The next events, oldest first; None in place of those of other topics, or whose payload can't be opened."""
        query = "SELECT * FROM outbox_after($1, $2, $3, $4)"
        rows = await self._db.call(query, position.xid, position.place, list(topics), most)
        return [(Position(row["at_xid"], row["at_position"]), self._event(row)) for row in rows]

    def _event(self, row: Any) -> Event | None:
        if row["payload"] is None:
            return None
        try:
            payload = json.loads(self._cipher.open(row["tenant_id"], row["payload"])) if row["payload"] else {}
        except DecryptFailed:
            return None
        return Event(
            event_id=row["event_id"],
            topic=row["topic"],
            key=row["key"],
            tenant_id=row["tenant_id"],
            type=row["type"],
            version=row["version"],
            occurred_at=row["occurred_at"],
            correlation_id=row["correlation_id"],
            causation_id=row["causation_id"],
            payload=payload,
        )

    async def claim(self, group: str, worker: UUID, lease_s: float) -> Position | None:
        """The group's position when it is this worker's to read, else None."""
        rows = await self._db.call("SELECT * FROM consumer_claim($1, $2, $3)", group, worker, lease_s)
        return Position(rows[0]["at_xid"], rows[0]["at_position"]) if rows else None

    async def move(self, group: str, worker: UUID, position: Position, lease_s: float) -> bool:
        """Past events without an effect. False when another worker has taken the group."""
        return bool(await self._db.call(_MOVE, group, worker, position.xid, position.place, lease_s))

    async def prune(self, older_than_days: float, most: int) -> int:
        """Removes old events that every group has read; how many."""
        query = "SELECT outbox_prune(now() - make_interval(secs => $1), $2) AS gone"
        [row] = await self._db.call(query, older_than_days * 86400.0, most)
        return int(row["gone"])


async def move_in(scope: TenantScope, group: str, worker: UUID, position: Position, lease_s: float) -> bool:
    """Moves the group within the transaction of its effect. False: roll back, the group is another's now."""
    return bool(await scope.fetch(_MOVE, group, worker, position.xid, position.place, lease_s))


async def put_dead_letter(scope: TenantScope, group: str, event: Event, error: str) -> None:
    query = """
        INSERT INTO dead_letters (tenant_id, id, consumer, topic, event_id, error, event)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
    """
    # Without the payload: it stays sealed in the outbox, where the event's id finds it.
    envelope = json.dumps_text({"key": event.key, "type": event.type, "correlation_id": event.correlation_id})
    topic = f"{event.topic}.dlq"
    await scope.execute(query, scope.tenant_id, new_id(), group, topic, event.event_id, error, envelope)


_MOVE = """
    UPDATE consumer_positions AS p
       SET xid = $3::bigint::text::xid8, position = $4, updated_at = now(),
           lease_until = now() + make_interval(secs => $5)
     WHERE p.consumer = $1
       AND p.worker = $2
    RETURNING 1
"""

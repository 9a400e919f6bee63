"""What runs with every turn, every stream and every round of housekeeping reads a few rows, however many there are.

The embedded PostgreSQL can't show plans of statements within functions, so it is asked for what it really did: which
indexes each call has walked and how many entries it read there. A scan of a whole table is seen as such.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from benchmarks.filling import copy_conversation, lengthen_conversation, settle
from tests.conftest import as_application
from tests.conversations.room import room
from tests.crash.desk import Desk

from frontdesk.conversations.models import Author, Incoming, TurnInput
from frontdesk.conversations.sealed import Sealed
from frontdesk.conversations.store import ConversationStore, Ending, summary_state
from frontdesk.core.ids import new_id
from frontdesk.db import Database, TenantScope
from frontdesk.db.cipher import Cipher
from frontdesk.events.log import PostgresLog
from frontdesk.events.models import Position

TURNS, COPIES, TIMES = 3, 400, 200  # 6 messages a conversation; one of 1,200
WINDOW, LEASE_S, TTL_S = 20, 60.0, 3600
ENOUGH = 64  # entries of an index that one call may read: the window and some more
GROWING = {"messages", "turns", "conversations", "contacts", "steps", "llm_calls", "outbox"}


@dataclass
class Walked:
    """What a call did: entries read by index, and rows of tables that were read from end to end."""

    indexes: dict[str, int] = field(default_factory=dict)
    scans: dict[str, int] = field(default_factory=dict)


class Grown:
    """A database with much in it, one connection of the application, and the owner's look at its statistics."""

    def __init__(self, tenant_id: UUID, cipher: Cipher, owner: Any, database: Database, long: UUID) -> None:
        self.tenant_id = tenant_id
        self.owner = owner
        self.database = database
        self.sealed = Sealed(cipher)
        self.store = ConversationStore(database, self.sealed)
        self.events = PostgresLog(database, cipher)
        self.worker = new_id()
        self.long = long

    async def walked(self, call: Callable[[], Awaitable[Any]]) -> Walked:
        before = await self._counted()
        await call()
        walked = Walked()
        for (kind, name), count in (await self._counted()).items():
            if count > before.get((kind, name), 0):
                (walked.scans if kind == "scan" else walked.indexes)[name] = count - before.get((kind, name), 0)
        return walked

    async def _counted(self) -> dict[tuple[str, str], int]:
        await self.database.call("SELECT pg_stat_force_next_flush()")
        await self.database.call("SELECT 1")
        # What the owner did before: told late, it would count as the call's.
        await self.owner.execute("SELECT pg_stat_force_next_flush()")
        query = """
            SELECT 'index' AS kind, indexrelname AS name, idx_tup_read AS count FROM pg_stat_user_indexes
             UNION ALL
            SELECT 'scan', relname, seq_tup_read FROM pg_stat_user_tables
        """
        return {(row["kind"], row["name"]): row["count"] for row in await self.owner.fetch(query)}

    async def accept(self, conversation_id: UUID) -> TurnInput:
        accepted = await self.store.accept(
            self.tenant_id, Incoming("ann", "Are you open?", conversation_id, idempotency_key=uuid4().hex), "test",
            worker=self.worker, lease_s=LEASE_S, ttl_s=TTL_S, join=True, window=WINDOW,
        )  # fmt: skip
        assert accepted.claimed is not None
        return accepted.claimed

    async def complete(self, turn: TurnInput) -> None:
        ending = Ending(
            state="completed", stage="test", agents=("clerk",), decision={}, error_code=None, message_id=new_id(),
            author=Author.AGENT, body=self.sealed.body(self.tenant_id, "Yes.", {}), agent="clerk", intent=None,
            pending=None, emergency=False, escalated=False, answer_ms=1, steps=(), calls=(), events=(),
        )  # fmt: skip
        assert (await self.store.complete(turn, self.worker, ending, LEASE_S)).outcome == "completed"

    async def scoped(self, read: Callable[[TenantScope], Awaitable[Any]]) -> Any:
        async with self.database.scope(self.tenant_id) as scope:
            return await read(scope)


@asynccontextmanager
async def grown_database(desk: Desk, url: str) -> AsyncIterator[Grown]:
    """Made by a server that is gone: only what the test calls is counted."""
    short, long = uuid4(), uuid4()
    async with room(desk, url) as open_room:
        for conversation in (short, long):
            for turn in range(TURNS):
                await open_room.chat(f"Are you open on day {turn}?", conversation)
        tenant_id, cipher = open_room.tenant.id, open_room.services.cipher
    owner = await asyncpg.connect(url)
    database = await Database.connect(as_application(url), max_connections=1)
    try:
        await copy_conversation(owner, short, COPIES)
        await lengthen_conversation(owner, long, TIMES, WINDOW)
        # A busy hour: none of them is idle yet.
        await owner.execute("UPDATE conversations SET state = 'active', last_activity = now() - interval '1 minute'")
        await settle(owner)
        yield Grown(tenant_id, cipher, owner, database, long)
    finally:
        await database.close()
        await owner.close()


async def test_no_call_of_a_turn_a_stream_or_housekeeping_reads_more_as_there_is_more(
    desk: Desk, database_url: str
) -> None:
    async with grown_database(desk, database_url) as grown:
        store, tenant_id, long = grown.store, grown.tenant_id, grown.long
        query = (
            "SELECT id, turn_id, seq FROM messages WHERE conversation_id = $1 AND role = 'user' AND seq >= $2 LIMIT 1"
        )
        early, late = [await grown.owner.fetchrow(query, long, seq) for seq in (7, TIMES * TURNS * 2 - 20)]
        query = "SELECT array_agg(id) FROM conversations WHERE id <> $1"
        short: list[UUID] = await grown.owner.fetchval(query, long)
        position = Position((await grown.events.end()).xid - 1, 0)
        turn = await grown.accept(long)
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "a new conversation's first message": lambda: grown.accept(uuid4()),
            "the input of a recovered turn": lambda: store.turn_input(tenant_id, turn.turn_id, WINDOW),
            "what is due": lambda: store.claim_due(grown.worker, LEASE_S, 16, []),
            "leases": lambda: store.extend(grown.worker, [turn.turn_id], LEASE_S),
            "an answer": lambda: grown.complete(turn),
            "a further message": lambda: grown.accept(long),
            "what a dead worker held": lambda: store.release(new_id()),
            "how a turn ended": lambda: grown.scoped(lambda scope: store.ended(scope, late["turn_id"])),
            "how an old turn ended": lambda: grown.scoped(lambda scope: store.ended(scope, early["turn_id"])),
            "the last message's turn": lambda: grown.scoped(lambda scope: store.turn_of(scope, long, None)),
            "an old message's turn": lambda: grown.scoped(lambda scope: store.turn_of(scope, long, early["seq"])),
            "a page of history": lambda: grown.scoped(lambda scope: store.messages_after(scope, long, 600, 20)),
            "the session": lambda: grown.scoped(lambda scope: store.session(scope, long)),
            "a contact's sessions": lambda: grown.scoped(lambda scope: store.sessions_of(scope, "ann", None, 20)),
            "a message's turn": lambda: grown.scoped(lambda scope: store.turn_record(scope, early["id"])),
            "its steps": lambda: grown.scoped(lambda scope: store.steps(scope, early["turn_id"])),
            "how far a summary reaches": lambda: grown.scoped(lambda scope: summary_state(scope, long)),
            "a session's erasure": lambda: store.clear(tenant_id, short.pop()),
            "idle sessions": lambda: store.idle(TTL_S, 200),
            "new events": lambda: grown.events.after(position, ["turns"], 200),
            "old events": lambda: grown.events.prune(7, 5000),
        }
        too_much = {}
        for name, call in calls.items():
            for _ in range(6):  # the sixth time PostgreSQL may go over to a plan for any value
                walked = await grown.walked(call)
                scans = {table: rows for table, rows in walked.scans.items() if table in GROWING and rows > ENOUGH}
                entries = {index: rows for index, rows in walked.indexes.items() if rows > ENOUGH}
                if name == "a session's erasure":  # it reads the log from its beginning on
                    entries.pop("outbox_by_time", None)
                    scans.pop("outbox", None)
                if scans or entries:
                    too_much[name] = scans | entries
                if name in ("an answer", "a further message"):
                    break
    assert too_much == {}

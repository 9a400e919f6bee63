"""Conversations in PostgreSQL. The turn's own transactions are functions in `turns.sql`, one round trip each."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any  # asyncpg's rows are untyped
from uuid import UUID

import msgspec

from frontdesk.agents.models import Step
from frontdesk.conversations.models import (
    Accepted,
    Author,
    Body,
    Incoming,
    Message,
    Session,
    Spoken,
    TurnInput,
    TurnRecord,
)
from frontdesk.conversations.sealed import Sealed
from frontdesk.core import json
from frontdesk.core.errors import (
    ConversationNotFound,
    DatabaseUnavailable,
    IdempotencyConflict,
    QuotaReached,
    SessionExpired,
)
from frontdesk.core.ids import new_id
from frontdesk.db import Database, TenantScope
from frontdesk.db.cipher import DecryptFailed
from frontdesk.llm.ledger import LedgerRow

_AUTHORS = {author.value: author for author in Author}


class Ending(msgspec.Struct, frozen=True):
    """What a turn leaves when it ends: its message, its marks on the conversation, its trace."""

    state: str
    stage: str
    agents: tuple[str, ...]
    decision: Any
    error_code: str | None
    message_id: UUID
    author: Author
    body: bytes  # sealed
    agent: str | None
    intent: str | None
    pending: bytes | None  # opened; None leaves what is there
    emergency: bool
    escalated: bool
    answer_ms: int
    steps: tuple[Step, ...]
    calls: tuple[LedgerRow, ...]
    events: tuple[tuple[str, str, bytes], ...]  # topic, type, sealed payload


class Told(msgspec.Struct, frozen=True):
    """Of a message, without personal data."""

    contact: str
    content: str


class Completed(msgspec.Struct, frozen=True):
    outcome: str  # completed | lost | overtaken | cleared
    seq: int | None
    next_turn: UUID | None


_NO_END = 2**31 - 2  # of messages in a conversation: as many as there are numbers


class ConversationStore:
    """The turn's walk through the database: accept, input, steps, complete."""

    def __init__(self, db: Database, sealed: Sealed) -> None:
        self._db = db
        self._sealed = sealed

    async def accept(
        self,
        tenant_id: UUID,
        incoming: Incoming,
        correlation_id: str,
        *,
        worker: UUID | None,
        lease_s: float,
        ttl_s: int,
        join: bool,
        window: int,
        most: int | None = None,
        told: Told | None = None,
    ) -> Accepted:
        """Keeps the message. `most`: messages that a conversation may have. `told`: what the log of events is told in
        place of what it says.

        Raises ConversationNotFound (another contact's), SessionExpired, IdempotencyConflict, QuotaReached.
        """
        message_id, turn_id = new_id(), new_id()
        sealed = self._sealed
        payload = {
            "conversation_id": incoming.conversation_id,
            "message_id": message_id,
            "contact": incoming.contact if told is None else told.contact,
            "role": "user",
            "content": incoming.text if told is None else told.content,
        }
        [row] = await self._db.call(
            _ACCEPT,
            tenant_id,
            incoming.conversation_id,
            incoming.contact,
            incoming.channel,
            message_id,
            turn_id,
            sealed.body(tenant_id, incoming.text, {}),
            sealed.json(tenant_id, incoming.context) if incoming.context else None,
            incoming.idempotency_key,
            request_hash(incoming) if incoming.idempotency_key else None,
            correlation_id,
            new_id(),
            sealed.json(tenant_id, payload),
            worker,
            lease_s,
            ttl_s,
            join,
            window,
            _NO_END if most is None else most,
        )
        match row["outcome"]:
            case "foreign":
                raise ConversationNotFound("There is no such session for this user.")
            case "expired":
                await self.expire(tenant_id, incoming.conversation_id, ttl_s)
                raise SessionExpired("This session has expired. Leave session_id out to start a new one.")
            case "cleared":
                raise SessionExpired("This session was cleared. Leave session_id out to start a new one.")
            case "full":
                detail = f"This session has its {most} messages. Leave session_id out to start a new one."
                raise QuotaReached(detail)
            case "conflict":
                raise IdempotencyConflict("This Idempotency-Key was used with another body. Use a new key.")
        claimed = None
        if row["claimed"]:
            claimed = self._input(
                tenant_id, row["turn"], row, contact=incoming.contact, attempt=1, correlation_id=correlation_id,
                covers=(row["seq"],), accepted_at=datetime.now(UTC),
            )  # fmt: skip
        return Accepted(
            tenant_id=tenant_id,
            conversation_id=row["conversation"],
            message_id=row["message"],
            seq=row["seq"],
            turn_id=row["turn"],
            repeated=row["outcome"] == "repeated",
            claimed=claimed,
        )

    async def create(
        self, tenant_id: UUID, conversation_id: UUID, contact: str, channel: str, context: dict[str, Any] | None
    ) -> bool:
        """Idempotent. False when the id is another contact's."""
        sealed = self._sealed.json(tenant_id, context) if context else None
        query = "SELECT create_conversation($1, $2, $3, $4, $5) AS ours"
        [row] = await self._db.call(query, tenant_id, conversation_id, contact, channel, sealed)
        return bool(row["ours"])

    async def turn_input(self, tenant_id: UUID, turn_id: UUID, window: int) -> TurnInput:
        """For a turn claimed by recovery, or that waited in its lane."""
        [row] = await self._db.call("SELECT * FROM turn_input($1, $2, $3)", tenant_id, turn_id, window)
        return self._input(
            tenant_id, turn_id, row, contact=row["contact"], attempt=row["attempt"],
            correlation_id=row["correlation"], covers=tuple(row["covers"]), accepted_at=row["accepted_at"],
            handovers=row["handovers"],
        )  # fmt: skip

    def _input(
        self,
        tenant_id: UUID,
        turn_id: UUID,
        row: Any,
        *,
        contact: str,
        attempt: int,
        correlation_id: str,
        covers: tuple[int, ...],
        accepted_at: datetime,
        handovers: int = 0,
    ) -> TurnInput:
        sealed = self._sealed
        window: list[Spoken] = []
        damaged = False
        for seq, role, body in zip(row["seqs"] or (), row["roles"] or (), row["bodies"] or (), strict=True):
            try:
                window.append(Spoken(seq, _AUTHORS[role], sealed.open_body(tenant_id, body).content))
            except DecryptFailed:
                damaged = True
        try:
            context = sealed.open_json(tenant_id, row["context"]) or {}
            summary = sealed.open_text(tenant_id, row["summary"]).decode()
            pending = sealed.open_text(tenant_id, row["pending"])
        except DecryptFailed:
            damaged, context, summary, pending = True, {}, "", b""
        if damaged:  # a half-read past misleads more than none
            window = [spoken for spoken in window if spoken.seq in covers]
        return TurnInput(
            tenant_id=tenant_id,
            turn_id=turn_id,
            conversation_id=row["conversation"],
            contact=contact,
            attempt=attempt,
            version=row["version"],
            correlation_id=correlation_id,
            covers=covers,
            accepted_at=accepted_at,
            window=tuple(window),
            context=context,
            summary=summary,
            agent=row["agent"],
            pending=pending,
            damaged=damaged,
            handovers=handovers,
        )

    async def steps(self, scope: TenantScope, turn_id: UUID) -> list[Step]:
        """The steps of a turn in order: what recovery must not repeat, and what an inspection shows."""
        query = """
            SELECT number, agent, kind, name, status, input, output, key, duration_ms
              FROM steps
             WHERE tenant_id = $1
               AND turn_id = $2
             ORDER BY agent, number
             LIMIT 500
        """
        rows = await scope.fetch(query, scope.tenant_id, turn_id)
        return [
            Step(
                number=row["number"],
                agent=row["agent"],
                kind=row["kind"],
                name=row["name"],
                status=row["status"],
                input=self._shown(scope.tenant_id, row["input"]),
                output=self._shown(scope.tenant_id, row["output"]),
                duration_ms=row["duration_ms"],
                key=row["key"],
            )
            for row in rows
        ]

    def _shown(self, tenant_id: UUID, sealed: bytes | None) -> Any:
        """One thing that can't be opened must not hide the rest."""
        try:
            return self._sealed.open_json(tenant_id, sealed)
        except DecryptFailed as error:
            return {"damaged": error.error_code}

    async def record_step(self, turn: TurnInput, worker: UUID, step: Step) -> bool:
        """Before and after a side effect. False: another worker has the turn, stop."""
        query = "SELECT record_step($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS held"
        [row] = await self._db.call(
            query,
            turn.tenant_id,
            turn.turn_id,
            worker,
            turn.attempt,
            step.number,
            step.agent,
            step.name,
            step.status,
            self._sealed.json(turn.tenant_id, step.input),
            self._sealed.json(turn.tenant_id, step.output),
            step.key,
            step.duration_ms,
        )
        return bool(row["held"])

    async def complete(self, turn: TurnInput, worker: UUID, ending: Ending, lease_s: float) -> Completed:
        """Ends the turn, if it is still this worker's. With `lease_s` > 0 the lane's next turn is claimed along."""
        sealed, tenant_id = self._sealed, turn.tenant_id
        steps = [
            (
                step.number, step.agent, step.kind, step.name, step.status, sealed.json(tenant_id, step.input),
                sealed.json(tenant_id, step.output), step.key, step.duration_ms,
            )
            for step in ending.steps
        ]  # fmt: skip
        [row] = await self._db.call(
            _COMPLETE,
            tenant_id,
            turn.conversation_id,
            turn.turn_id,
            worker,
            turn.attempt,
            ending.state,
            ending.stage,
            list(ending.agents),
            sealed.json(tenant_id, ending.decision),
            ending.error_code,
            ending.message_id,
            ending.author,
            ending.body,
            ending.agent,
            ending.intent,
            sealed.text(tenant_id, ending.pending or b""),
            ending.pending is None,
            ending.emergency,
            ending.escalated,
            ending.answer_ms,
            steps,
            [msgspec.structs.astuple(call) for call in ending.calls],
            [(new_id(), *event) for event in ending.events],
            lease_s,
            turn.damaged,
        )
        return Completed(row["outcome"], row["seq"], row["next_turn"])

    async def claim_due(
        self, worker: UUID, lease_s: float, most: int, running: Sequence[UUID]
    ) -> list[tuple[UUID, UUID]]:
        """(tenant, turn) that nobody works on, now this worker's; none of those that it runs already."""
        query = "SELECT * FROM claim_due_turns($1, $2, $3, $4)"
        rows = await self._db.call(query, worker, lease_s, most, list(running))
        return [(row["tenant_id"], row["turn_id"]) for row in rows]

    async def extend(self, worker: UUID, turns: Sequence[UUID], lease_s: float) -> None:
        """Those of `turns` that are still this worker's stay so for another `lease_s`."""
        await self._db.call("SELECT extend_leases($1, $2, $3)", worker, list(turns), lease_s)

    async def release(self, worker: UUID | None) -> int:
        """Hands the worker's turns over; None: everybody's, when all other workers are known to be dead."""
        [row] = await self._db.call("SELECT release_turns($1) AS freed", worker)
        return int(row["freed"])

    async def ended(self, scope: TenantScope, turn_id: UUID) -> tuple[str, Message | None] | None:
        """(state, its message) of a turn that has ended, None while it has not.

        Raises ConversationNotFound when there is no such turn (its conversation was erased).
        """
        query = """
            SELECT t.state, m.seq, m.id, m.role, m.body, m.in_reply_to, m.created_at
              FROM turns AS t
              LEFT JOIN messages AS m
                ON m.tenant_id = t.tenant_id
               AND m.conversation_id = t.conversation_id
               AND m.seq > t.seqs[1] -- by the key: a long conversation is not searched from its beginning
               AND m.turn_id = t.id
               AND m.role <> 'user'
             WHERE t.tenant_id = $1
               AND t.id = $2
             LIMIT 1
        """
        row = await scope.fetchrow(query, scope.tenant_id, turn_id)
        if row is None:
            raise ConversationNotFound("There is no such turn.")
        if row["state"] in ("accepted", "running"):
            return None
        return row["state"], self._message(scope.tenant_id, row) if row["seq"] is not None else None

    async def turn_of(self, scope: TenantScope, conversation_id: UUID, seq: int | None) -> tuple[UUID, int, int] | None:
        """(turn, attempt, seq) of the contact's message `seq`, or of the last one."""
        query = """
            SELECT m.turn_id, t.attempt, m.seq
              FROM messages AS m
              JOIN turns AS t ON t.tenant_id = m.tenant_id AND t.id = m.turn_id
             WHERE m.tenant_id = $1
               AND m.conversation_id = $2
               AND m.role = 'user'
               AND ($3::int IS NULL OR m.seq = $3)
             ORDER BY m.seq DESC
             LIMIT 1
        """
        row = await scope.fetchrow(query, scope.tenant_id, conversation_id, seq)
        return (row["turn_id"], row["attempt"], row["seq"]) if row else None

    async def session(self, scope: TenantScope, conversation_id: UUID) -> Session:
        """Raises ConversationNotFound, also for one that was cleared."""
        query = """
            SELECT id, contact, channel, state, owner, epoch, last_seq, emergency, escalated, agent, intent, pending,
                   context, answers, answer_ms, created_at, last_activity
              FROM conversations
             WHERE tenant_id = $1
               AND id = $2
               AND state <> 'cleared'
        """
        row = await scope.fetchrow(query, scope.tenant_id, conversation_id)
        if row is None:
            raise ConversationNotFound("There is no such session.")
        return self._session(scope.tenant_id, row)

    async def sessions_of(self, scope: TenantScope, contact: str, before: datetime | None, limit: int) -> list[Session]:
        """A contact's sessions, the last active first."""
        query = """
            SELECT id, contact, channel, state, owner, epoch, last_seq, emergency, escalated, agent, intent, pending,
                   context, answers, answer_ms, created_at, last_activity
              FROM conversations
             WHERE tenant_id = $1
               AND contact = $2
               AND state <> 'cleared'
               AND ($3::timestamptz IS NULL OR last_activity < $3)
             ORDER BY last_activity DESC
             LIMIT $4
        """
        rows = await scope.fetch(query, scope.tenant_id, contact, before, limit)
        return [self._session(scope.tenant_id, row) for row in rows]

    def _session(self, tenant_id: UUID, row: Any) -> Session:
        fields = dict(row)
        try:
            fields["pending"] = self._sealed.open_text(tenant_id, row["pending"])
            fields["context"] = self._sealed.open_json(tenant_id, row["context"]) or {}
        except DecryptFailed:
            fields["pending"], fields["context"] = b"", {}
        return Session(**fields)

    async def messages_after(self, scope: TenantScope, conversation_id: UUID, seq: int, limit: int) -> list[Message]:
        """Messages numbered above `seq`, oldest first. One that can't be opened says so in its place."""
        query = """
            SELECT seq, id, role, body, in_reply_to, created_at
              FROM messages
             WHERE tenant_id = $1
               AND conversation_id = $2
               AND seq > $3
             ORDER BY seq
             LIMIT $4
        """
        rows = await scope.fetch(query, scope.tenant_id, conversation_id, seq, limit)
        return [self._message(scope.tenant_id, row) for row in rows]

    async def messages_of(self, scope: TenantScope, turn: TurnRecord) -> list[Message]:
        """What a turn covers, and its answer or failure behind it."""
        query = """
            SELECT seq, id, role, body, in_reply_to, created_at
              FROM messages
             WHERE tenant_id = $1
               AND conversation_id = $2
               AND seq >= $3
               AND turn_id = $4
             ORDER BY seq
             LIMIT 50
        """
        rows = await scope.fetch(query, scope.tenant_id, turn.session_id, turn.covers[0], turn.turn_id)
        return [self._message(scope.tenant_id, row) for row in rows]

    def _message(self, tenant_id: UUID, row: Any) -> Message:
        try:
            body = self._sealed.open_body(tenant_id, row["body"])
        except DecryptFailed as error:
            body = Body("", {"damaged": error.error_code})
        return Message(
            seq=row["seq"],
            message_id=row["id"],
            author=Author(row["role"]),
            body=body,
            in_reply_to=tuple(row["in_reply_to"] or ()),
            created_at=row["created_at"],
        )

    async def turn_record(self, scope: TenantScope, message_id: UUID) -> TurnRecord:
        """The turn of a message, the contact's or the answer. Raises ConversationNotFound."""
        query = """
            SELECT t.id AS turn_id, t.conversation_id AS session_id, t.state, t.seqs, t.attempt, t.stage, t.agents,
                   t.error_code, t.decision, t.created_at, t.started_at, t.ended_at
              FROM messages AS m
              JOIN turns AS t ON t.tenant_id = m.tenant_id AND t.id = m.turn_id
             WHERE m.tenant_id = $1
               AND m.id = $2
        """
        row = await scope.fetchrow(query, scope.tenant_id, message_id)
        if row is None:
            raise ConversationNotFound("There is no such message.")
        fields = dict(row)
        return TurnRecord(
            **fields
            | {
                "covers": tuple(fields.pop("seqs")),
                "agents": tuple(row["agents"] or ()),
                "decision": self._shown(scope.tenant_id, row["decision"]),
            }
        )

    async def idle(self, default_ttl_s: int, most: int) -> list[tuple[UUID, UUID, int]]:
        """(tenant, conversation, its time in seconds) whose time is over, the longest idle first."""
        rows = await self._db.call("SELECT * FROM idle_conversations($1, $2)", default_ttl_s, most)
        return [(row["tenant_id"], row["conversation_id"], row["ttl_s"]) for row in rows]

    async def expire(self, tenant_id: UUID, conversation_id: UUID, ttl_s: int) -> bool:
        payload = self._sealed.json(tenant_id, {"conversation_id": conversation_id})
        query = "SELECT expire_conversation($1, $2, $3, $4, $5) AS done"
        [row] = await self._db.call(query, tenant_id, conversation_id, ttl_s, new_id(), payload)
        return bool(row["done"])

    async def clear(self, tenant_id: UUID, conversation_id: UUID) -> bool:
        """Erases what was said. False when there was nothing (left) to clear."""
        payload = self._sealed.json(tenant_id, {"conversation_id": conversation_id})
        query = "SELECT clear_conversation($1, $2, $3, $4) AS done"
        [row] = await self._db.call(query, tenant_id, conversation_id, new_id(), payload)
        return bool(row["done"])


async def put_summary(scope: TenantScope, sealed: Sealed, conversation_id: UUID, summary: str, up_to: int) -> None:
    query = """
        UPDATE conversations
           SET summary = $3, summary_seq = $4
         WHERE tenant_id = $1
           AND id = $2
           AND summary_seq < $4
           AND state <> 'cleared'
    """
    await scope.execute(query, scope.tenant_id, conversation_id, sealed.text(scope.tenant_id, summary.encode()), up_to)


async def summary_state(scope: TenantScope, conversation_id: UUID) -> tuple[bytes | None, int, int] | None:
    """(sealed summary, the seq it reaches to, the last seq)."""
    query = "SELECT summary, summary_seq, last_seq FROM conversations WHERE tenant_id = $1 AND id = $2"
    row = await scope.fetchrow(query, scope.tenant_id, conversation_id)
    return (row["summary"], row["summary_seq"], row["last_seq"]) if row else None


async def rehearse(database: Database) -> None:
    """A turn that never was, on each connection at hand: the first real one then finds its statements planned."""
    with suppress(DatabaseUnavailable):  # the first turns then take a little longer
        await database.rehearse(_rehearsal)


async def _rehearsal(scope: TenantScope) -> None:
    """Two messages and an answer between them: every branch that a turn usually takes."""
    tenant, conversation, worker, turn = scope.tenant_id, new_id(), new_id(), new_id()

    async def accept(turn_id: UUID) -> None:
        await scope.fetch(
            _ACCEPT, tenant, conversation, "", "", new_id(), turn_id, b"", None, str(turn_id), b"", "", new_id(), b"",
            worker, 1.0, 60, True, 1, _NO_END,
        )  # fmt: skip

    await accept(turn)
    await scope.fetch(
        _COMPLETE, tenant, conversation, turn, worker, 1, "completed", "", [], None, None, new_id(), "assistant", b"",
        None, None, None, True, False, False, 0, [], [], [], 1.0, False,
    )  # fmt: skip
    await accept(new_id())


def _places(count: int) -> str:
    """`$1, $2 …`"""
    return ", ".join(f"${n}" for n in range(1, count + 1))


_ACCEPT = f"SELECT * FROM accept_message({_places(19)})"
_COMPLETE = f"SELECT * FROM complete_turn({_places(25)})"


def request_hash(incoming: Incoming) -> bytes:
    """Of everything that makes two requests the same. A session that the server chose is not part of it."""
    session = None if incoming.is_new else incoming.conversation_id
    parts = [incoming.contact, incoming.text, incoming.channel, incoming.context or {}, session]
    return hashlib.sha256(json.dumps(parts)).digest()

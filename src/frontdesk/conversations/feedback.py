"""What people say of decisions: that the right agent answered, or the wrong one and whose matter it was."""

import asyncio
from datetime import datetime
from enum import StrEnum
from typing import Any  # the stored decision is JSON
from uuid import UUID

import msgspec

from frontdesk.agents.definitions import DefinitionsCache
from frontdesk.agents.models import Tenant
from frontdesk.conversations.contact_names import contact_name
from frontdesk.conversations.models import Author
from frontdesk.conversations.sealed import Sealed
from frontdesk.core.clock import Clock
from frontdesk.core.errors import Conflict, ConversationNotFound, DatabaseUnavailable, FieldError, Invalid
from frontdesk.db import Database, TenantScope
from frontdesk.db.cipher import DecryptFailed
from frontdesk.events.log import PostgresLog
from frontdesk.events.wakeups import Wakeups
from frontdesk.telemetry.metrics import Metrics

# Of one decision: more people than this have nothing to add.
MOST_VERDICTS = 50
# How old the totals in `/metrics` may be; those given to this process count at once.
FRESH_S = 15.0
# A database that does not answer must not keep whoever reads `/metrics` from all the rest.
PATIENCE_S = 2.0
_MOST_TENANTS = 10_000


class Verdict(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"


class Judgement(msgspec.Struct, frozen=True):
    """One person's verdict on one decision. `agent`: whose matter it was, where a wrong one is judged."""

    author: str
    verdict: Verdict
    agent: str | None
    given_at: datetime


class Judged(msgspec.Struct, frozen=True):
    """A turn as those who learn from it read it. `decision` is the stored JSON; `text` what the contact wrote."""

    turn_id: UUID
    text: str
    stage: str | None
    agents: tuple[str, ...]
    decision: Any
    judgements: tuple[Judgement, ...]


class Feedback:
    """Keeps verdicts: one for each decision and author, the last one counts."""

    def __init__(
        self,
        db: Database,
        definitions: DefinitionsCache,
        events: PostgresLog,
        wakeups: Wakeups,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._db = db
        self._definitions = definitions
        self._events = events
        self._wakeups = wakeups
        self._metrics = metrics
        self._clock = clock
        self._counted_at: float | None = None

    async def give(
        self,
        tenant: Tenant,
        message_id: UUID,
        author: str,
        verdict: Verdict,
        agent: str | None,
        contact: str | None = None,
    ) -> Judgement:
        """On the decision behind a message, the contact's or the answer. The same again changes nothing.

        `contact`: of whose conversations alone; None for anybody's.

        Raises ConversationNotFound, Invalid (no such agent, or one beside `right`), Conflict (nothing decided yet).
        """
        if agent is not None:
            await self._check_agent(tenant, verdict, agent)
        async with self._db.scope(tenant.id) as scope:
            turn_id, conversation_id, is_decided = await _turn_of(scope, message_id, contact)
            if not is_decided:
                raise Conflict("This message has not been answered yet: there is no decision to judge.")
            known = await _judgement(scope, turn_id, author)
            if known is not None and (known.verdict, known.agent) == (verdict, agent):
                return known
            payload = {
                "conversation_id": conversation_id,
                "turn_id": turn_id,
                "message_id": message_id,
                "author": contact_name(tenant.id, author, tenant.settings.privacy.events),
                "verdict": verdict,
                "agent": agent,
            }
            await self._events.append(scope, "feedback", str(conversation_id), "feedback.given", payload)
            # Again, as nobody else has the conversation now: it may have been erased.
            await _turn_of(scope, message_id, contact)
            given = await _put(scope, turn_id, author, verdict, agent)
            if given is None:
                raise Conflict(f"{MOST_VERDICTS} people have judged this decision already.")
        self._told()
        return given

    async def withdraw(self, tenant: Tenant, message_id: UUID, author: str, contact: str | None = None) -> None:
        """Idempotent. `contact` as in `give`. Raises ConversationNotFound."""
        async with self._db.scope(tenant.id) as scope:
            turn_id, conversation_id, _ = await _turn_of(scope, message_id, contact)
            if await _judgement(scope, turn_id, author) is None:
                return
            who = contact_name(tenant.id, author, tenant.settings.privacy.events)
            payload = {"conversation_id": conversation_id, "turn_id": turn_id, "author": who}
            await self._events.append(scope, "feedback", str(conversation_id), "feedback.withdrawn", payload)
            await _remove(scope, turn_id, author)
        self._told()

    async def count(self) -> None:
        """Sets the gauges, from the database: the same after a restart and on every server. Keeps them while it is
        away."""
        now = self._clock.monotonic()
        if self._counted_at is not None and now - self._counted_at < FRESH_S:
            return
        self._counted_at = now
        query = "SELECT slug, verdict_right, verdict_wrong FROM feedback_totals($1)"
        try:
            async with asyncio.timeout(PATIENCE_S):
                rows = await self._db.call(query, _MOST_TENANTS)
        except (DatabaseUnavailable, TimeoutError):
            return
        self._metrics.feedback.clear()
        self._metrics.intent_accuracy.clear()
        for row in rows:
            right, wrong = row["verdict_right"], row["verdict_wrong"]
            self._metrics.feedback.labels(row["slug"], Verdict.RIGHT).set(right)
            self._metrics.feedback.labels(row["slug"], Verdict.WRONG).set(wrong)
            self._metrics.intent_accuracy.labels(row["slug"]).set(right / (right + wrong))

    async def _check_agent(self, tenant: Tenant, verdict: Verdict, agent: str) -> None:
        if verdict is Verdict.RIGHT:
            message = "is named only where the one that answered was wrong"
            raise Invalid(f"agent {message}.", errors=[FieldError("agent", message)])
        agents = (await self._definitions.at(tenant.id, tenant.version)).agents
        if agent not in agents:
            message = f"there is no agent {agent!r}; the agents are {', '.join(agents)}"
            raise Invalid(f"agent: {message}.", errors=[FieldError("agent", message)])

    def _told(self) -> None:
        self._counted_at = None
        self._wakeups.wake()


class Decisions:
    """Turns with their decisions and verdicts, for those who learn from them. Reads only."""

    def __init__(self, db: Database, sealed: Sealed) -> None:
        self._db = db
        self._sealed = sealed

    async def judged(self, tenant_id: UUID, most: int) -> list[Judged]:
        """Those that somebody has judged, the last judged first."""
        return await self._read(tenant_id, _JUDGED, most)

    async def recent(self, tenant_id: UUID, most: int) -> list[Judged]:
        """Those decided last, the last first."""
        return await self._read(tenant_id, _RECENT, most)

    async def _read(self, tenant_id: UUID, query: str, most: int) -> list[Judged]:
        async with self._db.scope(tenant_id) as scope:
            rows = await scope.fetch(query, tenant_id, most)
        read = (self._judged(tenant_id, row) for row in rows)
        return [judged for judged in read if judged is not None]

    def _judged(self, tenant_id: UUID, row: Any) -> Judged | None:
        """None for one that can't be opened any more, or was erased."""
        try:
            bodies = [self._sealed.open_body(tenant_id, body).content for body in row["bodies"] or ()]
            decision = self._sealed.open_json(tenant_id, row["decision"])
        except DecryptFailed:
            return None
        if not bodies or decision is None:
            return None
        judgements = zip(
            row["authors"] or (), row["verdicts"] or (), row["named"] or (), row["moments"] or (), strict=True
        )
        return Judged(
            turn_id=row["id"],
            text="\n".join(bodies),
            stage=row["stage"],
            agents=tuple(row["agents"] or ()),
            decision=decision,
            judgements=tuple(
                Judgement(author, Verdict(verdict), agent, at) for author, verdict, agent, at in judgements
            ),
        )


async def judgements_of(scope: TenantScope, turn_id: UUID) -> list[Judgement]:
    """Of one decision, the latest first."""
    query = """
        SELECT author, verdict, agent, given_at
          FROM feedback
         WHERE tenant_id = $1
           AND turn_id = $2
         ORDER BY given_at DESC
         LIMIT $3
    """
    rows = await scope.fetch(query, scope.tenant_id, turn_id, MOST_VERDICTS)
    return [_judgement_of(row) for row in rows]


async def _turn_of(scope: TenantScope, message_id: UUID, contact: str | None) -> tuple[UUID, UUID, bool]:
    """(turn, conversation, whether it has ended with a decision) of a message of the contact's or an answer.

    With `contact` another's message is not found.
    """
    query = """
        SELECT t.id, t.conversation_id, t.state NOT IN ('accepted', 'running') AND t.decision IS NOT NULL AS is_decided
          FROM messages AS m
          JOIN turns AS t ON t.tenant_id = m.tenant_id AND t.id = m.turn_id
          JOIN conversations AS c ON c.tenant_id = t.tenant_id AND c.id = t.conversation_id
         WHERE m.tenant_id = $1
           AND m.id = $2
           AND ($3::text IS NULL OR c.contact = $3)
    """
    row = await scope.fetchrow(query, scope.tenant_id, message_id, contact)
    if row is None:
        raise ConversationNotFound("There is no such message.")
    return row["id"], row["conversation_id"], row["is_decided"]


async def _judgement(scope: TenantScope, turn_id: UUID, author: str) -> Judgement | None:
    query = """
        SELECT author, verdict, agent, given_at
          FROM feedback
         WHERE tenant_id = $1
           AND turn_id = $2
           AND author = $3
    """
    row = await scope.fetchrow(query, scope.tenant_id, turn_id, author)
    return _judgement_of(row) if row is not None else None


async def _put(scope: TenantScope, turn_id: UUID, author: str, verdict: Verdict, agent: str | None) -> Judgement | None:
    """None when too many others have judged it."""
    query = """
        INSERT INTO feedback (tenant_id, turn_id, author, verdict, agent)
        SELECT $1, $2, $3, $4, $5
         WHERE (SELECT count(*)
                  FROM feedback
                 WHERE tenant_id = $1
                   AND turn_id = $2
                   AND author <> $3) < $6
            ON CONFLICT (tenant_id, turn_id, author) DO UPDATE
           SET verdict = excluded.verdict,
               agent = excluded.agent,
               given_at = now()
        RETURNING author, verdict, agent, given_at
    """
    row = await scope.fetchrow(query, scope.tenant_id, turn_id, author, verdict, agent, MOST_VERDICTS)
    return _judgement_of(row) if row is not None else None


async def _remove(scope: TenantScope, turn_id: UUID, author: str) -> None:
    query = "DELETE FROM feedback WHERE tenant_id = $1 AND turn_id = $2 AND author = $3"
    await scope.execute(query, scope.tenant_id, turn_id, author)


def _judgement_of(row: Any) -> Judgement:
    return Judgement(row["author"], Verdict(row["verdict"]), row["agent"], row["given_at"])


_WHAT = f"""
    SELECT t.id, t.stage, t.agents, t.decision, said.bodies, given.authors, given.verdicts, given.named, given.moments
      FROM turns AS t
      -- what the contact wrote in this turn
      CROSS JOIN LATERAL (
           SELECT array_agg(m.body ORDER BY m.seq) AS bodies
             FROM messages AS m
            WHERE m.tenant_id = t.tenant_id
              AND m.conversation_id = t.conversation_id
              AND m.seq = ANY (t.seqs)
              AND m.role = '{Author.CONTACT}') AS said
      -- and the verdicts on it
      CROSS JOIN LATERAL (
           SELECT array_agg(f.author ORDER BY f.author) AS authors, array_agg(f.verdict ORDER BY f.author) AS verdicts,
                  array_agg(f.agent ORDER BY f.author) AS named, array_agg(f.given_at ORDER BY f.author) AS moments
             FROM feedback AS f
            WHERE f.tenant_id = t.tenant_id
              AND f.turn_id = t.id) AS given
     WHERE t.tenant_id = $1
"""
_RECENT = f"""{_WHAT}
       AND t.decision IS NOT NULL
     ORDER BY t.id DESC
     LIMIT $2
"""
_JUDGED = f"""
    WITH latest AS (  -- verdicts by time, and of each decision its last
        SELECT f.turn_id, max(f.given_at) AS judged_at
          FROM (SELECT turn_id, given_at
                  FROM feedback
                 WHERE tenant_id = $1
                 ORDER BY given_at DESC
                 LIMIT $2) AS f
         GROUP BY f.turn_id)
    {_WHAT}
       AND t.id IN (SELECT turn_id FROM latest)
     ORDER BY (SELECT judged_at FROM latest WHERE turn_id = t.id) DESC
     LIMIT $2
"""

"""The lanes: turns run here, one at a time per conversation, under a lease that dies with the process."""

import asyncio
from collections import Counter, deque
from contextlib import suppress
from decimal import Decimal
from functools import partial
from uuid import UUID

import asyncpg
import msgspec
import structlog
from structlog.contextvars import bind_contextvars

from frontdesk.agents.definitions import DefinitionsCache
from frontdesk.agents.models import Tenant, TenantSettings
from frontdesk.conversations.answering import Answering, Draft, TurnLost
from frontdesk.conversations.contact_names import contact_name
from frontdesk.conversations.live import Live, Outcome, TurnLive
from frontdesk.conversations.models import Answer, Author, Failure, TurnInput, UsageOut
from frontdesk.conversations.sealed import Sealed
from frontdesk.conversations.store import Completed, ConversationStore, Ending
from frontdesk.core.clock import Clock
from frontdesk.core.errors import DatabaseUnavailable, TenantNotFound
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.events.wakeups import Wakeups
from frontdesk.llm.ledger import LedgerRow
from frontdesk.llm.store import insert_calls
from frontdesk.privacy.policy import Handling, PrivacySettings
from frontdesk.telemetry.metrics import Metrics

log = structlog.get_logger()

# How often a worker looks for turns whose worker died, when it has nothing else to do.
RECOVER_EVERY_S = 2.0
RECOVER_AT_ONCE = 16
OWED_AT_MOST = 10_000
RELEASE_WITHIN_S = 1.0
CAREFUL = PrivacySettings(events=Handling.REDACT)  # for a tenant whose own settings can't be read


class Worker:
    """Runs turns: those that accept claimed, those that waited in their lane, and those of workers that died."""

    def __init__(
        self,
        db: Database,
        store: ConversationStore,
        sealed: Sealed,
        definitions: DefinitionsCache,
        answering: Answering,
        live: Live,
        wakeups: Wakeups,
        metrics: Metrics,
        clock: Clock,
        *,
        worker_id: UUID,
        lease_s: float,
        deadline_s: float,
        attempts: int,
        concurrent: int,
    ) -> None:
        self._db = db
        self._store = store
        self._sealed = sealed
        self._definitions = definitions
        self._answering = answering
        self._live = live
        self._wakeups = wakeups
        self._metrics = metrics
        self._clock = clock
        self._worker_id = worker_id
        self._lease_s = lease_s
        self._deadline_s = deadline_s
        self._attempts = attempts
        self._concurrent = concurrent
        self._places = asyncio.Semaphore(concurrent)
        self._running: dict[UUID, asyncio.Task[None]] = {}
        self._of_tenant: Counter[UUID] = Counter()  # how many of them
        metrics.turns_running.set_function(lambda: len(self._running))
        self._is_open = True
        # Rows of the ledger that the database was not there for.
        self._owed: deque[tuple[UUID, LedgerRow]] = deque(maxlen=OWED_AT_MOST)
        self._paying = asyncio.Lock()

    def start(self, turn: TurnInput, is_heard: bool = False) -> bool:
        """Runs a turn that this worker has claimed. False when it is stopping: recovery takes the turn then."""
        if not self._is_open:
            return False
        live = self._live.begin(turn.turn_id, turn.attempt, is_heard=is_heard)
        task = asyncio.create_task(self._run_lane(turn, live), name=f"turn {turn.turn_id}")
        self._running[turn.turn_id] = task
        self._of_tenant[turn.tenant_id] += 1
        task.add_done_callback(partial(self._ended, turn.tenant_id, turn.turn_id))
        return True

    def turns_of(self, tenant_id: UUID) -> int:
        """How many of a tenant's turns run here, those that wait for a place among them."""
        return self._of_tenant[tenant_id]

    def _ended(self, tenant_id: UUID, turn_id: UUID, task: asyncio.Task[None]) -> None:
        self._of_tenant[tenant_id] -= 1
        if not self._of_tenant[tenant_id]:
            del self._of_tenant[tenant_id]
        if self._running.get(turn_id) is task:
            del self._running[turn_id]

    async def run(self) -> None:
        """Keeps leases and takes over abandoned turns. Until cancelled; `stop` comes first."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_leases())
            group.create_task(self._keep_paying())
            group.create_task(self._recover())

    async def stop(self, within_s: float) -> None:
        """Finishes what runs, as far as the time goes, and hands the rest over to other workers."""
        self._is_open = False
        if self._running:
            await asyncio.wait(set(self._running.values()), timeout=within_s)
        left = set(self._running.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        with suppress(DatabaseUnavailable, TimeoutError):
            async with asyncio.timeout(RELEASE_WITHIN_S):  # without it the leases run out by themselves
                await self._store.release(self._worker_id)

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            if not (held := list(self._running)):
                continue
            with suppress(DatabaseUnavailable):
                # A turn that is not ours any more is found out where it matters: before a side effect, and at its end.
                await self._store.extend(self._worker_id, held, self._lease_s)

    async def _keep_paying(self) -> None:
        """Beside the leases and not between them: after an hour without a database the ledger is long."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            await self._pay_owed()

    async def _recover(self) -> None:
        while True:
            try:
                room = min(RECOVER_AT_ONCE, self._concurrent - len(self._running)) if self._is_open else 0
                held = list(self._running)
                due = await self._store.claim_due(self._worker_id, self._lease_s, room, held) if room > 0 else []
            except DatabaseUnavailable:
                due = []
            for tenant_id, turn_id in due:
                self._metrics.turns_recovered.inc()
                await self._resume(tenant_id, turn_id)
            if len(due) < RECOVER_AT_ONCE:
                await asyncio.sleep(RECOVER_EVERY_S)

    async def _resume(self, tenant_id: UUID, turn_id: UUID) -> None:
        """Begins a turn that is claimed. One that can't be begun is left until its lease runs out."""
        try:
            tenant = await self._tenant(tenant_id, 0)
            settings = tenant.settings if tenant else TenantSettings()
            self.start(await self._store.turn_input(tenant_id, turn_id, settings.window_messages))
        except DatabaseUnavailable:
            log.warning("turn.postponed", turn_id=str(turn_id))
        except Exception:  # the edge of one turn: what is wrong with it must not keep others from being recovered
            log.exception("turn.unreadable", turn_id=str(turn_id))

    async def _tenant(self, tenant_id: UUID, version: int) -> Tenant | None:
        """None where its definitions can't be read: its turns end all the same, explicitly."""
        try:
            return (await self._definitions.at(tenant_id, version)).tenant
        except (TenantNotFound, msgspec.ValidationError):
            return None

    async def _run_lane(self, turn: TurnInput, live: TurnLive) -> None:
        """The turn, then whatever waited behind it in its conversation."""
        next_turn: UUID | None = None
        bind_contextvars(tenant_id=str(turn.tenant_id))  # for whatever is logged on the way; the lane is a task
        try:
            async with self._places:
                next_turn = await self._run(turn, live)
        except DatabaseUnavailable:
            # Nothing can be said without it. The lease runs out, and whoever is there then resumes.
            log.warning("turn.postponed", turn_id=str(turn.turn_id))
        except TurnLost:
            log.warning("turn.lost", turn_id=str(turn.turn_id), attempt=turn.attempt)
        except Exception:  # the edge of a lane: the lease runs out and recovery tries again, a bounded number of times
            log.exception("turn.broken", turn_id=str(turn.turn_id), correlation_id=turn.correlation_id)
        finally:
            if not live.is_over:
                self._live.end(turn.turn_id, live, None)
        if next_turn is not None:
            await self._resume(turn.tenant_id, next_turn)

    async def _run(self, turn: TurnInput, live: TurnLive) -> UUID | None:
        """Answers the turn and completes it; the lane's next turn, if one waited."""
        rows: list[LedgerRow] = []
        begun = self._clock.monotonic()
        try:
            draft = await self._draft(turn, live, rows)
        except (TurnLost, DatabaseUnavailable, asyncio.CancelledError):
            await self._keep_rows(turn, rows)
            raise
        # The clock may have been set back since.
        duration_ms = max(0, int((self._clock.now() - turn.accepted_at).total_seconds() * 1000))
        tenant = await self._tenant(turn.tenant_id, turn.version)
        slug = tenant.slug if tenant else "unknown"
        privacy = tenant.settings.privacy if tenant else CAREFUL
        who = contact_name(turn.tenant_id, turn.contact, privacy.logs)
        try:
            return await self._complete(turn, live, slug, who, privacy.events, draft, rows, duration_ms, begun)
        except TurnLost:
            raise
        except (DatabaseUnavailable, asyncio.CancelledError):  # kept or not, nobody knows: twice is as once
            await self._keep_rows(turn, rows)
            raise
        except Exception:  # an answer that can't be kept would be made again and again: its turn ends without one
            log.exception("turn.unkeepable", turn_id=str(turn.turn_id), correlation_id=turn.correlation_id)
        await self._keep_rows(turn, rows)
        failed = self._answering.failed("INTERNAL")
        return await self._complete(turn, live, slug, who, privacy.events, failed, [], duration_ms, begun)

    async def _draft(self, turn: TurnInput, live: TurnLive, rows: list[LedgerRow]) -> Draft:
        if turn.attempt - turn.handovers > self._attempts:
            # It took its workers down with it, or stalled them: once more would be once too often.
            return self._answering.failed("TURN_ABANDONED")
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                return await self._answering.draft(turn, live, rows, self._worker_id)
        except (DatabaseUnavailable, TurnLost):
            raise
        except Exception:
            if deadline.expired():
                return self._answering.failed("TURN_TIMEOUT")
            log.exception("turn.failed", turn_id=str(turn.turn_id), correlation_id=turn.correlation_id)
            return self._answering.failed("INTERNAL")

    async def _keep_rows(self, turn: TurnInput, rows: list[LedgerRow]) -> None:
        """What was spent is written down also when the turn goes to another worker; later, when it can't be now."""
        self._owed.extend((turn.tenant_id, row) for row in rows)
        await self._pay_owed()

    async def _pay_owed(self) -> None:
        with suppress(DatabaseUnavailable):
            async with self._paying:  # turns end together, and the first row is one row
                while self._owed:
                    tenant_id, row = self._owed[0]
                    try:
                        async with self._db.scope(tenant_id) as scope:
                            await insert_calls(scope, [row])
                    except asyncpg.DataError as error:  # one that can't be written must not keep the others waiting
                        log.error("ledger.unwritable", tenant_id=str(tenant_id), error=type(error).__name__)
                    self._owed.popleft()

    async def _complete(
        self,
        turn: TurnInput,
        live: TurnLive,
        tenant: str,
        who: str,
        events_handling: Handling,
        draft: Draft,
        rows: list[LedgerRow],
        duration_ms: int,
        begun: float,
    ) -> UUID | None:
        answer = Answer(
            session_id=turn.conversation_id,
            message_id=new_id(),
            seq=0,
            correlation_id=turn.correlation_id,
            text=draft.text,
            agents=draft.agents,
            intents=draft.intents,
            routing=draft.routing,
            emergency=draft.emergency,
            escalated=draft.escalated,
            needs=draft.needs,
            citations=draft.citations,
            tools=draft.tools,
            source=draft.source,
            degraded=draft.degraded,
            usage=usage_of(rows),
            state=draft.state,
            duration_ms=duration_ms,
            in_reply_to=turn.covers,
        )
        ending = self._ending(turn, draft, answer, rows, duration_ms, events_handling)
        done = await self._persist(turn, ending, begun)
        if done.outcome == "lost":
            await self._keep_rows(turn, rows)
            raise TurnLost
        outcome: Outcome
        if done.outcome == "completed" and draft.error_code is None:
            outcome = msgspec.structs.replace(answer, seq=done.seq)
        elif done.outcome == "completed":
            outcome = Failure(draft.error_code or "", draft.text, turn.correlation_id, turn.covers)
        else:
            outcome = Failure(
                "HANDED_OFF", "This conversation is no longer the agent's.", turn.correlation_id, turn.covers
            )
        self._live.end(turn.turn_id, live, outcome)
        self._wakeups.wake()
        self._metrics.turns.labels(tenant, draft.state if done.outcome == "completed" else done.outcome).inc()
        self._metrics.turn_seconds.labels(tenant).observe(duration_ms / 1000)
        self._metrics.stages.labels(tenant, draft.routing.stage).inc()
        log.info(
            "turn.ended",
            tenant=tenant,
            turn_id=str(turn.turn_id),
            session_id=str(turn.conversation_id),
            user=who,
            intent=draft.intents[0].name if draft.intents else None,
            correlation_id=turn.correlation_id,
            state=draft.state,
            stage=draft.routing.stage,
            agents=list(draft.agents),
            source=draft.source,
            attempt=turn.attempt,
            duration_ms=duration_ms,
            error_code=draft.error_code,
        )
        return done.next_turn

    def _ending(
        self,
        turn: TurnInput,
        draft: Draft,
        answer: Answer,
        rows: list[LedgerRow],
        duration_ms: int,
        events_handling: Handling,
    ) -> Ending:
        tenant_id = turn.tenant_id
        if draft.error_code is None:
            author = Author.AGENT
            body = self._sealed.body(tenant_id, draft.text, metadata_of(answer))
            type_ = "turn.completed"
        else:
            author = Author.SYSTEM
            failure = {"failed": draft.error_code, "correlation_id": turn.correlation_id}
            body = self._sealed.body(tenant_id, draft.text, failure)
            type_ = "turn.failed"
        payload = {
            "conversation_id": turn.conversation_id,
            "turn_id": turn.turn_id,
            "state": draft.state,
            "agents": draft.agents,
            "in_reply_to": turn.covers,
        }
        events = [("turns", type_, self._sealed.json(tenant_id, payload))]
        if draft.escalated:
            # A reason may quote the contact.
            why = draft.routing.reason if events_handling is Handling.PASS else draft.routing.stage
            reason = {"conversation_id": turn.conversation_id, "reason": why}
            events.append(("handoff", "escalation.requested", self._sealed.json(tenant_id, reason)))
        return Ending(
            state=draft.state,
            stage=draft.routing.stage,
            agents=draft.agents,
            decision=draft.decision,
            error_code=draft.error_code,
            message_id=answer.message_id,
            author=author,
            body=body,
            agent=draft.agents[-1] if draft.agents else None,
            intent=draft.intents[0].name if draft.intents else None,
            pending=draft.pending,
            emergency=draft.emergency,
            escalated=draft.escalated,
            answer_ms=duration_ms,
            steps=draft.steps,
            calls=tuple(rows),
            events=tuple(events),
        )

    async def _persist(self, turn: TurnInput, ending: Ending, begun: float) -> Completed:
        """Tries again while the database is away: the answer is there, it only has to be kept."""
        pause_s = 0.1
        lease_s = self._lease_s if self._is_open else 0.0  # a worker that stops takes nothing more
        while True:
            try:
                return await self._store.complete(turn, self._worker_id, ending, lease_s)
            except DatabaseUnavailable:
                if self._clock.monotonic() - begun > self._deadline_s:
                    raise
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 2.0)


def usage_of(rows: list[LedgerRow]) -> UsageOut:
    cost = sum([row.cost_usd for row in rows if row.cost_usd], Decimal(0))
    return UsageOut(
        input_tokens=sum([row.input_tokens for row in rows]),
        cached_tokens=sum([row.cached_tokens for row in rows]),
        output_tokens=sum([row.output_tokens for row in rows]),
        reasoning_tokens=sum([row.reasoning_tokens for row in rows]),
        cost_usd=format(cost.normalize() if cost else Decimal(0), "f"),
        llm_calls=len(rows),
    )


def metadata_of(answer: Answer) -> dict[str, object]:
    """What is stored beside the answer's text; the row itself says the rest."""
    fields: dict[str, object] = msgspec.to_builtins(answer)
    for known in ("text", "seq", "message_id", "in_reply_to"):
        del fields[known]
    return fields

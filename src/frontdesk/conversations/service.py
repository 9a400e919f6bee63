"""Conversations as channels see them: accept a message, follow its turn to the end, read and clear sessions."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext, suppress
from datetime import datetime
from time import time
from typing import Any  # context is the caller's JSON
from uuid import UUID

import msgspec
import structlog

from frontdesk.agents.models import Step, Tenant
from frontdesk.audit import contact_target
from frontdesk.conversations.contact_names import contact_name
from frontdesk.conversations.elsewhere import Echo, Elsewhere
from frontdesk.conversations.feedback import Judgement, judgements_of
from frontdesk.conversations.live import Happening, Live, Outcome, happenings_of
from frontdesk.conversations.models import (
    Accepted,
    Answer,
    Author,
    Failure,
    Incoming,
    Message,
    Session,
    TurnInput,
    TurnRecord,
)
from frontdesk.conversations.store import ConversationStore, Told
from frontdesk.core.errors import (
    AnswerLate,
    BudgetUsedUp,
    ConversationNotFound,
    DatabaseUnavailable,
    RateLimited,
    ShuttingDown,
    TurnFailed,
)
from frontdesk.db import Database, TenantScope
from frontdesk.db.reads import Reads
from frontdesk.llm.types import Restart
from frontdesk.privacy.detector import Detector
from frontdesk.privacy.policy import PrivacySettings
from frontdesk.privacy.redactor import WITHHELD, Redaction, Text
from frontdesk.supervisor.explaining import StageSeen, decision_of, stages_of
from frontdesk.telemetry.metrics import Metrics

log = structlog.get_logger()

HEARTBEAT_S = 15.0
# Where a turn runs elsewhere, its end is announced; this is how long a lost announcement delays.
LOOK_EVERY_S = 2.0
MINUTE_S = 60.0


class Place(msgspec.Struct, frozen=True):
    """Where a client is in the stream of its message: `number` happenings of `attempt` seen, or the end."""

    seq: int
    attempt: int
    number: int
    ended: bool = False


class Said(msgspec.Struct, frozen=True):
    """Happenings in order; `place` is behind the last of them."""

    place: Place
    happenings: Sequence[Happening]


class Explanation(msgspec.Struct, frozen=True):
    """A turn as it was decided and run: what was said, every stage, every step, and what people say of it."""

    turn: TurnRecord
    messages: tuple[Message, ...]  # the contact's that it covers, then what came of it
    stages: tuple[StageSeen, ...]
    steps: tuple[Step, ...]
    judgements: tuple[Judgement, ...]


class Conversations:
    """Accepts messages and tells how their turns go."""

    def __init__(
        self,
        db: Database,
        store: ConversationStore,
        live: Live,
        metrics: Metrics,
        *,
        worker: UUID,
        lease_s: float,
        start: Callable[[TurnInput, bool], bool],
        wake: Callable[[], None],
        patience_s: float,
        detector: Detector,
        reads: Reads,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """`start` runs a claimed turn in this process and says whether it took it (the flag: somebody hears it as it
        is written); `wake` tells readers of the log.

        `patience_s`: how long a plain request waits for its answer. `elsewhere`: what other processes' turns say; None
        where there are none.
        """
        self._db = db
        self._store = store
        self._live = live
        self._metrics = metrics
        self._detector = detector
        self._worker = worker
        self._lease_s = lease_s
        self._start = start
        self._wake = wake
        self._patience_s = patience_s
        self._reads = reads
        self._elsewhere = elsewhere
        self.is_open = True

    async def accept(self, tenant: Tenant, incoming: Incoming, correlation_id: str, *, hears: bool = False) -> Accepted:
        """Keeps the message and sets its turn going. When this returns, it will be answered or ended explicitly.

        `hears`: the caller will follow the turn as it is written.

        Raises ConversationNotFound, SessionExpired, IdempotencyConflict, QuotaReached, DatabaseUnavailable,
        ShuttingDown.
        """
        if not self.is_open:
            raise ShuttingDown("The server is stopping. Send the message again.", retry_after=2)
        settings = tenant.settings
        accepted = await self._store.accept(
            tenant.id,
            incoming,
            correlation_id,
            worker=self._worker,
            lease_s=self._lease_s,
            ttl_s=settings.session_ttl_s,
            join=settings.join_bursts,
            window=settings.window_messages,
            most=settings.limits.conversation_messages,
            told=self._told(tenant.id, settings.privacy, incoming),
        )
        if not accepted.repeated:
            self._metrics.messages.labels(tenant.slug).inc()
            if accepted.claimed is not None:
                self._start(accepted.claimed, hears)
            self._wake()
        return accepted

    def _told(self, tenant_id: UUID, privacy: PrivacySettings, incoming: Incoming) -> Told | None:
        """What the log of events is told of a message; None for the message itself."""
        hides = privacy.hidden_from(privacy.events)
        if not hides:
            return None
        try:
            content = Redaction(self._detector, hides, for_good=True).hide([Text(incoming.text)])[0]
            return Told(contact_name(tenant_id, incoming.contact, privacy.events), content)
        except Exception as error:  # noqa: BLE001 - an edge: whatever is wrong with the search, it is kept and not told
            log.error("privacy.failed", error=type(error).__name__)
            return Told(contact_target(tenant_id, incoming.contact), WITHHELD)

    async def outcome(self, tenant_id: UUID, conversation_id: UUID, turn_id: UUID) -> Answer:
        """Waits for the turn's answer. Raises TurnFailed with its code when it ended without one, AnswerLate."""
        try:
            async with asyncio.timeout(self._patience_s):
                if (running := self._live.get(turn_id)) is not None:
                    await running.over()
                    if running.outcome is not None:
                        return answered(running.outcome)
                async with aclosing(self.follow(tenant_id, conversation_id, turn_id, None)) as happenings:
                    async for happening in happenings:
                        if isinstance(happening, Answer | Failure):
                            return answered(happening)
        except TimeoutError:
            raise AnswerLate("The message is kept; its answer comes later, by stream or history.") from None
        raise TurnFailed("The turn ended without an answer.")  # pragma: no cover - follow ends with an outcome

    async def follow(
        self, tenant_id: UUID, conversation_id: UUID, turn_id: UUID, place: Place | None
    ) -> AsyncGenerator[Said | Outcome | None, None]:
        """What happens in a turn from `place` on, the outcome last; without a place the outcome alone. None is a moment
        for a heartbeat.

        Where the turn was begun again (another attempt, another process), Restart comes first: what was said before
        is void.
        """
        if self._elsewhere is None or place is None:
            echoing: AbstractContextManager[Echo] = nullcontext(Echo())
        else:
            echoing = self._elsewhere.listening(turn_id)
        with echoing as echo:
            async with aclosing(self._followed(tenant_id, conversation_id, turn_id, place, echo)) as follows:
                async for follow in follows:
                    yield follow

    async def _followed(
        self, tenant_id: UUID, conversation_id: UUID, turn_id: UUID, place: Place | None, echo: Echo
    ) -> AsyncGenerator[Said | Outcome | None, None]:
        seen_attempt = place.attempt if place else None
        seen = place.number if place else 0
        seq = place.seq if place else 0
        quiet_s = 0.0
        is_told = False  # of more, a moment ago: then it has not ended
        while True:
            with self._live.watch(turn_id, conversation_id, hears=place is not None) as touched:
                running = self._live.get(turn_id)
                if running is not None:
                    if seen_attempt not in (None, running.attempt) and seen > 0:
                        yield Said(Place(seq, running.attempt, 0), (Restart(),))
                        seen = 0
                    seen_attempt = running.attempt
                    if place is None:
                        await running.over()
                    else:
                        async for happenings in happenings_of(running, seen, HEARTBEAT_S):
                            seen += len(happenings)
                            yield Said(Place(seq, running.attempt, seen), happenings) if happenings else None
                    if running.outcome is not None:
                        yield running.outcome
                        return
                    seen_attempt = -1  # gone to another worker: its attempt is another
                elif echo.attempt is not None:
                    if seen_attempt not in (None, echo.attempt) and seen > 0:
                        yield Said(Place(seq, echo.attempt, 0), (Restart(),))
                        seen = 0
                    seen_attempt = echo.attempt
                    if said := echo.happenings[seen:]:
                        seen += len(said)
                        is_told, quiet_s = True, 0.0
                        yield Said(Place(seq, echo.attempt, seen), said)
                        continue
                elif self._elsewhere is not None and place is not None:
                    await self._elsewhere.ask(tenant_id, turn_id)
                if not is_told or echo.is_over:
                    outcome = await self._ended(tenant_id, turn_id)
                    if outcome is not None:
                        yield outcome
                        return
                is_told = False
                try:
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await touched.wait()
                    quiet_s = 0.0
                except TimeoutError:
                    quiet_s += LOOK_EVERY_S
                    if quiet_s >= HEARTBEAT_S:
                        quiet_s = 0.0
                        yield None

    async def _ended(self, tenant_id: UUID, turn_id: UUID) -> Outcome | None:
        """None while it has not, or while the database is away: the message is kept, so waiting is worth it."""
        try:
            async with self._db.scope(tenant_id) as scope:
                ended = await self._store.ended(scope, turn_id)
        except DatabaseUnavailable:
            return None
        if ended is None:
            return None
        state, message = ended
        if message is None:
            detail = "A person has taken over this conversation." if state == "handed_off" else "The turn ended."
            return Failure("HANDED_OFF" if state == "handed_off" else "TURN_FAILED", detail, "")
        return outcome_of(message)

    async def place_in(
        self, tenant_id: UUID, conversation_id: UUID, place: Place | None, contact: str | None = None
    ) -> tuple[UUID, Place] | None:
        """The turn to follow for a client at `place` (None: of the last message); None when nothing comes any more.

        Here and below: with a `contact`, another's conversation is not found.
        """
        if place is not None and place.ended:
            return None
        async with self._db.scope(tenant_id) as scope:
            await self._session(scope, conversation_id, contact)
            found = await self._store.turn_of(scope, conversation_id, place.seq if place else None)
        if found is None:
            return None
        turn_id, attempt, seq = found
        return turn_id, place or Place(seq, attempt, 0)

    async def create(
        self, tenant: Tenant, conversation_id: UUID, contact: str, channel: str, context: dict[str, Any] | None
    ) -> Session:
        """A session before its first message; the same again for the same id. Raises ConversationNotFound."""
        if not await self._store.create(tenant.id, conversation_id, contact, channel, context):
            raise ConversationNotFound("There is no such session for this user.")
        async with self._db.scope(tenant.id) as scope:
            return await self._store.session(scope, conversation_id)

    async def session(
        self, tenant_id: UUID, conversation_id: UUID, contact: str | None = None, *, limit: int = 200
    ) -> tuple[Session, list[Message]]:
        """The session and its messages, the first `limit`."""
        return await self.history(tenant_id, conversation_id, 0, limit, contact)

    async def history(
        self, tenant_id: UUID, conversation_id: UUID, after: int, limit: int, contact: str | None = None
    ) -> tuple[Session, list[Message]]:
        async with self._db.scope(tenant_id) as scope:
            session = await self._session(scope, conversation_id, contact)
            return session, await self._store.messages_after(scope, conversation_id, after, limit)

    async def sessions_of(self, tenant_id: UUID, contact: str, before: datetime | None, limit: int) -> list[Session]:
        """The last active first. A session of this moment may be missing where a replica is read."""
        return await self._reads.read(tenant_id, lambda scope: self._store.sessions_of(scope, contact, before, limit))

    async def explanation(self, tenant_id: UUID, message_id: UUID) -> Explanation:
        """How the turn of a message came to its answer. Raises ConversationNotFound."""
        async with self._db.scope(tenant_id) as scope:
            turn = await self._store.turn_record(scope, message_id)
            return Explanation(
                turn,
                messages=tuple(await self._store.messages_of(scope, turn)),
                stages=stages_of(decision_of(turn.decision)),
                steps=tuple(await self._store.steps(scope, turn.turn_id)),
                judgements=tuple(await judgements_of(scope, turn.turn_id)),
            )

    async def clear(self, tenant_id: UUID, conversation_id: UUID, contact: str | None = None) -> None:
        """Erases the session's content. Idempotent: one that is not there, or another's, is as one that was erased."""
        if contact is not None:
            try:
                async with self._db.scope(tenant_id) as scope:
                    await self._session(scope, conversation_id, contact)
            except ConversationNotFound:
                return
        if await self._store.clear(tenant_id, conversation_id):
            self._wake()

    async def _session(self, scope: TenantScope, conversation_id: UUID, contact: str | None) -> Session:
        """Raises ConversationNotFound."""
        session = await self._store.session(scope, conversation_id)
        if contact not in (None, session.contact):
            raise ConversationNotFound("There is no such session.")
        return session


def outcome_of(message: Message) -> Outcome:
    """The outcome of a turn from the message that it left."""
    metadata = message.body.metadata
    if message.author is Author.SYSTEM and "failed" in metadata:
        return Failure(
            metadata["failed"], message.body.content, metadata.get("correlation_id", ""), message.in_reply_to
        )
    with suppress(msgspec.ValidationError):
        return msgspec.convert(
            metadata
            | {
                "text": message.body.content,
                "seq": message.seq,
                "message_id": str(message.message_id),
                "in_reply_to": list(message.in_reply_to),
            },
            Answer,
        )
    return Failure("DAMAGED", "The stored answer can't be read any more.", "", message.in_reply_to)


def answered(outcome: Outcome) -> Answer:
    """What a plain request ends with. Raises BudgetUsedUp, RateLimited, else TurnFailed with the failure's code."""
    if isinstance(outcome, Answer):
        return outcome
    match outcome.error_code:
        case BudgetUsedUp.error_code:
            # The day's or the month's: whoever asks when the day is over learns whether it was the month's.
            raise BudgetUsedUp(outcome.detail, retry_after=_until_midnight_s())
        case RateLimited.error_code:
            raise RateLimited(outcome.detail, retry_after=MINUTE_S)
    error = TurnFailed(outcome.detail)
    error.error_code = outcome.error_code
    raise error


def _until_midnight_s() -> float:
    return 86_400 - time() % 86_400

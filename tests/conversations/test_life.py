"""One conversation's life in random order, against a reference that is a list.

Accepted, joined, run, crashed, recovered, taken over, expired, cleared, resumed: the database is real, and the workers
are believers that may be wrong.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from prometheus_client import CollectorRegistry
from tests.conftest import HANG_S, as_application, make_tenant

from frontdesk.agents.models import Step
from frontdesk.conversations.live import Live
from frontdesk.conversations.models import Accepted, Answer, Author, Failure, Incoming, TurnInput
from frontdesk.conversations.sealed import Sealed
from frontdesk.conversations.service import Conversations, Place
from frontdesk.conversations.store import ConversationStore, Ending
from frontdesk.core.errors import ConversationNotFound, IdempotencyConflict, SessionExpired
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.db.reads import Reads
from frontdesk.privacy.detector import Detector
from frontdesk.privacy.tagger import Tagger
from frontdesk.telemetry.metrics import Metrics

T = TypeVar("T")

WORKERS = (new_id(), new_id())
LEASE_S = 3600.0
TTL_S = 3600
WINDOW = 3
MOST_JOINED = 20
SEALED = Sealed(Cipher([bytes(32)]))

workers = st.sampled_from(WORKERS)
contacts = st.sampled_from(["ann", "ann", "ann", "eve"])
texts = st.sampled_from(["hello", "and?", "über 🙂"])
keys = st.sampled_from([None, None, None, "k1", "k2"])


@dataclass
class Turn:
    """The reference's turn: what it covers, who runs it, how often it was taken."""

    id: UUID
    covers: list[int]
    epoch: int
    state: str = "accepted"
    worker: UUID | None = None
    attempt: int = 0
    is_due: bool = False  # its lease has run out
    steps: dict[int, str] = field(default_factory=dict)

    def is_held(self, worker: UUID, attempt: int) -> bool:
        return (self.state, self.worker, self.attempt) == ("running", worker, attempt)


@dataclass
class Entry:
    """A message as history must show it."""

    author: Author
    text: str
    turn: Turn
    in_reply_to: tuple[int, ...] = ()


@dataclass
class Reference:
    """What must be so, without a database. `said` is numbered by its places: 1, 2, 3 …"""

    contact: str | None = None
    state: str = "created"
    is_idle: bool = False
    epoch: int = 1
    said: list[Entry] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    held: list[tuple[UUID, TurnInput]] = field(default_factory=list)  # what workers believe they run, also wrongly
    kept: dict[str, tuple[tuple[str, str], Accepted]] = field(default_factory=dict)  # by idempotency key
    events: Counter[str] = field(default_factory=Counter)

    @property
    def open(self) -> list[Turn]:
        return [turn for turn in self.turns if turn.state in ("accepted", "running")]

    @property
    def waiting(self) -> list[Turn]:
        return [turn for turn in self.turns if turn.state == "accepted"]

    @property
    def is_alive(self) -> bool:
        return self.contact is not None and self.state in ("created", "active", "waiting")

    def turn(self, turn_id: UUID) -> Turn:
        return next(turn for turn in self.turns if turn.id == turn_id)

    def window(self, turn: Turn | None) -> list[tuple[int, str]]:
        """The last messages; of a turn that was not claimed at once, none of the contact's behind it."""
        numbered = [
            (seq, entry.text)
            for seq, entry in enumerate(self.said, 1)
            if turn is None or seq <= turn.covers[-1] or entry.author is not Author.CONTACT
        ]
        return numbered[-(WINDOW + (len(turn.covers) if turn else 1)) :]


class Life(RuleBasedStateMachine):
    """The rules; after each the database must be as the reference says."""

    urls: ClassVar[tuple[str, str]]  # the owner's and the application's

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.conversation = new_id()
        self.reference = Reference()
        self.owner, self.db, self.tenant_id = self.run(self._open())
        self.store = ConversationStore(self.db, SEALED)
        self.conversations = Conversations(
            self.db, self.store, Live(), Metrics(CollectorRegistry()), worker=WORKERS[0], lease_s=LEASE_S,
            start=lambda _turn, _heard: True, wake=lambda: None, patience_s=1, detector=Detector(Tagger.load()),
            reads=Reads(self.db, None, lambda _source: None),
        )  # fmt: skip

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _open(self) -> tuple[Any, Database, UUID]:
        owner = await asyncpg.connect(self.urls[0])
        await owner.execute("DELETE FROM turns")  # an earlier example's, whose lanes are not ours
        db = await Database.connect(self.urls[1], max_connections=2)
        return owner, db, await make_tenant(db, f"t{self.conversation.hex}")

    def teardown(self) -> None:
        try:
            self._finish()
        finally:
            self.run(self.owner.close())
            self.run(self.db.close())
            self.runner.close()

    def _finish(self) -> None:
        """Whoever is left finishes the work: then each of the contact's messages is covered exactly once."""
        while self.reference.open:
            self.lapse()
            self.recover(WORKERS[0])
            self.end(-1, "completed", True)
            self.the_database_is_as_the_reference_says()
        replies = [seq for entry in self.reference.said for seq in entry.in_reply_to]
        handed = [seq for turn in self.reference.turns if turn.state == "handed_off" for seq in turn.covers]
        users = [seq for seq, entry in enumerate(self.reference.said, 1) if entry.author is Author.CONTACT]
        assert sorted(replies + handed if users else replies) == users

    @initialize(beforehand=st.booleans())
    def begin(self, beforehand: bool) -> None:
        if beforehand:
            assert self.run(self.store.create(self.tenant_id, self.conversation, "ann", "api", None))
            self.reference.contact = "ann"

    @rule(text=texts, contact=contacts, key=keys, join=st.booleans(), worker=workers)
    def accept(self, text: str, contact: str, key: str | None, join: bool, worker: UUID) -> None:
        reference = self.reference
        incoming = Incoming(contact, text, self.conversation, idempotency_key=key)
        work = self.store.accept(
            self.tenant_id, incoming, "test", worker=worker, lease_s=LEASE_S, ttl_s=TTL_S, join=join, window=WINDOW
        )
        if key in reference.kept:
            said, first = reference.kept[key]
            if said != (contact, text):
                self.refused(work, IdempotencyConflict)
            else:
                again = self.run(work)
                assert (again.message_id, again.seq, again.turn_id) == (first.message_id, first.seq, first.turn_id)
                assert again.repeated
                assert again.claimed is None
        elif reference.contact not in (None, contact):
            self.refused(work, ConversationNotFound)
        elif reference.contact is not None and (not reference.is_alive or reference.is_idle):
            self.refused(work, SessionExpired)
            self._now_expired()
        else:
            self._accepted(self.run(work), incoming, join, worker)

    @rule(count=st.integers(2, 24), worker=workers)
    def burst(self, count: int, worker: UUID) -> None:
        for number in range(count):
            self.accept(f"message {number}", "ann", None, True, worker)

    def refused(self, work: Coroutine[Any, Any, Any], error: type[Exception]) -> None:
        with pytest.raises(error):
            self.run(work)

    def _now_expired(self) -> bool:
        """What looks whether the time is over marks it, unless somebody waits for an answer."""
        reference = self.reference
        if not (reference.is_alive and reference.is_idle and not reference.open):
            return False
        reference.state = "expired"
        reference.events["conversation.expired"] += 1
        return True

    def _accepted(self, accepted: Accepted, incoming: Incoming, join: bool, worker: UUID) -> None:
        reference = self.reference
        waiting, was_free = reference.waiting, not reference.open
        if join and waiting and len(waiting[-1].covers) < MOST_JOINED:
            turn = waiting[-1]
            assert accepted.turn_id == turn.id
        else:
            turn = Turn(accepted.turn_id, [], reference.epoch)
            reference.turns.append(turn)
        reference.said.append(Entry(Author.CONTACT, incoming.text, turn))
        seq = len(reference.said)
        turn.covers.append(seq)
        assert (accepted.seq, accepted.repeated) == (seq, False)
        assert (accepted.claimed is not None) == was_free
        if accepted.claimed is not None:
            turn.state, turn.worker, turn.attempt = "running", worker, 1
            assert [(spoken.seq, spoken.text) for spoken in accepted.claimed.window] == reference.window(None)
            reference.held.append((worker, accepted.claimed))
        if incoming.idempotency_key is not None:
            reference.kept[incoming.idempotency_key] = ((incoming.contact, incoming.text), accepted)
        reference.contact, reference.state, reference.is_idle = incoming.contact, "active", False
        reference.events["message.accepted"] += 1

    @precondition(lambda self: self.reference.held)
    @rule(place=st.integers(0, 9), number=st.integers(1, 3), status=st.sampled_from(["started", "ok"]))
    def record(self, place: int, number: int, status: str) -> None:
        """A side effect, before or after it was done: only of whoever really runs the turn."""
        worker, believed = self.reference.held[place % len(self.reference.held)]
        turn = self.reference.turn(believed.turn_id)
        step = Step(number, "clerk", "tool", "write", status, {"n": number}, None, 1, f"{turn.id}{number}")
        held = self.run(self.store.record_step(believed, worker, step))
        assert held == turn.is_held(worker, believed.attempt)
        if held:
            turn.steps[number] = status

    @precondition(lambda self: self.reference.held)
    @rule(place=st.integers(0, 9), state=st.sampled_from(["completed", "waiting", "failed"]), takes_next=st.booleans())
    def end(self, place: int, state: str, takes_next: bool) -> None:
        """One of those that believe to run a turn ends it; only the one that really holds it may."""
        reference = self.reference
        worker, believed = reference.held.pop(place % len(reference.held))
        turn = reference.turn(believed.turn_id)
        text = f"{state} {believed.covers}"
        ending = self._ending(state, text)
        done = self.run(self.store.complete(believed, worker, ending, LEASE_S if takes_next else 0.0))
        if not turn.is_held(worker, believed.attempt):
            assert done.outcome == "lost"
            return
        turn.worker = None
        if turn.epoch != reference.epoch:
            assert (done.outcome, done.seq) == ("overtaken", None)
            turn.state = "handed_off"
            reference.events["turn.handed_off"] += 1
        else:
            reference.said.append(Entry(ending.author, text, turn, tuple(turn.covers)))
            assert (done.outcome, done.seq) == ("completed", len(reference.said))
            turn.state, reference.is_idle = state, False
            reference.state = "waiting" if state == "waiting" else "active"
            reference.events["turn.completed"] += 1
        following = next(iter(reference.waiting), None)
        assert done.next_turn == (following.id if following and takes_next else None)
        if following and takes_next:
            self._taken(following, worker)

    def _ending(self, state: str, text: str) -> Ending:
        metadata: dict[str, Any] = {"session_id": str(self.conversation), "correlation_id": "test", "state": state}
        if state == "failed":
            metadata = {"failed": "TURN_FAILED", "correlation_id": "test"}
        return Ending(
            state=state, stage="default", agents=(), decision=None, error_code=None, message_id=new_id(),
            author=Author.SYSTEM if state == "failed" else Author.AGENT,
            body=SEALED.body(self.tenant_id, text, metadata), agent=None, intent=None, pending=None, emergency=False,
            escalated=False, answer_ms=1, steps=(), calls=(),
            events=(("turns", "turn.completed", SEALED.json(self.tenant_id, {})),),
        )  # fmt: skip

    def _taken(self, turn: Turn, worker: UUID) -> None:
        turn.state, turn.worker, turn.is_due = "running", worker, False
        turn.attempt += 1
        found = self.run(self.store.turn_input(self.tenant_id, turn.id, WINDOW))
        assert (found.covers, found.attempt, found.contact) == (
            tuple(turn.covers),
            turn.attempt,
            self.reference.contact,
        )
        assert [(spoken.seq, spoken.text) for spoken in found.window] == self.reference.window(turn)
        self.reference.held.append((worker, found))

    @rule(worker=workers)
    def crash(self, worker: UUID) -> None:
        """What it believed to run is forgotten; its leases run on."""
        self.reference.held = [(each, turn) for each, turn in self.reference.held if each != worker]

    @rule()
    def lapse(self) -> None:
        """Time passes: every lease runs out."""
        query = "UPDATE turns SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL"
        self.run(self.owner.execute(query))
        for turn in self.reference.open:
            turn.is_due = True

    @rule(worker=workers)
    def recover(self, worker: UUID) -> None:
        claimed = self.run(self.store.claim_due(worker, LEASE_S, 10, []))
        first = next((turn for turn in self.reference.open if turn.state == "running"), None)
        first = first or next(iter(self.reference.waiting), None)
        is_due = first is not None and first.is_due
        assert claimed == ([(self.tenant_id, first.id)] if first is not None and is_due else [])
        if first is not None and is_due:
            self._taken(first, worker)

    @rule(worker=st.sampled_from((*WORKERS, None)))
    def release(self, worker: UUID | None) -> None:
        """A worker that stops hands its turns over; None: all other workers are known to be dead."""
        self.run(self.store.release(worker))
        for turn in self.reference.open:
            if worker is None or turn.worker == worker:
                turn.worker, turn.is_due = None, True

    @precondition(lambda self: self.reference.is_alive)
    @rule()
    def take_over(self) -> None:
        """A person takes the conversation: turns that are open can no longer answer."""
        query = "UPDATE conversations SET epoch = epoch + 1 WHERE id = $1"
        self.run(self.owner.execute(query, self.conversation))
        self.reference.epoch += 1

    @precondition(lambda self: self.reference.contact is not None)
    @rule()
    def fall_silent(self) -> None:
        query = "UPDATE conversations SET last_activity = now() - interval '2 h' WHERE id = $1"
        self.run(self.owner.execute(query, self.conversation))
        self.reference.is_idle = True

    @rule()
    def expire(self) -> None:
        done = self.run(self.store.expire(self.tenant_id, self.conversation, TTL_S))
        assert done == self._now_expired()

    @precondition(lambda self: len(self.reference.said) > 2)
    @rule()
    def clear(self) -> None:
        """What was said is erased; whoever runs one of its turns has lost it."""
        reference = self.reference
        assert self.run(self.store.clear(self.tenant_id, self.conversation)) == (reference.state != "cleared")
        reference.said, reference.kept, reference.state = [], {}, "cleared"
        for turn in reference.turns:
            turn.state = "failed" if turn.state in ("accepted", "running") else turn.state
            turn.worker, turn.steps = None, {}
        reference.events["conversation.cleared"] += 1

    @precondition(lambda self: self.reference.contact is not None)
    @rule(seq=st.none() | st.integers(1, 60))
    def resume(self, seq: int | None) -> None:
        """A client comes back for a message, or for the last one: it finds its turn, and its outcome if it has one."""
        reference = self.reference
        place = None if seq is None else Place(seq, 1, 0)
        work = self.conversations.place_in(self.tenant_id, self.conversation, place)
        if reference.state == "cleared":
            self.refused(work, ConversationNotFound)
            return
        asked = [
            (number, entry.turn)
            for number, entry in enumerate(reference.said, 1)
            if entry.author is Author.CONTACT and seq in (None, number)
        ]
        found = self.run(work)
        if not asked:
            assert found is None
            return
        number, turn = asked[-1]
        assert found is not None
        assert found == (turn.id, place or Place(number, turn.attempt, 0))
        if turn not in reference.open:
            self._followed(turn, found[1])

    def _followed(self, turn: Turn, place: Place) -> None:
        async def outcomes() -> list[Any]:
            async with asyncio.timeout(HANG_S):
                follow = self.conversations.follow(self.tenant_id, self.conversation, turn.id, place)
                return [happening async for happening in follow]

        [outcome] = self.run(outcomes())
        if turn.state == "handed_off":
            assert isinstance(outcome, Failure)
            assert outcome.error_code == "HANDED_OFF"
        else:
            assert isinstance(outcome, Failure if turn.state == "failed" else Answer)
            assert outcome.in_reply_to == tuple(turn.covers)

    @invariant()
    def the_database_is_as_the_reference_says(self) -> None:
        reference = self.reference
        if reference.contact is None:
            return
        self.run(self._same())

    async def _same(self) -> None:
        reference = self.reference
        async with self.db.scope(self.tenant_id) as scope:
            messages = await self.store.messages_after(scope, self.conversation, 0, 10_000)
            if reference.state != "cleared":
                session = await self.store.session(scope, self.conversation)
                assert (session.state, session.last_seq) == (reference.state, len(reference.said))
            steps = {turn.id: await self.store.steps(scope, turn.id) for turn in reference.turns}
        assert [(m.seq, m.author, m.body.content, m.in_reply_to) for m in messages] == [
            (seq, entry.author, entry.text, entry.in_reply_to) for seq, entry in enumerate(reference.said, 1)
        ]
        query = "SELECT id, state, seqs, worker, attempt FROM turns WHERE conversation_id = $1 ORDER BY seqs[1]"
        rows = await self.owner.fetch(query, self.conversation)
        assert [tuple(row) for row in rows] == [
            (turn.id, turn.state, turn.covers, turn.worker, turn.attempt) for turn in reference.turns
        ]
        for turn in reference.turns:
            done = {step.number: step.status for step in steps[turn.id] if step.kind == "tool"}
            assert done == turn.steps
        query = "SELECT type, count(*) FROM outbox WHERE key = $1 GROUP BY type"
        counted = {row["type"]: row["count"] for row in await self.owner.fetch(query, str(self.conversation))}
        assert counted == +reference.events


def test_a_conversation_lives_as_the_reference_says(database_url: str) -> None:
    Life.urls = (database_url, as_application(database_url))
    run_state_machine_as_test(
        Life,
        settings=settings(max_examples=30, stateful_step_count=40, suppress_health_check=list(HealthCheck)),
    )


async def test_a_hundred_at_once_are_numbered_without_a_gap(database: Database, tenant_id: UUID) -> None:
    store, conversation = ConversationStore(database, SEALED), new_id()

    async def accepted() -> int:
        found = await store.accept(
            tenant_id, Incoming("ann", "hello", conversation), "test",
            worker=WORKERS[0], lease_s=LEASE_S, ttl_s=TTL_S, join=True, window=10,
        )  # fmt: skip
        return found.seq

    assert sorted(await asyncio.gather(*(accepted() for _ in range(100)))) == list(range(1, 101))

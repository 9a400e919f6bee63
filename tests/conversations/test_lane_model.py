"""The turn's transactions against a simple model of one conversation's lane, in random order."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from frontdesk.conversations.models import Author, Incoming, TurnInput
from frontdesk.conversations.sealed import Sealed
from frontdesk.conversations.store import ConversationStore, Ending
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher

WORKERS = (new_id(), new_id())
LEASE_S = 3600.0
SEALED = Sealed(Cipher([bytes(32)]))


@dataclass
class Turn:
    """The model's turn: what it covers, who runs it, how often it was taken."""

    id: UUID
    covers: list[int]
    state: str = "accepted"
    worker: UUID | None = None
    attempt: int = 0
    is_due: bool = False  # its lease has run out


@dataclass
class Lane:
    """The model: a list of turns in order, and a counter."""

    last_seq: int = 0
    turns: list[Turn] = field(default_factory=list)
    held: list[tuple[UUID, TurnInput]] = field(default_factory=list)  # what workers believe they run, also wrongly

    @property
    def open(self) -> list[Turn]:
        return [turn for turn in self.turns if turn.state in ("accepted", "running")]

    @property
    def running(self) -> Turn | None:
        return next((turn for turn in self.turns if turn.state == "running"), None)

    def take(self, turn: Turn, worker: UUID) -> None:
        turn.state, turn.worker, turn.is_due = "running", worker, False
        turn.attempt += 1


steps = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.sampled_from(WORKERS), st.booleans()),
        st.tuples(st.just("complete"), st.integers(0, 9), st.booleans()),
        st.tuples(st.just("lapse"), st.just(0), st.just(False)),
        st.tuples(st.just("recover"), st.sampled_from(WORKERS), st.just(False)),
        st.tuples(st.just("release"), st.sampled_from((*WORKERS, None)), st.just(False)),
    ),
    max_size=25,
)


@pytest.fixture
def store(database: Database) -> ConversationStore:
    return ConversationStore(database, SEALED)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
@example([("accept", WORKERS[0], False)] * 3 + [("accept", WORKERS[0], True)])  # joining was switched on meanwhile
async def test_whatever_happens_seqs_have_no_gap_and_each_message_is_covered_once(
    store: ConversationStore, database: Database, tenant_id: UUID, database_url: str, plan: list[tuple[str, Any, bool]]
) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute("DELETE FROM turns")  # an earlier example's, whose lanes are not ours
    conversation, lane = new_id(), Lane()
    try:
        for action, subject, flag in plan:
            await ACTIONS[action](Bench(store, owner, tenant_id, conversation, lane), subject, flag)
            await check(owner, conversation, lane)
        while lane.open:  # whoever is left finishes the work
            bench = Bench(store, owner, tenant_id, conversation, lane)
            await lapse(bench, 0, False)
            await recover(bench, WORKERS[0], False)
            await complete(bench, -1, True)
            await check(owner, conversation, lane)
        async with database.scope(tenant_id) as scope:
            messages = await store.messages_after(scope, conversation, 0, 200)
    finally:
        await owner.close()
    assert [message.seq for message in messages] == list(range(1, len(messages) + 1))
    users = [message.seq for message in messages if message.author is Author.CONTACT]
    assert sorted(seq for message in messages for seq in message.in_reply_to) == users


@dataclass
class Bench:
    store: ConversationStore
    owner: Any
    tenant_id: UUID
    conversation: UUID
    lane: Lane


async def accept(bench: Bench, worker: UUID, join: bool) -> None:
    lane = bench.lane
    accepted = await bench.store.accept(
        bench.tenant_id, Incoming("ann", "hello", bench.conversation), "test",
        worker=worker, lease_s=LEASE_S, ttl_s=3600, join=join, window=10,
    )  # fmt: skip
    lane.last_seq += 1
    assert accepted.seq == lane.last_seq
    waiting = [turn for turn in lane.turns if turn.state == "accepted"]
    if join and waiting:
        waiting[-1].covers.append(accepted.seq)
        assert (accepted.turn_id, accepted.claimed) == (waiting[-1].id, None)
        return
    turn = Turn(accepted.turn_id, [accepted.seq])
    is_free = not lane.open
    lane.turns.append(turn)
    assert (accepted.claimed is not None) == is_free
    if accepted.claimed is not None:
        lane.take(turn, worker)
        lane.held.append((worker, accepted.claimed))


async def complete(bench: Bench, place: int, takes_next: bool) -> None:
    """One of those that believe to run a turn ends it; only the one that really holds it may."""
    lane = bench.lane
    if not lane.held:
        return
    worker, believed = lane.held.pop(place % len(lane.held))
    turn = next(turn for turn in lane.turns if turn.id == believed.turn_id)
    done = await bench.store.complete(believed, worker, ending(bench.tenant_id), LEASE_S if takes_next else 0.0)
    holds = (turn.state, turn.worker, turn.attempt) == ("running", worker, believed.attempt)
    assert done.outcome == ("completed" if holds else "lost")
    if not holds:
        return
    turn.state = "completed"
    lane.last_seq += 1
    assert done.seq == lane.last_seq
    following = next((each for each in lane.turns if each.state == "accepted"), None)
    assert done.next_turn == (following.id if following and takes_next else None)
    if following and takes_next:
        lane.take(following, worker)
        lane.held.append((worker, await bench.store.turn_input(bench.tenant_id, following.id, 10)))


async def lapse(bench: Bench, _subject: object, _flag: bool) -> None:
    """Time passes: every lease runs out."""
    await bench.owner.execute("UPDATE turns SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL")
    for turn in bench.lane.open:
        turn.is_due = True


async def recover(bench: Bench, worker: UUID, _flag: bool) -> None:
    lane = bench.lane
    claimed = await bench.store.claim_due(worker, LEASE_S, 10, [])
    first = lane.running or next((turn for turn in lane.turns if turn.state == "accepted"), None)
    expected = [(bench.tenant_id, first.id)] if first is not None and first.is_due else []
    assert claimed == expected
    if first is not None and expected:
        lane.take(first, worker)
        turn = await bench.store.turn_input(bench.tenant_id, first.id, 10)
        assert (turn.covers, turn.attempt) == (tuple(first.covers), first.attempt)
        assert not {spoken.seq for spoken in turn.window} & later_messages(lane, first)
        lane.held.append((worker, turn))


def later_messages(lane: Lane, turn: Turn) -> set[int]:
    """The contact's messages that belong to turns behind this one, beyond its last."""
    return {seq for other in lane.turns if other is not turn for seq in other.covers if seq > turn.covers[-1]}


async def release(bench: Bench, worker: UUID | None, _flag: bool) -> None:
    await bench.store.release(worker)
    for turn in bench.lane.open:
        if worker is None or turn.worker == worker:
            turn.worker, turn.is_due = None, True


def ending(tenant_id: UUID) -> Ending:
    return Ending(
        state="completed", stage="default", agents=(), decision=None, error_code=None, message_id=new_id(),
        author=Author.AGENT, body=SEALED.body(tenant_id, "hello", {}), agent=None, intent=None, pending=None,
        emergency=False, escalated=False, answer_ms=1, steps=(), calls=(),
        events=(("turns", "turn.completed", SEALED.json(tenant_id, {})),),
    )  # fmt: skip


async def check(owner: Any, conversation: UUID, lane: Lane) -> None:
    rows = await owner.fetch(
        "SELECT id, state, seqs, worker, attempt FROM turns WHERE conversation_id = $1 ORDER BY seqs[1]", conversation
    )
    found = [(row["id"], row["state"], row["seqs"], row["worker"], row["attempt"]) for row in rows]
    assert found == [
        (turn.id, turn.state, turn.covers, turn.worker if turn.state == "running" else None, turn.attempt)
        for turn in lane.turns
    ]


ACTIONS: dict[str, Callable[..., Any]] = {
    "accept": accept, "complete": complete, "lapse": lapse, "recover": recover, "release": release,
}  # fmt: skip


async def test_a_hundred_at_once_are_numbered_without_a_gap(
    store: ConversationStore, database: Database, tenant_id: UUID
) -> None:
    conversation = new_id()

    async def accepted() -> int:
        found = await store.accept(
            tenant_id, Incoming("ann", "hello", conversation), "test",
            worker=WORKERS[0], lease_s=LEASE_S, ttl_s=3600, join=True, window=10,
        )  # fmt: skip
        return found.seq

    assert sorted(await asyncio.gather(*(accepted() for _ in range(100)))) == list(range(1, 101))

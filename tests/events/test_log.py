"""The log: nothing skipped, in order per key, effects exactly once, poison put aside."""

import asyncio
from uuid import UUID

import asyncpg
import pytest
from prometheus_client import CollectorRegistry
from tests.conftest import HANG_S, as_application

from frontdesk.core.ids import new_id
from frontdesk.db import Database, TenantScope
from frontdesk.db.cipher import Cipher
from frontdesk.events.consumers import ConsumerLoop
from frontdesk.events.log import PostgresLog
from frontdesk.events.models import Event, Position
from frontdesk.events.tail import follow
from frontdesk.events.wakeups import Wakeups
from frontdesk.telemetry.metrics import Metrics

START = Position(0, 0)


@pytest.fixture
def events(database: Database) -> PostgresLog:
    return PostgresLog(database, Cipher([b"k" * 32]))


async def append(database: Database, events: PostgresLog, tenant_id: UUID, key: str, n: int) -> None:
    async with database.scope(tenant_id) as scope:
        await events.append(scope, "messages.raw", key, "message.accepted", {"n": n})


async def numbers(events: PostgresLog, position: Position = START) -> list[int]:
    return [event.payload["n"] for _, event in await events.after(position, ["messages.raw"], 1000) if event]


async def test_an_event_that_commits_late_is_not_skipped(
    database: Database, events: PostgresLog, tenant_id: UUID
) -> None:
    async with database.scope(tenant_id) as slow:
        await events.append(slow, "messages.raw", "a", "message.accepted", {"n": 1})
        await append(database, events, tenant_id, "b", 2)  # begun later, committed earlier
        seen = await events.after(START, ["messages.raw"], 10)
        position = seen[-1][0] if seen else START
        early = [event.payload["n"] for _, event in seen if event]
    assert sorted(early + await numbers(events, position)) == [1, 2]


async def test_readers_under_concurrent_writers_see_every_event_once_and_each_key_in_commit_order(
    database: Database, events: PostgresLog, tenant_id: UUID
) -> None:
    counters = dict.fromkeys("abcd", 0)

    async def write(key: str) -> None:
        for _ in range(25):
            async with database.scope(tenant_id) as scope:
                await scope.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key)
                counters[key] += 1  # under the key's lock: the order of commits
                await events.append(scope, "messages.raw", key, "message.accepted", {"n": counters[key]})

    read: dict[str, list[int]] = {key: [] for key in "abcd"}

    async def reader(done: asyncio.Event) -> None:
        position = START
        while True:
            finished = done.is_set()
            batch = await events.after(position, ["messages.raw"], 7)
            for position, event in batch:  # noqa: B007 - where the next batch begins
                assert event is not None
                read[event.key].append(event.payload["n"])
            if finished and not batch:
                return
            await asyncio.sleep(0)

    done = asyncio.Event()
    reading = asyncio.create_task(reader(done))
    await asyncio.gather(*(write(key) for key in "aabbccdd"))
    done.set()
    await reading
    assert read == {key: list(range(1, 51)) for key in "abcd"}


async def test_other_topics_move_the_position_but_show_nothing(
    database: Database, events: PostgresLog, tenant_id: UUID
) -> None:
    await append(database, events, tenant_id, "a", 1)
    [(position, event)] = await events.after(START, ["handoff"], 10)
    assert event is None
    assert await events.after(position, ["handoff"], 10) == []


class Counting:
    """A projection: adds up `n` in a record; `poison` raises, `crash_once` fails after its effect."""

    group, topics = "counting", ("messages.raw",)

    def __init__(self) -> None:
        self.crash_once = False

    async def derive(self, event: Event) -> int:
        if event.payload["n"] < 0:
            raise ValueError("poison")
        return int(event.payload["n"])

    async def apply(self, scope: TenantScope, event: Event, derived: int) -> None:
        await scope.execute(
            """
            INSERT INTO records (tenant_id, collection, key, value, made_by)
            VALUES ($1, 'sums', 'sum', jsonb_build_object('n', $2::int), '')
                ON CONFLICT (tenant_id, collection, key)
                DO UPDATE SET value = jsonb_build_object('n', (records.value ->> 'n')::int + $2::int)
            """,
            scope.tenant_id,
            derived,
        )
        if self.crash_once:
            self.crash_once = False
            raise RuntimeError("after the effect, before the commit")


async def run_to_the_end(database: Database, tenant_id: UUID, loop: ConsumerLoop) -> None:
    """Until the group stands behind the last event: it moves there in the transaction of the last effect."""
    running = asyncio.create_task(loop.run())
    query = """
        SELECT (p.xid, p.position) >= (SELECT o.xid, o.position FROM outbox AS o ORDER BY o.xid DESC, o.position DESC
                                        LIMIT 1)
          FROM consumer_positions AS p
         WHERE p.consumer = 'counting'
    """
    try:
        async with asyncio.timeout(HANG_S):
            is_over = False
            while not is_over:
                await asyncio.sleep(0.01)
                async with database.scope(tenant_id) as scope:
                    is_over = await scope.fetchval(query)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def consumer_loop(database: Database, events: PostgresLog, consumer: Counting) -> ConsumerLoop:
    wakeups = Wakeups(database, notify=False)
    return ConsumerLoop(consumer, database, events, wakeups.anywhere, new_id(), Metrics(CollectorRegistry()))


async def test_an_effect_happens_once_although_it_was_tried_twice(
    database: Database, events: PostgresLog, tenant_id: UUID
) -> None:
    for n in (1, 2, 3):
        await append(database, events, tenant_id, "a", n)
    consumer = Counting()
    consumer.crash_once = True
    await run_to_the_end(database, tenant_id, consumer_loop(database, events, consumer))
    async with database.scope(tenant_id) as scope:
        assert await scope.fetchval("SELECT (value ->> 'n')::int FROM records") == 6


async def test_a_poison_event_goes_to_the_dead_letters_and_holds_nobody_up(
    database: Database, events: PostgresLog, tenant_id: UUID
) -> None:
    for n in (1, -1, 2):
        await append(database, events, tenant_id, "a", n)
    consumer = Counting()
    await run_to_the_end(database, tenant_id, consumer_loop(database, events, consumer))
    async with database.scope(tenant_id) as scope:
        [letter] = await scope.fetch("SELECT consumer, topic, error FROM dead_letters")
    assert tuple(letter) == ("counting", "messages.raw.dlq", "ValueError")


async def test_one_process_at_a_time_reads_for_a_group(database: Database, events: PostgresLog) -> None:
    first, second = new_id(), new_id()
    assert await events.claim("g", first, 30) is not None
    assert await events.claim("g", second, 30) is None
    assert await events.claim("g", first, 30) is not None


async def test_a_follower_hears_of_what_another_process_writes(
    database: Database, events: PostgresLog, tenant_id: UUID, database_url: str
) -> None:
    here, there = Wakeups(database, notify=True), Wakeups(database, notify=True)
    heard: asyncio.Queue[Event] = asyncio.Queue()
    tasks = [
        asyncio.create_task(here.run()),
        asyncio.create_task(there.run()),
        asyncio.create_task(follow(events, here.elsewhere, ("messages.raw",), heard.put_nowait)),
    ]
    try:
        async with asyncio.timeout(HANG_S):
            while True:  # the follower starts at the end of the log: what comes after it is there is heard
                await append(database, events, tenant_id, "a", 7)
                there.wake()
                try:
                    event = await asyncio.wait_for(heard.get(), 0.5)
                    break
                except TimeoutError:
                    continue
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert event.payload == {"n": 7}


async def test_a_process_that_writes_nothing_hears_others_again_after_its_connection_was_lost(
    database: Database, database_url: str
) -> None:
    listener = await Database.connect(as_application(database_url), max_connections=2)
    owner = await asyncpg.connect(database_url)
    here, there = Wakeups(listener, notify=True), Wakeups(database, notify=True)
    tasks = [asyncio.create_task(each.run()) for each in (here, there)]

    async def is_heard() -> None:
        seen = here.elsewhere.count
        while here.elsewhere.count == seen:
            there.wake()
            await asyncio.sleep(0.1)

    try:
        async with asyncio.timeout(HANG_S):
            await is_heard()
            await owner.execute(
                """
                SELECT pg_terminate_backend(pid, 5000)
                  FROM pg_stat_activity
                 WHERE application_name = 'frontdesk'
                   AND datname = current_database()
                """
            )
            await is_heard()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await owner.close()
        await listener.close()


async def test_read_events_are_pruned_and_unread_ones_stay(
    database: Database, events: PostgresLog, tenant_id: UUID, database_url: str
) -> None:
    for n in (1, 2):
        await append(database, events, tenant_id, "a", n)
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE outbox SET occurred_at = now() - interval '8 days'")
    await owner.close()
    worker = new_id()
    await events.claim("slow", worker, 30)
    assert await events.prune(7, 10) == 0
    [*_, (position, _)] = await events.after(START, ["messages.raw"], 10)
    await events.move("slow", worker, Position(position.xid + 1, 0), 30)
    assert [await events.prune(7, 1) for _ in range(3)] == [1, 1, 0]


class Endless(Counting):
    async def apply(self, scope: TenantScope, event: Event, derived: int) -> None:
        if derived == 2:
            await scope.execute("SET LOCAL statement_timeout = 10")
            await scope.execute("SELECT pg_sleep(60)")
        await super().apply(scope, event, derived)


async def test_a_statement_that_takes_too_long_holds_nobody_up(
    database: Database, events: PostgresLog, tenant_id: UUID
) -> None:
    for n in (1, 2, 3):
        await append(database, events, tenant_id, "a", n)
    await run_to_the_end(database, tenant_id, consumer_loop(database, events, Endless()))
    async with database.scope(tenant_id) as scope:
        assert await scope.fetchval("SELECT (value ->> 'n')::int FROM records") == 4
        assert await scope.fetchval("SELECT error FROM dead_letters") == "QueryCanceledError"

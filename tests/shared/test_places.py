"""Turns at once, over processes that share a Redis: exact at the limit, and what is left when one is killed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from tests.redis_server import RedisServer
from tests.shared.waiting import until

from frontdesk.core.clock import SystemClock
from frontdesk.core.ids import new_id
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.places import BLOCKS, TELL_EVERY_S, MemoryPlaces, RedisPlaces
from frontdesk.shared.redis import RedisLink

ONE, OTHER = new_id(), new_id()
LEASE_S = 3.0


class Process:
    """`running`: its turns by tenant. `tells`: what it does beside requests."""

    def __init__(self, link: RedisLink, metrics: SharedMetrics, lease_s: float = 60.0) -> None:
        self.running: Counter[UUID] = Counter()
        alone = MemoryPlaces(self.running.__getitem__)
        self.places = RedisPlaces(link, alone, new_id(), metrics, SystemClock(), lease_s)

    async def begins(self, most: int, tenant_id: UUID = ONE) -> bool:
        """Whether a turn was let in; it runs then."""
        fits = await self.places.take(tenant_id, most)
        if fits:
            self.running[tenant_id] += 1
            self.places.free(tenant_id)
        return fits

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.places.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def here(link: RedisLink, metrics: SharedMetrics) -> Process:
    return Process(link, metrics)


@pytest.fixture
def there(link: RedisLink, metrics: SharedMetrics) -> Process:
    return Process(link, metrics)


async def test_as_many_as_allowed_over_all_processes_and_not_one_more(here: Process, there: Process) -> None:
    let_in = [await process.begins(3) for process in (here, there, here, there, here)]
    assert let_in == [True, True, True, False, False]
    assert await there.begins(3, OTHER)


async def test_many_at_the_same_moment_are_let_in_exactly(here: Process, there: Process) -> None:
    let_in = await asyncio.gather(*(process.begins(7) for _ in range(50) for process in (here, there)))
    assert sum(let_in) == here.running[ONE] + there.running[ONE] == 7


async def test_what_has_ended_makes_room_elsewhere(here: Process, there: Process) -> None:
    async with here.telling():
        assert await here.begins(1)
        assert not await there.begins(1)
        here.running[ONE] -= 1

        async def there_is_room() -> bool:
            return await there.begins(1)

        await until(there_is_room)
    assert not await here.begins(1)


async def test_a_lease_is_kept_while_its_process_lives_and_runs_out_when_it_is_killed(
    link: RedisLink, metrics: SharedMetrics
) -> None:
    here, there = Process(link, metrics, lease_s=LEASE_S), Process(link, metrics, lease_s=LEASE_S)
    async with here.telling():
        assert await here.begins(1)
        begun = monotonic()
        while monotonic() - begun < 1.5 * LEASE_S:  # by Redis's own clock, which nobody moves
            await asyncio.sleep(0.1)
            assert not await there.begins(1)

    async def there_is_room() -> bool:  # nobody tells any more
        return await there.begins(1)

    await until(there_is_room)


async def test_an_earlier_writing_that_comes_later_is_not_believed(here: Process, there: Process) -> None:
    assert await here.begins(2)
    assert await here.begins(2)
    told = here.places._told[ONE]
    assert (told.holds, await here.places._link.ask(lambda: here.places._write(  # as it was written before both
        [f"frontdesk:turns:{{{ONE}}}"], [here.places._process, 0, 0, 0, 1000, -1]
    ))) == (2, [0, 0])  # fmt: skip
    assert not await there.begins(2)


async def test_of_many_places_a_process_takes_some_at_once_and_all_are_used_all_the_same(
    here: Process, there: Process, link: RedisLink
) -> None:
    most = 10 * BLOCKS

    async def asked() -> int:
        return int((await link.client.info("commandstats"))["cmdstat_evalsha"]["calls"])

    assert await here.begins(most)
    before = await asked()
    assert [await here.begins(most) for _ in range(9)] == [True] * 9
    assert await asked() == before
    let_in = await asyncio.gather(*(process.begins(most) for _ in range(most) for process in (here, there)))
    assert 10 + sum(let_in) == here.running[ONE] + there.running[ONE] == most


async def test_what_is_held_is_never_more_than_was_given(here: Process, there: Process) -> None:
    most = 10 * BLOCKS
    for _ in range(most - 5):
        assert await there.begins(most)
    assert await here.begins(most)
    async with here.telling(), there.telling():
        for _ in range(4):  # whatever is told meanwhile
            await asyncio.sleep(2 * TELL_EVERY_S)
            await asyncio.gather(*(process.begins(most) for _ in range(3) for process in (here, there)))
            assert here.running[ONE] + there.running[ONE] <= most
    assert here.running[ONE] + there.running[ONE] == most


async def test_a_block_that_is_not_used_any_more_is_given_back(here: Process, there: Process) -> None:
    most = 10 * BLOCKS
    for _ in range(11):
        assert await here.begins(most)
    async with here.telling():
        here.running[ONE] = 0

        async def all_are_free() -> bool:
            return all([await there.begins(most) for _ in range(most - there.running[ONE])])

        await until(all_are_free)


async def test_without_redis_each_counts_its_own_and_with_it_all_again(
    here: Process, there: Process, redis_server: RedisServer, registry: CollectorRegistry, link: RedisLink
) -> None:
    await redis_server.kill()
    assert [await here.begins(2) for _ in range(3)] == [True, True, False]
    assert await there.begins(2)
    assert (registry.get_sample_value("frontdesk_redis_without_total", {"use": "turns"}) or 0) >= 3
    await redis_server.start()

    async def is_back() -> bool:
        return link.is_up

    await until(is_back)
    async with here.telling():

        async def here_is_told() -> bool:
            field = await link.client.hget(f"frontdesk:turns:{{{ONE}}}", here.places._process)
            return field is not None and field.startswith(b"2 ")

        await until(here_is_told)


async def test_when_nothing_runs_nothing_is_left_and_nothing_is_told(here: Process, link: RedisLink) -> None:
    async with here.telling():
        assert await here.begins(5)
        here.running[ONE] -= 1

        async def is_empty() -> bool:
            return await link.client.dbsize() == 0

        await until(is_empty)
    assert not here.places._told

"""What is kept while it has not changed: who waits for the question about all, and what is believed meanwhile."""

import asyncio
from collections.abc import Iterable, Mapping

import pytest
from tests.identity.moved_clock import MovedClock

from frontdesk.core.rechecked import Rechecked

FRESH_S = 2.0


class Source:
    """Numbers that change."""

    def __init__(self) -> None:
        self.now: dict[str, int] = {}
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_away = False

    async def changed(self, known: Mapping[str, int]) -> Iterable[str]:
        self.asked += 1
        found = [key for key, value in known.items() if self.now.get(key) != value]
        await self.may_answer.wait()
        if self.is_away:
            raise ConnectionError
        return found


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def kept(source: Source, clock: MovedClock) -> Rechecked[str, int]:
    return Rechecked(2, FRESH_S, clock, source.changed)


async def read(kept: Rechecked[str, int], source: Source, key: str) -> int:
    found = await kept.get(key)
    if found is None:
        found = source.now[key]
        kept.put(key, found)
    return found


async def test_who_comes_while_another_asks_is_not_kept_waiting_nor_told_what_may_be_old(
    kept: Rechecked[str, int], source: Source, clock: MovedClock
) -> None:
    source.now["a"] = 1
    await read(kept, source, "a")
    source.now["a"] = 2
    clock.passed_s += FRESH_S
    source.may_answer.clear()
    first = asyncio.create_task(kept.get("a"))
    while not source.asked:
        await asyncio.sleep(0)
    assert await read(kept, source, "a") == 2
    assert source.asked == 1
    source.may_answer.set()
    await first
    assert await read(kept, source, "a") == 2


async def test_who_is_cancelled_while_asking_leaves_it_to_the_next(
    kept: Rechecked[str, int], source: Source, clock: MovedClock
) -> None:
    source.now["a"] = 1
    await read(kept, source, "a")
    clock.passed_s += FRESH_S
    source.may_answer.clear()
    first = asyncio.create_task(kept.get("a"))
    while not source.asked:
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    source.may_answer.set()
    assert await kept.get("a") == 1
    assert source.asked == 2


async def test_nothing_is_believed_that_could_not_be_asked_about(
    kept: Rechecked[str, int], source: Source, clock: MovedClock
) -> None:
    source.now["a"] = 1
    await read(kept, source, "a")
    clock.passed_s += FRESH_S
    source.is_away = True
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await kept.get("a")
    source.is_away = False
    assert await kept.get("a") == 1


async def test_the_least_recently_used_go(kept: Rechecked[str, int], source: Source) -> None:
    source.now = {"a": 1, "b": 2, "c": 3}
    for key in ("a", "b", "a", "c"):
        await read(kept, source, key)
    assert [await kept.get(key) for key in ("a", "b", "c")] == [1, None, 3]

"""Limits in a moving window: what any implementation does, and how each goes on without Redis."""

import asyncio
from datetime import datetime
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from tests.redis_server import RedisServer
from tests.shared.waiting import until

from frontdesk.core.clock import SystemClock
from frontdesk.core.ids import new_id
from frontdesk.core.tls import TlsFiles
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.rates import SLOTS, MemoryRateLimiter, RateLimiter, RedisRateLimiter, Use
from frontdesk.shared.redis import RedisLink, connected

WINDOW_S = 1.2
LONG_S = 3600.0  # no part of it passes during a test

ONE, OTHER = new_id(), new_id()


@pytest.fixture(params=["memory", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def limiter(kind: str, request: pytest.FixtureRequest, window_s: float) -> RateLimiter:
    alone = MemoryRateLimiter(SystemClock(), window_s)
    if kind == "memory":
        return alone
    return RedisRateLimiter(request.getfixturevalue("link"), alone, request.getfixturevalue("metrics"), window_s)


@pytest.fixture
def limits(kind: str, request: pytest.FixtureRequest) -> RateLimiter:
    return limiter(kind, request, LONG_S)


@pytest.fixture
def quick(kind: str, request: pytest.FixtureRequest) -> RateLimiter:
    return limiter(kind, request, WINDOW_S)


async def test_exactly_as_many_as_allowed_and_not_one_more(limits: RateLimiter) -> None:
    use = Use("contact", "ann", 3)
    assert [await limits.take(ONE, [use]) for _ in range(3)] == [None] * 3
    refused = await limits.take(ONE, [use])
    assert refused is not None and refused.use == use
    assert LONG_S - 60 < refused.wait_s <= LONG_S + LONG_S / SLOTS


async def test_amounts_fit_exactly_or_not_at_all(limits: RateLimiter) -> None:
    assert await limits.take(ONE, [Use("tokens", "", 100, 60)]) is None
    assert await limits.take(ONE, [Use("tokens", "", 100, 41)]) is not None
    assert await limits.take(ONE, [Use("tokens", "", 100, 40)]) is None
    assert await limits.take(ONE, [Use("tokens", "", 100, 1)]) is not None


async def test_what_never_fits_is_let_through_by_an_empty_window_alone(limits: RateLimiter) -> None:
    assert await limits.take(ONE, [Use("tokens", "", 100, 500)]) is None
    assert await limits.take(ONE, [Use("tokens", "", 100, 1)]) is not None


async def test_whose_and_what_and_which_tenants_are_kept_apart(limits: RateLimiter) -> None:
    for tenant, name, key in ((ONE, "a", "x"), (OTHER, "a", "x"), (ONE, "b", "x"), (ONE, "a", "y")):
        assert await limits.take(tenant, [Use(name, key, 1)]) is None
        assert await limits.take(tenant, [Use(name, key, 1)]) is not None


async def test_of_several_all_are_counted_or_none(limits: RateLimiter) -> None:
    narrow, wide = Use("contact", "ann", 2), Use("tenant", "", 3)
    for _ in range(2):
        assert await limits.take(ONE, [narrow, wide]) is None
    refused = await limits.take(ONE, [wide, narrow])
    assert refused is not None and refused.use == narrow
    assert await limits.take(ONE, [wide]) is None  # the refused one was not counted
    assert await limits.take(ONE, [wide]) is not None


async def test_corrections_count_whatever_the_limit(limits: RateLimiter) -> None:
    use = Use("tokens", "", 100, 80)
    assert await limits.take(ONE, [use]) is None
    await limits.correct(ONE, "tokens", "", -50)
    assert await limits.take(ONE, [Use("tokens", "", 100, 70)]) is None
    await limits.correct(ONE, "tokens", "", 500)
    await limits.correct(ONE, "tokens", "", -501)
    assert await limits.take(ONE, [Use("tokens", "", 100, 1)]) is None
    assert await limits.take(ONE, [Use("tokens", "", 100, 1)]) is not None


async def test_the_window_slides_and_says_when(quick: RateLimiter) -> None:
    """Never more than allowed in any window, and all of it in each: by real time, as Redis has no other."""
    use, taken = Use("contact", "ann", 4), []
    while len(taken) < 12:
        before = monotonic()
        refused = await quick.take(ONE, [use])
        if refused is None:
            taken.append((before, monotonic()))
        else:
            assert 0 < refused.wait_s <= WINDOW_S * (SLOTS + 2) / SLOTS
            await asyncio.sleep(refused.wait_s)
            # What it said was enough: no second refusal, as nobody else takes any.
            before = monotonic()
            assert await quick.take(ONE, [use]) is None
            taken.append((before, monotonic()))
        await asyncio.sleep(0.03)
    for first, fifth in zip(taken, taken[4:], strict=False):
        assert fifth[1] - first[0] >= WINDOW_S


async def test_many_at_once_are_counted_once_each(limits: RateLimiter) -> None:
    refused = await asyncio.gather(*(limits.take(ONE, [Use("tenant", "", 50)]) for _ in range(200)))
    assert sum(one is None for one in refused) == 50


class _MovedClock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> datetime:
        raise NotImplementedError

    def monotonic(self) -> float:
        return self.at


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 5)), max_size=60), st.integers(1, 12))
async def test_no_window_ever_holds_more_than_allowed(steps: list[tuple[float, int]], most: int) -> None:
    clock = _MovedClock()
    limits = MemoryRateLimiter(clock)
    taken: list[tuple[float, int]] = []
    for pause_s, amount in steps:
        clock.at += pause_s
        refused = await limits.take(ONE, [Use("tenant", "", most, min(amount, most))])
        if refused is None:
            taken.append((clock.at, min(amount, most)))
        else:
            clock.at += refused.wait_s
            assert await limits.take(ONE, [refused.use]) is None
            taken.append((clock.at, refused.use.amount))
        within = [one for at, one in taken if clock.at - 60 < at]
        assert sum(within) <= most


async def test_two_processes_share_one_count(
    redis_server: RedisServer, metrics: SharedMetrics, link: RedisLink
) -> None:
    other = connected(redis_server.url, TlsFiles(), metrics)
    await other.look()
    both = [RedisRateLimiter(one, MemoryRateLimiter(SystemClock()), metrics, LONG_S) for one in (link, other)]
    taken = [await both[number % 2].take(ONE, [Use("tenant", "", 5)]) for number in range(6)]
    assert [one is None for one in taken] == [True] * 5 + [False]
    await other.close()


async def test_nobody_is_named_in_redis(redis_server: RedisServer, metrics: SharedMetrics, link: RedisLink) -> None:
    limits = RedisRateLimiter(link, MemoryRateLimiter(SystemClock()), metrics, LONG_S)
    await limits.take(ONE, [Use("contact", "ann@example.org", 5), Use("address", "203.0.113.7", 5)])
    kept = await redis_server.everything()
    assert b"limit" in kept and b"ann" not in kept and b"203.0" not in kept


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_without_redis_each_process_counts_for_itself(
    redis_server: RedisServer, metrics: SharedMetrics, link: RedisLink, registry: CollectorRegistry, how: str
) -> None:
    limits = RedisRateLimiter(link, MemoryRateLimiter(SystemClock(), LONG_S), metrics, LONG_S)
    use = Use("tenant", "", 2)
    await limits.take(ONE, [use])
    if how == "killed":
        await redis_server.kill()
    else:
        redis_server.freeze()
    alone = [await limits.take(ONE, [use]) for _ in range(3)]
    assert [one is None for one in alone] == [True, True, False]
    assert registry.get_sample_value("frontdesk_redis_without_total", {"use": "limits"}) == 3
    if how == "killed":
        await redis_server.start()
    else:
        redis_server.thaw()

    async def is_shared_again() -> bool:
        return link.is_up

    await until(is_shared_again)
    assert await limits.take(OTHER, [use]) is None
    assert registry.get_sample_value("frontdesk_redis_without_total", {"use": "limits"}) == 3

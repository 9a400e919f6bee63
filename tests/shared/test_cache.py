"""The shared cache: what any implementation does, and what Redis is not to know."""

from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from tests.redis_server import RedisServer
from tests.shared.waiting import until

from frontdesk.core.clock import SystemClock
from frontdesk.core.ids import new_id
from frontdesk.db.cipher import Cipher
from frontdesk.shared.cache import Cache, MemoryCache, RedisCache
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.redis import RedisAway, RedisLink

ONE, OTHER = new_id(), new_id()


@pytest.fixture(params=["memory", "redis"])
def cache(request: pytest.FixtureRequest, metrics: SharedMetrics, cipher: Cipher) -> Cache:
    if request.param == "memory":
        return MemoryCache(SystemClock(), metrics)
    return RedisCache(request.getfixturevalue("link"), cipher, metrics)


async def test_what_is_put_is_found_and_counted(cache: Cache, registry: CollectorRegistry) -> None:
    assert await cache.get(ONE, "answers", b"key") is None
    await cache.put(ONE, "answers", b"key", b"\x00value", 60)
    assert await cache.get(ONE, "answers", b"key") == b"\x00value"
    await cache.put(ONE, "answers", b"key", b"", 60)
    assert await cache.get(ONE, "answers", b"key") == b""
    counted = {
        outcome: registry.get_sample_value("frontdesk_shared_cache_total", {"cache": "answers", "outcome": outcome})
        for outcome in ("hit", "miss")
    }
    assert counted == {"hit": 2, "miss": 1}


async def test_tenants_and_purposes_share_no_key(cache: Cache) -> None:
    await cache.put(ONE, "answers", b"key", b"one", 60)
    assert await cache.get(OTHER, "answers", b"key") is None
    assert await cache.get(ONE, "prompts", b"key") is None


async def test_an_entry_ends(cache: Cache) -> None:
    await cache.put(ONE, "answers", b"short", b"value", 0.05)
    await cache.put(ONE, "answers", b"long", b"value", 60)

    async def is_gone() -> bool:
        return await cache.get(ONE, "answers", b"short") is None

    await until(is_gone)
    assert await cache.get(ONE, "answers", b"long") == b"value"


async def test_a_tenants_entries_are_forgotten_and_no_others(cache: Cache) -> None:
    for number in range(1200):
        await cache.put(ONE, "answers", b"%d" % number, b"value", 60)
    await cache.put(OTHER, "answers", b"0", b"value", 60)
    await cache.forget(ONE)
    assert [await cache.get(ONE, "answers", b"%d" % number) for number in (0, 600, 1199)] == [None] * 3
    assert await cache.get(OTHER, "answers", b"0") == b"value"


async def test_memory_is_bounded_and_the_least_recent_goes(metrics: SharedMetrics) -> None:
    cache = MemoryCache(SystemClock(), metrics, most_bytes=10_000)
    await cache.put(ONE, "answers", b"large", bytes(20_000), 60)
    assert await cache.get(ONE, "answers", b"large") is None
    for number in range(20):
        await cache.put(ONE, "answers", b"%d" % number, bytes(1000), 60)
        await cache.put(ONE, "answers", b"0", bytes(1000), 60)
    assert await cache.get(ONE, "answers", b"0") is not None
    assert await cache.get(ONE, "answers", b"1") is None


async def test_redis_can_neither_read_nor_exchange_what_it_holds(
    redis_server: RedisServer, link: RedisLink, cipher: Cipher, metrics: SharedMetrics
) -> None:
    cache = RedisCache(link, cipher, metrics)
    await cache.put(ONE, "answers", b"what Ann asked", b"what Ann was told", 60)
    assert b"Ann" not in await redis_server.everything()

    def place(tenant: UUID) -> bytes:
        return next(key for key in keys if str(tenant).encode() in key)

    keys = [key async for key in link.client.scan_iter()]
    await link.client.set(place(ONE).replace(str(ONE).encode(), str(OTHER).encode()), await link.client.get(place(ONE)))
    assert await cache.get(OTHER, "answers", b"what Ann asked") is None
    assert await RedisCache(link, Cipher([bytes(32)]), metrics).get(ONE, "answers", b"what Ann asked") is None


async def test_without_redis_nothing_is_found_and_nothing_fails_but_forgetting(
    redis_server: RedisServer, link: RedisLink, cipher: Cipher, metrics: SharedMetrics, registry: CollectorRegistry
) -> None:
    cache = RedisCache(link, cipher, metrics)
    await cache.put(ONE, "answers", b"key", b"value", 60)
    await redis_server.kill()
    assert await cache.get(ONE, "answers", b"key") is None
    await cache.put(ONE, "answers", b"key", b"value", 60)
    with pytest.raises(RedisAway):
        await cache.forget(ONE)
    assert registry.get_sample_value("frontdesk_redis_up") == 0
    assert registry.get_sample_value("frontdesk_redis_without_total", {"use": "cache"}) == 2
    await redis_server.start()

    async def is_back() -> bool:
        await cache.put(ONE, "answers", b"key", b"again", 60)
        return await cache.get(ONE, "answers", b"key") == b"again"

    await until(is_back)
    assert registry.get_sample_value("frontdesk_redis_up") == 1
    assert registry.get_sample_value("frontdesk_redis_lost_total") == 1

"""A cache that processes share: bytes of one tenant, for a time. What can't be found is made anew."""

from hashlib import blake2b
from typing import Protocol
from uuid import UUID

from cachetools import TLRUCache

from frontdesk.core.caches import forget
from frontdesk.core.clock import Clock
from frontdesk.db.cipher import Cipher, DecryptFailed
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.redis import PREFIX, RedisAway, RedisLink

MOST_BYTES = 32_000_000
_ENTRY_BYTES = 300  # what an entry weighs beside its value
_FORGET_AT_ONCE = 500


class Cache(Protocol):
    """`cache` is what it is for, of a closed set. None of another tenant's can be named."""

    async def get(self, tenant_id: UUID, cache: str, key: bytes) -> bytes | None: ...

    async def put(self, tenant_id: UUID, cache: str, key: bytes, value: bytes, keep_s: float) -> None: ...

    async def forget(self, tenant_id: UUID) -> None:
        """Everything of the tenant. Raises Unavailable when that can't be known."""


class MemoryCache:
    """Of this process, bounded by size; the least recently used goes first."""

    def __init__(self, clock: Clock, metrics: SharedMetrics, most_bytes: int = MOST_BYTES) -> None:
        self._metrics = metrics
        self._most_bytes = most_bytes
        self._entries: TLRUCache[tuple[UUID, str, bytes], tuple[bytes, float]] = TLRUCache(
            most_bytes, ttu=lambda _key, entry, now: now + entry[1], timer=clock.monotonic, getsizeof=_size
        )

    async def get(self, tenant_id: UUID, cache: str, key: bytes) -> bytes | None:
        entry = self._entries.get((tenant_id, cache, key))
        self._metrics.cache.labels(cache, "miss" if entry is None else "hit").inc()
        return None if entry is None else entry[0]

    async def put(self, tenant_id: UUID, cache: str, key: bytes, value: bytes, keep_s: float) -> None:
        if _size((value, keep_s)) <= self._most_bytes:
            self._entries[tenant_id, cache, key] = (value, keep_s)

    async def forget(self, tenant_id: UUID) -> None:
        forget(self._entries, tenant_id)


class RedisCache:
    """In Redis, sealed for the tenant: neither its memory nor its disk shows what was said. Away: nothing is found."""

    def __init__(self, link: RedisLink, cipher: Cipher, metrics: SharedMetrics) -> None:
        self._link = link
        self._cipher = cipher
        self._metrics = metrics

    async def get(self, tenant_id: UUID, cache: str, key: bytes) -> bytes | None:
        place = _place(tenant_id, cache, key)
        outcome, value = "miss", None
        try:
            sealed = await self._link.ask(lambda: self._link.client.get(place))
            if sealed is not None:
                assert isinstance(sealed, bytes), "nothing here asks for text"
                value, outcome = self._cipher.open(tenant_id, sealed), "hit"
        except RedisAway:
            outcome = "away"
            self._metrics.without.labels("cache").inc()
        except DecryptFailed:  # sealed with a key that is gone
            pass
        self._metrics.cache.labels(cache, outcome).inc()
        return value

    async def put(self, tenant_id: UUID, cache: str, key: bytes, value: bytes, keep_s: float) -> None:
        place, sealed = _place(tenant_id, cache, key), self._cipher.seal(tenant_id, value)
        try:
            await self._link.ask(lambda: self._link.client.set(place, sealed, px=max(1, int(keep_s * 1000))))
        except RedisAway:
            self._metrics.without.labels("cache").inc()

    async def forget(self, tenant_id: UUID) -> None:
        async def keys() -> None:
            found: list[bytes] = []
            async for key in self._link.client.scan_iter(f"{_tenant(tenant_id)}*", count=_FORGET_AT_ONCE):
                found.append(key)
                if len(found) == _FORGET_AT_ONCE:
                    await self._link.client.unlink(*found)
                    found.clear()
            if found:
                await self._link.client.unlink(*found)

        await self._link.ask(keys)


def _size(entry: tuple[bytes, float]) -> int:
    return _ENTRY_BYTES + len(entry[0])


def _tenant(tenant_id: UUID) -> str:
    return f"{PREFIX}:cache:{{{tenant_id}}}:"


def _place(tenant_id: UUID, cache: str, key: bytes) -> str:
    return f"{_tenant(tenant_id)}{cache}:{blake2b(key, digest_size=16).hexdigest()}"

"""From settings to what processes share: by Redis where there is one, else within this process."""

from dataclasses import dataclass
from uuid import UUID

from prometheus_client import CollectorRegistry

from frontdesk.core.clock import Clock
from frontdesk.core.settings import Settings
from frontdesk.core.tls import TlsFiles
from frontdesk.db.cipher import Cipher
from frontdesk.shared.cache import Cache, MemoryCache, RedisCache
from frontdesk.shared.fanout import Fanout, MemoryFanout, RedisFanout
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.rates import MemoryRateLimiter, RateLimiter, RedisRateLimiter
from frontdesk.shared.redis import RedisLink, connected


@dataclass(frozen=True, slots=True)
class Shared:
    cache: Cache
    limits: RateLimiter
    fanout: Fanout
    redis: RedisLink | None  # None: nothing leaves this process
    alone: MemoryRateLimiter  # what this process counts without Redis
    metrics: SharedMetrics

    async def forget(self, tenant_id: UUID) -> None:
        """Raises Unavailable when it can't be known. Limits in Redis are gone within a minute by themselves."""
        self.alone.forget(tenant_id)
        await self.cache.forget(tenant_id)


def shared(settings: Settings, cipher: Cipher, clock: Clock, registry: CollectorRegistry) -> Shared:
    """Nothing is connected yet. Raises SettingsError."""
    metrics = SharedMetrics(registry)
    alone = MemoryRateLimiter(clock)
    if settings.redis_url is None:
        return Shared(MemoryCache(clock, metrics), alone, MemoryFanout(), None, alone, metrics)
    files = TlsFiles(settings.redis.ca_file, settings.redis.certificate, settings.redis.key)
    link = connected(settings.redis_url.get_secret_value(), files, metrics)
    return Shared(
        RedisCache(link, cipher, metrics),
        RedisRateLimiter(link, alone, metrics),
        RedisFanout(link, cipher, metrics),
        link,
        alone,
        metrics,
    )

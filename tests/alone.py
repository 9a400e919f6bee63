"""What a gateway shares with other processes, where there are none and nobody counts the money."""

from typing import TypedDict
from uuid import UUID

from prometheus_client import CollectorRegistry

from frontdesk.core.clock import Clock
from frontdesk.core.errors import RateLimited
from frontdesk.core.limits import Limits
from frontdesk.llm.gateway import Afford
from frontdesk.llm.screen import Screen
from frontdesk.shared.cache import Cache, MemoryCache
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.rates import MemoryRateLimiter, RateLimiter
from tests.screens import screen


class Alone(TypedDict):
    rates: RateLimiter
    cache: Cache
    afford: Afford
    screen: Screen


def alone(clock: Clock) -> Alone:
    async def always(_tenant_id: UUID, _limits: Limits) -> RateLimited | None:
        return None

    cache = MemoryCache(clock, SharedMetrics(CollectorRegistry()))
    return {"rates": MemoryRateLimiter(clock), "cache": cache, "afford": always, "screen": screen()}

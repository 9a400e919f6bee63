"""How many turns a tenant has at once: in this process, or with Redis in all of them.

Each process writes down how many it has, under a lease that dies with it. Whether one more fits is asked in one atomic
step, in which the process's own number is what it knows itself.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Protocol
from uuid import UUID

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.redis import PREFIX, RedisAway, RedisLink

# The turns of a killed process count for so long; soon after, others have begun them anew (`turns.lease_s`).
LEASE_S = 10.0
# When turns have ended, others know it so soon: before a client that was refused comes again.
TELL_EVERY_S = 0.25

# KEYS: a hash process -> how many, until when in ms, which of its own writings it is. ARGV: the process, how many it
# has with the one that is to come, the writing's number, the lease in ms, and how many there may be (-1: whatever).
# By Redis's own time: the processes' may differ. An earlier writing that comes later is not written.
_WRITE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local me, held, number = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local lease_ms, most = tonumber(ARGV[4]), tonumber(ARGV[5])
local others, is_newest = 0, true
local fields = redis.call('HGETALL', KEYS[1])
for f = 1, #fields, 2 do
    local has, until_ms, written = string.match(fields[f + 1], '(%d+) (%d+) (%d+)')
    if fields[f] == me then
        is_newest = tonumber(written) < number
    elseif tonumber(until_ms) <= now then
        redis.call('HDEL', KEYS[1], fields[f])
    else
        others = others + has
    end
end
if most >= 0 and others + held > most then
    return 0
end
if is_newest and held == 0 then
    redis.call('HDEL', KEYS[1], me)
elseif is_newest then
    redis.call('HSET', KEYS[1], me, string.format('%.0f %.0f %.0f', held, now + lease_ms, number))
    redis.call('PEXPIRE', KEYS[1], lease_ms)
end
return 1
"""


class Places(Protocol):
    async def take(self, tenant_id: UUID, most: int) -> bool:
        """Whether one more fits. Then it is taken until `free`: by then its turn runs, or there will be none."""

    def free(self, tenant_id: UUID) -> None: ...


class MemoryPlaces:
    """Of this process."""

    def __init__(self, running: Callable[[UUID], int]) -> None:
        """`running`: how many turns of a tenant run here."""
        self._running = running
        self._coming: Counter[UUID] = Counter()  # taken, and not yet running

    def held(self, tenant_id: UUID) -> int:
        return self._running(tenant_id) + self._coming[tenant_id]

    async def take(self, tenant_id: UUID, most: int) -> bool:
        if self.held(tenant_id) >= most:
            return False
        self._coming[tenant_id] += 1
        return True

    def free(self, tenant_id: UUID) -> None:
        self._coming[tenant_id] -= 1
        if not self._coming[tenant_id]:
            del self._coming[tenant_id]


class _Told(msgspec.Struct):
    """What Redis knows of a tenant's turns here: how many, since when, by which writing."""

    held: int = -1
    at_s: float = 0.0
    number: int = 0


class RedisPlaces:
    """One count for all processes; while Redis is away each counts for itself.

    Turns that this process took over from a killed one count elsewhere as soon as a message of their tenant comes here.
    """

    def __init__(
        self,
        link: RedisLink,
        alone: MemoryPlaces,
        process: UUID,
        metrics: SharedMetrics,
        clock: Clock,
        lease_s: float = LEASE_S,
    ) -> None:
        """`process`: this one's name."""
        self._link = link
        self._alone = alone
        self._process = process.hex
        self._metrics = metrics
        self._clock = clock
        self._lease_s = lease_s
        self._told: dict[UUID, _Told] = {}
        self._numbers = count(1)
        self._write = link.client.register_script(_WRITE)

    async def take(self, tenant_id: UUID, most: int) -> bool:
        if not await self._alone.take(tenant_id, most):
            return False
        fits = False
        try:
            fits = await self._tell(tenant_id, most)
        except RedisAway:
            self._metrics.without.labels("turns").inc()
            fits = True
        finally:
            if not fits:
                self._alone.free(tenant_id)
        return fits

    def free(self, tenant_id: UUID) -> None:
        self._alone.free(tenant_id)

    async def run(self) -> None:
        """Tells what has ended, and keeps what goes on from running out. Until cancelled."""
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            with suppress(RedisAway):
                for tenant_id, told in list(self._told.items()):
                    is_old = self._clock.monotonic() - told.at_s >= self._lease_s / 3
                    if is_old or self._alone.held(tenant_id) != told.held:
                        await self._tell(tenant_id)

    async def _tell(self, tenant_id: UUID, most: int = -1) -> bool:
        """Raises RedisAway."""
        # Known from the beginning: what is written for a caller who goes away meanwhile is put right by `run`.
        told = self._told.setdefault(tenant_id, _Told())
        held, number, at_s = self._alone.held(tenant_id), next(self._numbers), self._clock.monotonic()
        key = f"{PREFIX}:turns:{{{tenant_id}}}"  # in braces: what a cluster keeps together
        said: list[str | int] = [self._process, held, number, int(self._lease_s * 1000), most]
        fits = bool(await self._link.ask(lambda: self._write([key], said)))
        if fits and told.number < number:
            told.held, told.at_s, told.number = held, at_s, number
            if not held and self._told.get(tenant_id) is told:
                del self._told[tenant_id]
        return fits

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

# While less than half of a limit is used its places are taken by blocks, a part in so many: a busy process then asks
# with few of its messages. Above that they are taken one by one, and nobody holds what he does not use.
BLOCKS = 64

# KEYS: a hash process -> how many it holds, until when in ms, which of its own writings it is. ARGV: the process, how
# many it has with the one that is to come, how many it would hold, the writing's number, the lease in ms, and how many
# there may be (-1: whatever). Answers how many it holds, -1 where the one that is to come does not fit, and how many
# others hold.
# By Redis's own time: the processes' may differ. An earlier writing that comes later is not written.
_WRITE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local me, held, holds, number = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lease_ms, most = tonumber(ARGV[5]), tonumber(ARGV[6])
local others, mine, is_newest = 0, 0, true
local fields = redis.call('HGETALL', KEYS[1])
for f = 1, #fields, 2 do
    local has, until_ms, written = string.match(fields[f + 1], '(%d+) (%d+) (%d+)')
    if fields[f] == me then
        mine, is_newest = tonumber(has), tonumber(written) < number
    elseif tonumber(until_ms) <= now then
        redis.call('HDEL', KEYS[1], fields[f])
    else
        others = others + has
    end
end
if most >= 0 then
    if others + held > most then
        return {-1, others}
    end
    if 2 * (others + holds) > most then
        holds = math.max(held, math.min(holds, mine, most - others))
    end
end
if is_newest and holds == 0 then
    redis.call('HDEL', KEYS[1], me)
elseif is_newest then
    redis.call('HSET', KEYS[1], me, string.format('%.0f %.0f %.0f', holds, now + lease_ms, number))
    redis.call('PEXPIRE', KEYS[1], lease_ms)
end
return {holds, others}
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
    """What Redis knows of a tenant's places here: how many are held, since when, by which writing.

    `most`: how many there may be; `block`: how many of them are taken at once.
    """

    most: int
    block: int
    holds: int = 0
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
        # Known from the beginning: what is written for a caller who goes away meanwhile is put right by `run`.
        told = self._told.setdefault(tenant_id, _Told(most, max(1, most // BLOCKS)))
        if self._alone.held(tenant_id) <= told.holds and self._age_s(told) < self._lease_s * 2 / 3:
            return True
        told.most = most
        fits = False
        try:
            wanted = _blocks(self._alone.held(tenant_id), told.block)
            fits = await self._tell(tenant_id, told, wanted, is_asked=True)
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
                    held = self._alone.held(tenant_id)
                    # No more than was given: what was not given is another's.
                    wanted = min(_blocks(held, told.block), max(held, told.holds))
                    if wanted != told.holds or self._age_s(told) >= self._lease_s / 3:
                        await self._tell(tenant_id, told, wanted)

    def _age_s(self, told: _Told) -> float:
        return self._clock.monotonic() - told.at_s

    async def _tell(self, tenant_id: UUID, told: _Told, wanted: int, *, is_asked: bool = False) -> bool:
        """Whether the last one taken fits. Raises RedisAway."""
        held, number, at_s = self._alone.held(tenant_id), next(self._numbers), self._clock.monotonic()
        if wanted < told.holds:  # before it is written: nobody here may count on more any longer
            told.holds, told.number = wanted, number
        key = f"{PREFIX}:turns:{{{tenant_id}}}"  # in braces: what a cluster keeps together
        lease_ms, most = int(self._lease_s * 1000), told.most if is_asked else -1
        said: list[str | int] = [self._process, held, wanted, number, lease_ms, most]
        answer: tuple[int, int] = await self._link.ask(lambda: self._write([key], said))
        holds, others = answer
        is_scarce = holds < 0 or 2 * (others + holds) > told.most
        told.block = 1 if is_scarce else max(1, told.most // BLOCKS)
        if holds >= 0 and told.number <= number:
            told.holds, told.at_s, told.number = holds, at_s, number
            if not self._alone.held(tenant_id) and not holds and self._told.get(tenant_id) is told:
                del self._told[tenant_id]
        return holds >= 0


def _blocks(held: int, block: int) -> int:
    """Enough blocks for `held`."""
    return -(-held // block) * block

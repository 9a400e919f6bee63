"""How much of a thing may be used in a minute: a moving window of sixty slots, here or in Redis.

A slot is forgotten as a whole when its end is a window ago: in no time as long as a window is more used than allowed.
"""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol
from uuid import UUID

import msgspec

from frontdesk.core.caches import forget
from frontdesk.core.clock import Clock
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.redis import PREFIX, RedisAway, RedisLink

WINDOW_S = 60.0
SLOTS = 60
MOST_WINDOWS = 50_000


class Use(msgspec.Struct, frozen=True):
    """`amount` of something of which `most` may be used in a window. Of no tenant's: the nil UUID."""

    name: str  # of a closed set
    key: str  # whose, within the tenant
    most: int
    amount: int = 1


class Refused(msgspec.Struct, frozen=True):
    """The use that is beyond its limit, and when it fits."""

    use: Use
    wait_s: float


class RateLimiter(Protocol):
    async def take(self, tenant_id: UUID, uses: Sequence[Use]) -> Refused | None:
        """Counts all of `uses`, or none where one is beyond its limit: the first such is returned.

        What never fits is let through by an empty window.
        """

    async def correct(self, tenant_id: UUID, name: str, key: str, amount: int) -> None:
        """Counts `amount` whatever the limit; a negative one gives back what was counted too much."""


class Window:
    """What was used of one thing."""

    __slots__ = ("_slots", "_used")

    def __init__(self) -> None:
        self._slots: list[tuple[int, int]] = []  # (slot, used), oldest first; few, and a deque takes 600 bytes for one
        self._used = 0

    def use(self, amount: int, slot: int) -> None:
        if self._slots and self._slots[-1][0] == slot:
            self._slots[-1] = (slot, self._slots[-1][1] + amount)
        else:
            self._slots.append((slot, amount))
        self._used += amount

    def free_at(self, amount: int, most: int, slot: int) -> int:
        """The slot from whose beginning on `amount` fits; `slot` when it does now."""
        while self._slots and self._slots[0][0] + SLOTS < slot:
            self._used -= self._slots.pop(0)[1]
        left = self._used
        if left <= 0 or left + amount <= most:
            return slot
        for used_in, used in self._slots:
            left -= used
            if left <= 0 or left + amount <= most:
                return used_in + SLOTS + 1
        return slot + SLOTS + 1


class MemoryRateLimiter:
    """Of this process. Of more than `most` windows the least recently used start anew."""

    def __init__(self, clock: Clock, window_s: float = WINDOW_S, most: int = MOST_WINDOWS) -> None:
        self._clock = clock
        self._slot_s = window_s / SLOTS
        self._most = most
        self._windows: OrderedDict[tuple[UUID, str, str], Window] = OrderedDict()  # the last asked for at the end

    async def take(self, tenant_id: UUID, uses: Sequence[Use]) -> Refused | None:
        now = self._clock.monotonic()
        slot = int(now / self._slot_s)
        windows = [self._window(tenant_id, use.name, use.key) for use in uses]
        for use, window in zip(uses, windows, strict=True):
            if (free_at := window.free_at(use.amount, use.most, slot)) > slot:
                return Refused(use, free_at * self._slot_s - now)
        for use, window in zip(uses, windows, strict=True):
            window.use(use.amount, slot)
        return None

    async def correct(self, tenant_id: UUID, name: str, key: str, amount: int) -> None:
        self._window(tenant_id, name, key).use(amount, int(self._clock.monotonic() / self._slot_s))

    def forget(self, tenant_id: UUID) -> None:
        forget(self._windows, tenant_id)

    def _window(self, *key: *tuple[UUID, str, str]) -> Window:
        window = self._windows.get(key)
        if window is not None:
            self._windows.move_to_end(key)
            return window
        if len(self._windows) >= self._most:
            self._windows.popitem(last=False)
        window = self._windows[key] = Window()
        return window


# KEYS: a hash slot -> used for each use. ARGV: the slot's length in ms, then limit and amount of each use.
# By Redis's own time: the processes' may differ.
_TAKE = f"""
local time = redis.call('TIME')
local now, slot_ms = time[1] * 1000 + time[2] / 1000, tonumber(ARGV[1])
local slot = math.floor(now / slot_ms)
for i, key in ipairs(KEYS) do
    local most, amount = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
    local fields, slots, used = redis.call('HGETALL', key), {{}}, 0
    for f = 1, #fields, 2 do
        local used_in = tonumber(fields[f])
        if used_in + {SLOTS} < slot then
            redis.call('HDEL', key, fields[f])
        else
            used = used + fields[f + 1]
            slots[#slots + 1] = {{used_in, tonumber(fields[f + 1])}}
        end
    end
    if used > 0 and used + amount > most then
        table.sort(slots, function(a, b) return a[1] < b[1] end)
        local free_at = slot + {SLOTS} + 1
        for _, s in ipairs(slots) do
            used = used - s[2]
            if used <= 0 or used + amount <= most then
                free_at = s[1] + {SLOTS} + 1
                break
            end
        end
        return {{i, math.ceil(free_at * slot_ms - now)}}
    end
end
for i, key in ipairs(KEYS) do
    redis.call('HINCRBY', key, slot, ARGV[2 * i + 1])
    redis.call('PEXPIRE', key, math.ceil(slot_ms * {SLOTS + 2}))
end
return {{0, 0}}
"""

# As above, without asking.
_CORRECT = f"""
local time = redis.call('TIME')
local slot_ms = tonumber(ARGV[1])
redis.call('HINCRBY', KEYS[1], math.floor((time[1] * 1000 + time[2] / 1000) / slot_ms), ARGV[2])
redis.call('PEXPIRE', KEYS[1], math.ceil(slot_ms * {SLOTS + 2}))
"""


class RedisRateLimiter:
    """One count for all processes, all windows of a question in one atomic step. While Redis is away each process
    counts for itself."""

    def __init__(
        self, link: RedisLink, alone: MemoryRateLimiter, metrics: SharedMetrics, window_s: float = WINDOW_S
    ) -> None:
        self._link = link
        self._alone = alone
        self._metrics = metrics
        self._slot_ms = window_s / SLOTS * 1000
        self._take = link.client.register_script(_TAKE)
        self._correct = link.client.register_script(_CORRECT)

    async def take(self, tenant_id: UUID, uses: Sequence[Use]) -> Refused | None:
        keys = [_key(tenant_id, use.name, use.key) for use in uses]
        numbers = [self._slot_ms, *(number for use in uses for number in (use.most, use.amount))]
        try:
            place, wait_ms = await self._link.ask(lambda: self._take(keys, numbers))
        except RedisAway:
            self._metrics.without.labels("limits").inc()
            return await self._alone.take(tenant_id, uses)
        return Refused(uses[place - 1], wait_ms / 1000) if place else None

    async def correct(self, tenant_id: UUID, name: str, key: str, amount: int) -> None:
        try:
            await self._link.ask(lambda: self._correct([_key(tenant_id, name, key)], [self._slot_ms, amount]))
        except RedisAway:
            self._metrics.without.labels("limits").inc()
            await self._alone.correct(tenant_id, name, key, amount)


def _key(tenant_id: UUID, name: str, key: str) -> str:
    """Contacts and addresses are not legible in it. In braces: what a cluster keeps together."""
    return f"{PREFIX}:limit:{{{tenant_id}}}:{name}:{blake2b(key.encode(), digest_size=12).hexdigest()}"

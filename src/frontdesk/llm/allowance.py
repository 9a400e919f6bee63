"""How much of a thing a tenant may use in a minute: a moving window of seconds, in memory.

Sixty counters a tenant whatever the rate: `limits` keeps one entry for each unit, a million for a million tokens.
"""

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from uuid import UUID

from frontdesk.core.clock import Clock

WINDOW_S = 60


class Allowance:
    """Uses of the last minute by tenant. Of more than `most` tenants the least recent start anew."""

    def __init__(self, clock: Clock, most: int = 10_000) -> None:
        self.of: Callable[[UUID], Window] = lru_cache(most)(lambda _tenant: Window(clock))


class Window:
    """What one tenant used in the last minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seconds: deque[tuple[int, int]] = deque()  # (second, used), oldest first
        self._used = 0

    def use(self, amount: int) -> None:
        """Count `amount`; a negative one gives back what was counted too much."""
        now = self._clock.monotonic()
        self._forget(now)
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + amount)
        else:
            self._seconds.append((second, amount))
        self._used += amount

    def wait_s(self, amount: int, per_minute: int) -> float:
        """Seconds until `amount` fits; 0 when it does now. What never fits is let through by an empty window alone."""
        now = self._clock.monotonic()
        self._forget(now)
        left = self._used
        if left <= 0 or left + amount <= per_minute:
            return 0.0
        for second, used in self._seconds:
            left -= used
            if left <= 0 or left + amount <= per_minute:
                return second + WINDOW_S - now
        return float(WINDOW_S)

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] + WINDOW_S <= now:
            self._used -= self._seconds.popleft()[1]

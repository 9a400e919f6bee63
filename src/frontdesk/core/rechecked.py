"""What was read and has not changed since: asked about all together now and then, not one by one."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Generic, TypeVar

from cachetools import LRUCache

from frontdesk.core.clock import Clock

K = TypeVar("K")
V = TypeVar("V")


class Rechecked(Generic[K, V]):
    """Values that are at most `fresh_s` behind, however many there are: a thousand cost one question in that time."""

    def __init__(
        self, most: int, fresh_s: float, clock: Clock, changed: Callable[[Mapping[K, V]], Awaitable[Iterable[K]]]
    ) -> None:
        """`most`: the least recently used go. `changed`: the keys of which something else is true by now."""
        self._kept: LRUCache[K, V] = LRUCache(most)
        self._fresh_s = fresh_s
        self._clock = clock
        self._changed = changed
        self._checked_at: float | None = None
        self._is_checking = False

    async def get(self, key: K) -> V | None:
        """None: it is not known here, or not certain while another's check is on its way; read it and `put` it.

        Raises what the check raises, to the one whose turn it is.
        """
        if not self._is_fresh() and not self._is_checking:
            await self._check()
        return self._kept.get(key) if self._is_fresh() else None

    def put(self, key: K, value: V) -> None:
        self._kept[key] = value

    def drop(self, is_gone: Callable[[V], bool]) -> None:
        for key in [key for key, value in self._kept.items() if is_gone(value)]:
            self._kept.pop(key, None)

    def _is_fresh(self) -> bool:
        return self._checked_at is not None and self._clock.monotonic() - self._checked_at < self._fresh_s

    async def _check(self) -> None:
        begun, known = self._clock.monotonic(), dict(self._kept)
        self._is_checking = True
        try:
            for key in await self._changed(known) if known else ():
                self._kept.pop(key, None)
        finally:
            self._is_checking = False
        self._checked_at = begun  # what was put since is newer

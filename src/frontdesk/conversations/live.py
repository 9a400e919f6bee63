"""What happens in a running turn, for whoever is connected here: one shared log a turn, no queue a client."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from uuid import UUID

from frontdesk.agents.live import Live as AgentLive
from frontdesk.conversations.models import Answer, Failure

# What the agents tell while they work, in order.
Happening = AgentLive
Outcome = Answer | Failure


class TurnLive:
    """The happenings of one attempt of a turn in this process, in order, and its outcome."""

    def __init__(self, attempt: int, *, is_heard: bool = False) -> None:
        self.attempt = attempt
        self.is_heard = is_heard  # somebody wants the answer as it is written, not only its end
        self.happenings: list[Happening] = []
        self.outcome: Outcome | None = None
        # Gone without an outcome: the turn went to another worker.
        self.is_over = False
        self._changed = asyncio.Event()

    def say(self, happening: Happening) -> None:
        self.happenings.append(happening)
        self._announce()

    def end(self, outcome: Outcome | None) -> None:
        self.outcome = outcome
        self.is_over = True
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, seen: int, timeout_s: float) -> bool:
        """True when there is more than `seen` happenings or the turn is over; False when the time is over."""
        if self.is_over or len(self.happenings) > seen:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True


class Live:
    """The turns that run here, and those who wait for the end of one that may run elsewhere."""

    def __init__(self) -> None:
        self._turns: dict[UUID, TurnLive] = {}
        self._watching: dict[UUID, set[asyncio.Event]] = {}  # by turn or conversation
        self._hearing: Counter[UUID] = Counter()  # by turn

    def begin(self, turn_id: UUID, attempt: int, *, is_heard: bool = False) -> TurnLive:
        live = TurnLive(attempt, is_heard=is_heard or turn_id in self._hearing)
        self._turns[turn_id] = live
        self.touched(turn_id)
        return live

    def get(self, turn_id: UUID) -> TurnLive | None:
        return self._turns.get(turn_id)

    def end(self, turn_id: UUID, live: TurnLive, outcome: Outcome | None) -> None:
        """Those who follow it have their own hold on it; it is not kept beyond them."""
        live.end(outcome)
        if self._turns.get(turn_id) is live:
            del self._turns[turn_id]
        self.touched(turn_id)

    def touched(self, *ids: UUID) -> None:
        """Something began or ended, here or elsewhere, in these turns or conversations: whoever watches looks."""
        for id_ in ids:
            for touched in self._watching.get(id_, ()):
                touched.set()

    @contextmanager
    def watch(self, turn_id: UUID, conversation_id: UUID, *, hears: bool) -> Iterator[asyncio.Event]:
        """An event that is set when the turn or conversation is touched. Watch first, look then, wait last.

        `hears`: what the turn says is wanted as it comes, not only how it ends.
        """
        touched = asyncio.Event()
        ids = (turn_id, conversation_id)
        for id_ in ids:
            self._watching.setdefault(id_, set()).add(touched)
        if hears:
            self._hearing[turn_id] += 1
            if running := self._turns.get(turn_id):
                running.is_heard = True
        try:
            yield touched
        finally:
            for id_ in ids:
                self._watching[id_].discard(touched)
                if not self._watching[id_]:
                    del self._watching[id_]
            if hears:
                self._hearing[turn_id] -= 1
                if not self._hearing[turn_id]:
                    del self._hearing[turn_id]

    @property
    def running(self) -> int:
        return len(self._turns)


async def happenings_of(live: TurnLive, start: int, heartbeat_s: float) -> AsyncIterator[tuple[int, Happening] | None]:
    """(number from 1, happening) from `start` on; None when nothing happened for `heartbeat_s`. Ends with the turn."""
    seen = start
    while True:
        while seen < len(live.happenings):
            seen += 1
            yield seen, live.happenings[seen - 1]
        if live.is_over:
            return
        if not await live.wait(seen, heartbeat_s):
            yield None

"""What happens in a running turn, for whoever is connected here: one shared log a turn, no queue a client."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
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
        # Without an outcome: the turn went to another worker.
        self.is_over = False
        self._over = asyncio.Event()
        self._listening: set[asyncio.Event] = set()

    def say(self, happening: Happening) -> None:
        self.happenings.append(happening)
        for heard in self._listening:
            heard.set()

    def end(self, outcome: Outcome | None) -> None:
        self.outcome = outcome
        self.is_over = True
        self._over.set()
        for heard in self._listening:
            heard.set()

    async def over(self) -> None:
        """Returns when the turn is over: for those who don't care how it goes until then."""
        await self._over.wait()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever something happens, or the turn is over."""
        heard = asyncio.Event()
        self._listening.add(heard)
        try:
            yield heard
        finally:
            self._listening.discard(heard)

    @property
    def listeners(self) -> int:
        return len(self._listening)


class Live:
    """The turns that run here, and those who wait for the end of one that may run elsewhere."""

    def __init__(self) -> None:
        self._turns: dict[UUID, TurnLive] = {}
        self._watching: dict[UUID, set[asyncio.Event]] = {}  # by turn or conversation
        self._hearing: Counter[UUID] = Counter()  # by turn
        self.on_begin: Callable[[UUID], None] = lambda _turn_id: None

    def begin(self, turn_id: UUID, attempt: int, *, is_heard: bool = False) -> TurnLive:
        live = TurnLive(attempt, is_heard=is_heard or turn_id in self._hearing)
        self._turns[turn_id] = live
        self.touched(turn_id)
        self.on_begin(turn_id)
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


async def happenings_of(live: TurnLive, start: int, heartbeat_s: float) -> AsyncIterator[Sequence[Happening]]:
    """What happens from number `start` on, together what happened while the reader was busy. Ends with the turn.

    Empty every `heartbeat_s`, when there is nothing else to say at that moment: one timer, not one for each wait.
    """
    seen = start
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def beat() -> None:
        nonlocal timer
        timer = loop.call_later(heartbeat_s, beat)
        heard.set()

    with live.listening() as heard:
        timer = loop.call_later(heartbeat_s, beat)
        try:
            while True:
                if said := live.happenings[seen:]:
                    seen += len(said)
                    yield said
                    continue
                if live.is_over:
                    return
                heard.clear()
                await heard.wait()
                if len(live.happenings) == seen and not live.is_over:
                    yield ()
        finally:
            timer.cancel()

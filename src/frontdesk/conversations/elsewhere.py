"""What turns that run in other processes say, for those who are connected here; and the other way round.

Who listens asks all processes for a turn; the one that runs it tells him everything from its beginning on, and what
follows. Asking is repeated until somebody tells. What gets lost on the way costs the deltas, never the answer: the end
of a turn is in the log.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any  # a happening's fields, by its kind
from uuid import UUID

import msgspec
from cachetools import TTLCache

from frontdesk.agents.live import Status
from frontdesk.conversations.live import Happening, Live, TurnLive, happenings_of
from frontdesk.llm.types import Restart, TextDelta
from frontdesk.shared.fanout import Fanout

_ASKED = "turns.asked"
# How long it is remembered who asked for a turn that does not run here: it may begin here yet.
_REMEMBER_S = 300.0
_MOST_ASKED = 10_000
_MOST_WAITING = 10_000
_QUIET_S = 15.0

_KINDS: dict[str, type[Happening]] = {"text": TextDelta, "status": Status, "restart": Restart}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class Asked(msgspec.Struct, frozen=True):
    """`by` listens on a topic of his own."""

    turn_id: UUID
    by: UUID


class Told(msgspec.Struct, frozen=True):
    """Happenings of an attempt from number `start` on; `is_over`: no more come from there."""

    turn_id: UUID
    attempt: int
    start: int
    happenings: tuple[tuple[str, dict[str, Any]], ...]
    is_over: bool = False


_asked, _told = msgspec.json.Decoder(Asked), msgspec.json.Decoder(Told)


class Echo:
    """What is known here of a turn that runs elsewhere."""

    def __init__(self) -> None:
        self.attempt: int | None = None  # nobody has told yet
        self.happenings: list[Happening] = []
        self.is_over = False
        self.listeners = 0

    def forget(self) -> None:
        self.attempt, self.is_over = None, False
        self.happenings = []

    def hear(self, told: Told) -> None:
        """Raises msgspec.ValidationError for what only another version knows."""
        if told.attempt != self.attempt:
            self.forget()
        if told.start > len(self.happenings):  # something was lost: it has to be asked for again, from the beginning
            self.forget()
            return
        new = [_happening(kind, fields) for kind, fields in told.happenings[len(self.happenings) - told.start :]]
        self.attempt = told.attempt
        self.is_over = told.is_over
        self.happenings += new


class Elsewhere:
    def __init__(self, fanout: Fanout, live: Live, worker_id: UUID) -> None:
        self._fanout = fanout
        self._live = live
        self._own = worker_id
        self._echoes: dict[UUID, Echo] = {}
        # Who asked, by turn; and for whom a turn's happenings are being told: the newest asking counts.
        self._asked: TTLCache[UUID, dict[UUID, UUID]] = TTLCache(_MOST_ASKED, _REMEMBER_S)
        self._telling: dict[tuple[UUID, UUID], object] = {}
        self._waiting: asyncio.Queue[tuple[UUID, UUID, UUID]] = asyncio.Queue(_MOST_WAITING)
        live.on_begin = self._begun
        fanout.listen(_ASKED, self._heard_asking)
        fanout.listen(_topic(worker_id), self._heard_telling)

    @contextmanager
    def listening(self, turn_id: UUID) -> Iterator[Echo]:
        """The turn's echo, which grows while somebody listens; `Live.watch` wakes them."""
        echo = self._echoes.setdefault(turn_id, Echo())
        echo.listeners += 1
        try:
            yield echo
        finally:
            echo.listeners -= 1
            if not echo.listeners:
                del self._echoes[turn_id]

    async def ask(self, tenant_id: UUID, turn_id: UUID) -> None:
        await self._fanout.publish(tenant_id, _ASKED, msgspec.json.encode(Asked(turn_id, self._own)))

    async def run(self) -> None:
        """Tells those who asked. Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._fanout.run(self._lost))
            while True:
                tenant_id, turn_id, by = await self._waiting.get()
                if (running := self._live.get(turn_id)) is not None:
                    group.create_task(self._tell(tenant_id, turn_id, running, by))

    def _heard_asking(self, tenant_id: UUID, message: bytes) -> None:
        asked = _asked.decode(message)
        if asked.by == self._own:
            return
        self._asked.setdefault(asked.turn_id, {})[asked.by] = tenant_id
        if self._live.get(asked.turn_id) is not None:
            self._tell_later(tenant_id, asked.turn_id, asked.by)

    def _begun(self, turn_id: UUID) -> None:
        for by, tenant_id in self._asked.get(turn_id, {}).items():
            self._tell_later(tenant_id, turn_id, by)

    def _tell_later(self, tenant_id: UUID, turn_id: UUID, by: UUID) -> None:
        running = self._live.get(turn_id)
        if running is None or self._waiting.full():  # he asks again
            return
        running.is_heard = True
        self._waiting.put_nowait((tenant_id, turn_id, by))

    async def _tell(self, tenant_id: UUID, turn_id: UUID, running: TurnLive, by: UUID) -> None:
        """To the end, or until nobody hears it, or until he asks anew."""
        token = self._telling[turn_id, by] = object()
        start = 0
        async for happenings in happenings_of(running, 0, _QUIET_S):
            if self._telling.get((turn_id, by)) is not token:
                return
            told = Told(turn_id, running.attempt, start, _packed(happenings))
            if happenings and not await self._fanout.publish(tenant_id, _topic(by), msgspec.json.encode(told)):
                break
            start += len(happenings)
        else:
            over = Told(turn_id, running.attempt, start, (), is_over=True)
            await self._fanout.publish(tenant_id, _topic(by), msgspec.json.encode(over))
            self._asked.pop(turn_id, None)
        if self._telling.get((turn_id, by)) is token:
            del self._telling[turn_id, by]

    def _heard_telling(self, _tenant_id: UUID, message: bytes) -> None:
        told = _told.decode(message)
        if (echo := self._echoes.get(told.turn_id)) is not None:
            echo.hear(told)
            self._live.touched(told.turn_id)

    def _lost(self) -> None:
        """What comes next may not follow what came last."""
        for turn_id, echo in self._echoes.items():
            echo.forget()
            self._live.touched(turn_id)


def _topic(process: UUID) -> str:
    return f"turns.{process}"


def _happening(kind: str, fields: dict[str, Any]) -> Happening:
    if kind not in _KINDS:
        raise msgspec.ValidationError(f"Nothing that happens here is called {kind!r}.")
    return msgspec.convert(fields, _KINDS[kind])


def _packed(happenings: Sequence[Happening]) -> tuple[tuple[str, dict[str, Any]], ...]:
    return tuple((_NAMES[type(each)], msgspec.structs.asdict(each)) for each in happenings)

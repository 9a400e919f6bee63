"""Who waits for events learns of new ones: in this process at once, in others by NOTIFY, by polling if all fails."""

import asyncio
from contextlib import suppress

import structlog

from frontdesk.core.errors import DatabaseUnavailable
from frontdesk.db import Database

CHANNEL = "frontdesk_events"
# One NOTIFY in this time, however much is written: each is a statement here and a look at the log everywhere.
EVERY_S = 0.25
RECONNECT_S = 1.0

log = structlog.get_logger()


class Bell:
    """Whoever waits here is woken when it rings."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()
        # How often it rang. A reader notes it before it reads: what is written while it reads then wakes it too.
        self.count = 0

    def ring(self) -> None:
        self.count += 1
        for waiting in self._waiting:
            waiting.set()

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Until `count` is beyond `seen`, or the time is over: then it is time to look anyway."""
        if self.count != seen:
            return
        waiting = asyncio.Event()
        self._waiting.add(waiting)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await waiting.wait()
        finally:
            self._waiting.discard(waiting)


class Wakeups:
    """Writers call `wake` after their commit; readers wait at the bell of what concerns them."""

    def __init__(self, db: Database, *, notify: bool) -> None:
        """`notify`: other processes may work on the same database."""
        self._db = db
        self._notify = notify
        self._written = asyncio.Event()
        self.anywhere = Bell()  # something was committed to the log
        self.elsewhere = Bell()  # … by another process

    def wake(self) -> None:
        """Something was committed to the log here."""
        self.anywhere.ring()
        self._written.set()

    async def run(self) -> None:
        """Tells other processes and hears them. Runs until cancelled; without `notify` there is nobody to tell."""
        while self._notify:
            try:
                # One that is lost is found out by writing to it.
                async with self._db.listening(CHANNEL, self._heard, on_loss=self._written.set) as connection:
                    self._heard()  # what others wrote while nobody listened
                    while True:
                        await self._written.wait()
                        self._written.clear()
                        await connection.execute(f"NOTIFY {CHANNEL}")
                        await asyncio.sleep(EVERY_S)
            except DatabaseUnavailable:
                log.warning("wakeups.lost", retry_s=RECONNECT_S)
                await asyncio.sleep(RECONNECT_S)

    def _heard(self) -> None:
        self.anywhere.ring()
        self.elsewhere.ring()

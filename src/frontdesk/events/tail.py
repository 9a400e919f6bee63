"""The live end of the log: tells this process's listeners which keys changed. Keeps no position."""

import asyncio
from collections.abc import Callable

from frontdesk.core.errors import DatabaseUnavailable
from frontdesk.events.log import PostgresLog
from frontdesk.events.models import Event
from frontdesk.events.wakeups import Bell

BATCH = 500
POLL_S = 1.0
COALESCE_S = 0.02


async def follow(events: PostgresLog, bell: Bell, topics: tuple[str, ...], on_event: Callable[[Event], None]) -> None:
    """Calls `on_event` for each event that commits from now on. Runs until cancelled; a lost database is waited for."""
    position = None
    while True:
        try:
            seen = bell.count
            position = position or await events.end()
            batch = await events.after(position, topics, BATCH)
        except DatabaseUnavailable as error:
            await asyncio.sleep(error.retry_after or 1.0)
            continue
        for position, event in batch:  # noqa: B007 - the last one is where the next batch begins
            if event is not None:
                on_event(event)
        if len(batch) < BATCH:
            await bell.wait(seen, POLL_S)
            await asyncio.sleep(COALESCE_S)

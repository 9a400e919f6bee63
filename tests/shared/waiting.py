"""Waits for what another process does, no longer than a hang takes."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.conftest import HANG_S


async def until(condition: Callable[[], Awaitable[bool]], every_s: float = 0.01) -> None:
    async with asyncio.timeout(HANG_S):
        while not await condition():
            await asyncio.sleep(every_s)

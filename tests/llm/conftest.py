"""Parts for the tests of the gateway and the adapters."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest


class MovableClock:
    """Time that stands still until the test moves it."""

    def __init__(self) -> None:
        self._passed_s = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 11, 21, 9, 0, tzinfo=UTC) + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        return self._passed_s

    def move(self, seconds: float) -> None:
        self._passed_s += seconds


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session

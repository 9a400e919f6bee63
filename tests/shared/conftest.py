"""Links to the redis-server of a test, and their metrics."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry
from tests.redis_server import RedisServer

from frontdesk.core.tls import TlsFiles
from frontdesk.db.cipher import Cipher
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.redis import RedisLink, connected


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> SharedMetrics:
    return SharedMetrics(registry)


@pytest.fixture
def cipher() -> Cipher:
    return Cipher([bytes(range(32))])


@pytest.fixture
async def link(redis_server: RedisServer, metrics: SharedMetrics) -> AsyncIterator[RedisLink]:
    link = connected(redis_server.url, TlsFiles(), metrics)
    assert await link.look()
    looking = asyncio.create_task(link.run())
    yield link
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking
    await link.close()

"""What processes tell one another at once. Nothing is kept: who must not miss it reads the log as well."""

import asyncio
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

import msgspec
import structlog
from redis.exceptions import RedisError

from frontdesk.db.cipher import Cipher, DecryptFailed
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.redis import PREFIX, RedisAway, RedisLink

Hear = Callable[[UUID, bytes], None]

QUIET_S = 5.0  # a connection that says nothing for so long is asked whether it lives
RETRY_S = 1.0

log = structlog.get_logger()


class Fanout(Protocol):
    """Messages of a tenant on a topic, to every process that listens there, this one among them."""

    async def publish(self, tenant_id: UUID, topic: str, message: bytes) -> bool:
        """False when nobody could be told."""

    def listen(self, topic: str, hear: Hear) -> None:
        """Before `run`. `hear` is plain and quick; what it can't decode (MsgspecError) is dropped."""

    async def run(self, lost: Callable[[], None]) -> None:
        """Brings what others say; until cancelled. `lost`: messages may have been missed up to now."""


class MemoryFanout:
    """Within this process."""

    def __init__(self) -> None:
        self._hearing: dict[str, list[Hear]] = {}

    async def publish(self, tenant_id: UUID, topic: str, message: bytes) -> bool:
        for hear in self._hearing.get(topic, ()):
            hear(tenant_id, message)
        return True

    def listen(self, topic: str, hear: Hear) -> None:
        self._hearing.setdefault(topic, []).append(hear)

    async def run(self, lost: Callable[[], None]) -> None:
        """Whoever publishes brings it himself."""
        await asyncio.Event().wait()


class RedisFanout:
    """By Redis's publish and subscribe, sealed for the tenant."""

    def __init__(self, link: RedisLink, cipher: Cipher, metrics: SharedMetrics) -> None:
        self._link = link
        self._cipher = cipher
        self._metrics = metrics
        self._hearing: dict[str, list[Hear]] = {}

    async def publish(self, tenant_id: UUID, topic: str, message: bytes) -> bool:
        sealed = tenant_id.bytes + self._cipher.seal(tenant_id, message)
        try:
            return bool(await self._link.ask(lambda: self._link.client.publish(_channel(topic), sealed)))
        except RedisAway:
            self._metrics.without.labels("fanout").inc()
            return False

    def listen(self, topic: str, hear: Hear) -> None:
        self._hearing.setdefault(_channel(topic), []).append(hear)

    async def run(self, lost: Callable[[], None]) -> None:
        while True:
            try:
                await self._hear()
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("fanout.lost", error=type(error).__name__, retry_s=RETRY_S)
            lost()
            await asyncio.sleep(RETRY_S)

    async def _hear(self) -> None:
        """Until the connection is lost. Raises RedisError, OSError, TimeoutError."""
        async with self._link.hearing.pubsub() as connection:
            await connection.subscribe(*self._hearing)
            while True:
                told = await connection.get_message(timeout=QUIET_S)
                if told is None:
                    await connection.ping()
                    told = await connection.get_message(timeout=QUIET_S)  # the answer, or what came before it
                if told is None:
                    raise TimeoutError
                self._told(told)

    def _told(self, told: dict[str, object]) -> None:
        if told["type"] != "message":
            return
        channel, sealed = told["channel"], told["data"]
        assert isinstance(channel, bytes) and isinstance(sealed, bytes), "nothing here asks for text"
        try:
            tenant_id = UUID(bytes=sealed[:16])
            message = self._cipher.open(tenant_id, sealed[16:])
        except (ValueError, DecryptFailed) as error:  # another deployment's, or another key's
            log.warning("fanout.unreadable", error=type(error).__name__)
            return
        for hear in self._hearing[channel.decode()]:
            try:
                hear(tenant_id, message)
            except msgspec.MsgspecError as error:  # of a server of another version: what follows is heard all the same
                log.warning("fanout.unreadable", error=type(error).__name__)


def _channel(topic: str) -> str:
    return f"{PREFIX}:{topic}"

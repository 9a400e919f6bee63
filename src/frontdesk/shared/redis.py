"""The way to Redis: a pool of connections, and whether it answers. Nobody waits for one that is away."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from frontdesk.core.errors import SettingsError, Unavailable
from frontdesk.core.tls import TlsFiles
from frontdesk.shared.metrics import SharedMetrics

Answer = TypeVar("Answer")

# An answer takes a fraction of a millisecond, our own loop's delays some tens more. After this it counts as away.
ANSWER_S = 1.0
CONNECT_S = 1.0
LOOK_EVERY_S = 1.0
# A burst shares these and waits: that costs 25 us of CPU a command, a connection for each would cost seconds.
MOST_CONNECTIONS = 32

PREFIX = "frontdesk"

log = structlog.get_logger()


class RedisAway(Unavailable):
    """Redis does not answer: whoever asks goes on without it."""


class RedisLink:
    """Commands by `ask`, which fails at once while Redis is away; `run` finds out when it is back."""

    def __init__(self, client: Redis, hearing: Redis, metrics: SharedMetrics) -> None:
        """`hearing`: for the one connection that listens."""
        self.client = client
        self.hearing = hearing
        self._metrics = metrics
        self.is_up = False

    async def ask(self, command: Callable[[], Awaitable[Answer]]) -> Answer:
        """Raises RedisAway."""
        if not self.is_up:
            raise RedisAway("Redis is not reachable.")
        try:
            return await command()
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(error)
            raise RedisAway("Redis is not reachable.") from error

    async def look(self) -> bool:
        """Whether it answers now. Raises SettingsError where it does, and refuses us."""
        try:
            await self.client.ping()
        except AuthenticationError as error:
            raise SettingsError("FRONTDESK_REDIS_URL: the server refused the user or password.") from error
        except ResponseError as error:
            if str(error).startswith(("NOAUTH", "NOPERM", "WRONGPASS")):
                raise SettingsError("FRONTDESK_REDIS_URL: the server wants a user and password.") from error
            self._lost(error)  # it loads what it had kept, or the like
        except (RedisError, OSError, TimeoutError) as error:
            if (refused := _certificate_refused(error)) is not None:
                sentence = f"FRONTDESK_REDIS_URL: the server's certificate was refused: {refused}."
                raise SettingsError(sentence) from error
            self._lost(error)
        else:
            if not self.is_up:
                log.info("redis.found")
            self.is_up = True
            self._metrics.up.set(1)
        return self.is_up

    async def run(self) -> None:
        """Looks every second. Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except SettingsError as error:  # the password was changed while we ran
                self._lost(error)

    async def close(self) -> None:
        for client in (self.client, self.hearing):
            await client.aclose()
            await client.connection_pool.disconnect()

    def _lost(self, error: Exception) -> None:
        if self.is_up:
            self._metrics.lost.inc()
            log.warning("redis.lost", error=type(error).__name__)
        self.is_up = False
        self._metrics.up.set(0)


def _certificate_refused(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def connected(url: str, tls: TlsFiles, metrics: SharedMetrics) -> RedisLink:
    """A link that has not looked yet. Raises SettingsError for what is no URL of Redis."""
    files: dict[str, str] = {}
    if tls.given:
        if not url.startswith("rediss://"):
            raise SettingsError("FRONTDESK_REDIS_URL: must begin with rediss:// where FRONTDESK_REDIS__… names files.")
        tls.context("FRONTDESK_REDIS__")  # says what is wrong with a file; the library makes its own
        named = {"ssl_ca_certs": tls.ca_file, "ssl_certfile": tls.certificate, "ssl_keyfile": tls.key}
        files = {name: str(path) for name, path in named.items() if path is not None}

    def pool(retries: int, most: int) -> BlockingConnectionPool:
        return BlockingConnectionPool.from_url(
            url,
            max_connections=most,
            timeout=ANSWER_S,
            socket_timeout=ANSWER_S,
            socket_connect_timeout=CONNECT_S,
            retry=Retry(NoBackoff(), retries),
            client_name="frontdesk",
            **files,
        )

    try:
        # Once again for a connection that ended while nobody used it. Who listens must learn of each loss.
        asking, hearing = pool(1, MOST_CONNECTIONS), pool(0, 1)
    except (ValueError, TypeError) as error:
        raise SettingsError("FRONTDESK_REDIS_URL: is not a URL of Redis, redis://:password@host:6379/0.") from error
    return RedisLink(Redis(connection_pool=asking), Redis(connection_pool=hearing), metrics)

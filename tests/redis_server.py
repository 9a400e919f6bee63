"""A real redis-server of a test's own, which may be killed, frozen and started again."""

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import redis.asyncio
from redis.exceptions import RedisError

PROGRAM = shutil.which("redis-server")
HANG_S = 60.0


class RedisServer:
    """On loopback, at a port that it keeps; with nothing on disk."""

    def __init__(self, folder: Path, options: Sequence[str] = (), scheme: str = "redis", password: str = "") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self._options = options
        self._password = password
        self.url = f"{scheme}://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        assert PROGRAM is not None
        port = (
            ["--port", str(self.port)]
            if self.url.startswith("redis:")
            else ["--tls-port", str(self.port), "--port", "0"]
        )
        password = ["--requirepass", self._password] if self._password else []
        self._process = await asyncio.create_subprocess_exec(
            PROGRAM, *port, *password, "--bind", "127.0.0.1", "127.0.0.2", "--save", "", "--appendonly", "no",
            "--daemonize", "no", "--dir", str(self.folder), *self._options,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(HANG_S):
            while not await self._listens():
                assert self._process.returncode is None, "redis-server did not start"
                await asyncio.sleep(0.02)

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    def freeze(self) -> None:
        """It takes connections and commands, and answers none."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._signal(signal.SIGCONT)
            self._signal(signal.SIGKILL)
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    async def everything(self) -> bytes:
        """All that it holds, keys and values."""
        client = redis.asyncio.Redis.from_url(self.url)
        found = []
        async for key in client.scan_iter():
            found.append(key)
            try:
                found.append(await client.get(key) or b"")
            except RedisError:
                found += [part for pair in (await client.hgetall(key)).items() for part in pair]
        await client.aclose()
        return b"\n".join(found)


def needs_redis() -> None:
    if PROGRAM is None:
        assert os.environ.get("CI") != "true", "redis-server is missing, and its tests must not be skipped in CI"
        pytest.skip("there is no redis-server: run scripts/test-servers")


@pytest.fixture
async def redis_server() -> AsyncIterator[RedisServer]:
    needs_redis()
    with tempfile.TemporaryDirectory(prefix="frontdesk-redis-") as folder:
        server = RedisServer(Path(folder))
        await server.start()
        try:
            yield server
        finally:
            await server.kill()

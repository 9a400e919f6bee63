"""The line between a server and its provider, which a test may break in the ways that lines break."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

# through: whole. silent: taken, and never answered. unread: taken, and never read. cut: half of the answer, then gone.
# dripping: a byte of the answer now and then. down: nobody there.
MODES = ("silent", "unread", "cut", "dripping", "down")
HALF = 200  # bytes: into the answer's body


class Line:
    """Listens, and passes on to `target` what comes, in the way of its `mode`. `calls`: connections that came."""

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        assert address.hostname is not None and address.port is not None
        self._target = (address.hostname, address.port)
        self._path = address.path
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._mode = "through"
        self.calls = 0

    async def start(self) -> None:
        # A small buffer, so that what is not read is soon not sent either.
        self._server = await asyncio.start_server(self._taken, "127.0.0.1", self._port, limit=1024)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}{self._path}"

    async def become(self, mode: str) -> None:
        """Also what is open breaks."""
        await self.stop()
        self._mode = mode
        if mode != "down":
            await self.start()

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.calls += 1
        try:
            if self._mode == "unread":
                writer.transport.pause_reading()  # type: ignore[attr-defined]  # typeshed knows the write half only
                await asyncio.Event().wait()
            if self._mode == "silent":
                while await reader.read(1024):
                    pass
                return
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_pass_on(reader, far_writer))
                    await self._answer(far_reader, writer)
                    raise asyncio.CancelledError
            finally:
                far_writer.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while data := await reader.read(1 if self._mode == "dripping" else 1024):
            if self._mode == "cut" and passed + len(data) > HALF:
                writer.write(data[: HALF - passed])
                await writer.drain()
                return
            writer.write(data)
            await writer.drain()
            passed += len(data)
            if self._mode == "dripping":
                await asyncio.sleep(0.05)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1024):
            writer.write(data)
            await writer.drain()

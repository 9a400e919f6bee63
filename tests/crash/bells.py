"""The service that the desk's http tools call: it counts what reaches it, by text and key, and outlives the servers."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web


@dataclass
class Bells:
    """`calls`: by path and text, how often each key came. `held`: answers wait until it is set."""

    url: str = ""
    calls: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    took_s: float = 0.1  # long enough that kills fall into calls
    held: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None

    def __post_init__(self) -> None:
        self.held.set()

    def of(self, path: str) -> dict[str, Counter[str]]:
        """By text: how often each key came."""
        return {text: keys for (at, text), keys in self.calls.items() if at == path}

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{path}", self._called)
        # The other side of a call that is cut goes on, as a real service would.
        self._runner = web.AppRunner(app, handler_cancellation=False, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        self.held.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _called(self, request: web.Request) -> web.Response:
        text = (await request.json())["text"]
        self.calls[f"/{request.match_info['path']}", text][request.headers["Idempotency-Key"]] += 1
        self.came.set()
        await asyncio.sleep(self.took_s)
        await self.held.wait()
        return web.json_response({"written": text})


@pytest.fixture
async def bells() -> AsyncIterator[Bells]:
    bells = Bells()
    await bells.start()
    yield bells
    await bells.stop()

"""The server's side of the page's conversation on loopback, spoken word by word by each test."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from frontdesk.console import CONTENT_SECURITY_POLICY, STATIC

HEADERS = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "X-Content-Type-Options": "nosniff"}
PATIENCE_S = 15.0


class Exchange:
    """A request of the page that waits for what the test answers."""

    def __init__(self, request: web.Request, body: Any) -> None:
        self.request = request
        self.body = body
        self.over = asyncio.Event()
        self._response: web.StreamResponse | None = None

    @property
    def key(self) -> str:
        return self.request.headers["Idempotency-Key"]

    @property
    def last_event_id(self) -> str | None:
        return self.request.headers.get("Last-Event-ID")

    @property
    def wants(self) -> str:
        """What the page asked for: `POST chat`, `POST messages`, `GET stream`."""
        return f"{self.request.method} {self.request.path.rsplit('/', 1)[-1]}"

    async def reply(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        text = "" if body is None else json.dumps(body)
        self._response = web.Response(status=status, text=text, content_type="application/json", headers=headers)
        self.over.set()

    async def refuse(self, status: int, error_code: str, detail: str = "No.", retry_after: int | None = None) -> None:
        body = {"detail": detail, "error_code": error_code, "timestamp": now(), "correlation_id": "c-1"}
        await self.reply(status, body | {"retry_after": retry_after})

    async def event(self, type_: str, data: Any, event_id: str | None = None) -> None:
        identity = "" if event_id is None else f"id: {event_id}\n"
        await self.raw(f"{identity}event: {type_}\ndata: {json.dumps(data)}\n\n")

    async def raw(self, text: str) -> None:
        if self._response is None:
            self._response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await self._response.prepare(self.request)
        assert isinstance(self._response, web.StreamResponse)
        await self._response.write(text.encode())

    async def accepted(self, seq: int, event_id: str | None = None) -> None:
        await self.event("accepted", {"message_id": f"m-{seq}", "seq": seq}, event_id)

    async def answer(self, seq: int, text: str, **fields: Any) -> None:
        await self.event("answer", answer(seq, text, **fields), f"e-{seq}")
        self.over.set()

    async def cut(self) -> None:
        """The line breaks."""
        transport = self.request.transport
        assert transport is not None
        transport.abort()
        self.over.set()

    async def handled(self) -> web.StreamResponse:
        await self.over.wait()
        return self._response or web.Response(status=204)


class ScriptedDesk:
    """Serves the page's real files; reads of the page and the history come from its fields, the rest from the test."""

    def __init__(self) -> None:
        self.url = ""
        self.about: dict[str, Any] | None = {
            "slug": "clinic",
            "name": "Lakeside Clinic",
            "greeting": "Hello! How can we help you today?",
            "suggestions": ["When are visiting hours?", "I'd like to book an appointment"],
            "languages": ["en", "es"],
            "local": True,
            "version": "1",
        }
        self.passages: dict[str, dict[str, Any]] = {}
        self.conversations: dict[str, list[dict[str, Any]]] = {}
        self.history_error: tuple[int, str, int] | None = None  # status, code, seconds to wait
        self.seen: list[str] = []
        self._exchanges: asyncio.Queue[Exchange] = asyncio.Queue()
        self._open: list[Exchange] = []

    async def next(self, wants: str) -> Exchange:
        """The next request that the page makes, which must be this one."""
        async with asyncio.timeout(PATIENCE_S):
            exchange = await self._exchanges.get()
        assert exchange.wants == wants
        return exchange

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ScriptedDesk"]:
        app = web.Application()
        app.router.add_get("/", self._index)
        app.router.add_get("/t/{tenant}", self._index)
        app.router.add_get("/static/{path:.*}", self._static)
        app.router.add_get("/page", self._page)
        app.router.add_get("/api/{tenant}/page", self._page)
        app.router.add_get("/api/{tenant}/passages/{id}", self._passage)
        app.router.add_get("/api/{tenant}/conversations/{id}", self._history)
        app.router.add_get("/api/{tenant}/conversations/{id}/stream", self._scripted)
        app.router.add_post("/api/{tenant}/chat", self._scripted)
        app.router.add_post("/api/{tenant}/messages", self._scripted)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            for exchange in self._open:
                exchange.over.set()
            await runner.cleanup()

    async def _index(self, _: web.Request) -> web.Response:
        return web.Response(text=(STATIC / "index.html").read_text(), content_type="text/html", headers=HEADERS)

    async def _static(self, request: web.Request) -> web.StreamResponse:
        path = STATIC / request.match_info["path"]
        return web.FileResponse(path, headers=HEADERS) if path.is_file() else web.Response(status=404)

    async def _page(self, _: web.Request) -> web.Response:
        return refusal(404, "TENANT_NOT_FOUND") if self.about is None else web.json_response(self.about)

    async def _passage(self, request: web.Request) -> web.Response:
        passage = self.passages.get(request.match_info["id"])
        return web.json_response(passage) if passage else refusal(404, "PASSAGE_NOT_FOUND")

    async def _history(self, request: web.Request) -> web.Response:
        self.seen.append(request.path_qs)
        session_id = request.match_info["id"]
        if self.history_error:
            return refusal(*self.history_error)
        messages = self.conversations.get(session_id)
        if messages is None:
            return refusal(404, "CONVERSATION_NOT_FOUND")
        after = int(request.query["after"])
        fields = {"session_id": session_id, "state": "active", "owner": "agent", "epoch": 1}
        later = [message for message in messages if message["seq"] > after]
        return web.json_response(fields | {"last_seq": len(messages), "messages": later})

    async def _scripted(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request.path_qs)
        exchange = Exchange(request, await request.json() if request.method == "POST" else None)
        self._open.append(exchange)
        self._exchanges.put_nowait(exchange)
        return await exchange.handled()


def refusal(status: int, error_code: str, retry_after: int | None = None) -> web.Response:
    body = {"detail": "No.", "error_code": error_code, "timestamp": now(), "correlation_id": "c-1"}
    return web.json_response(body | {"retry_after": retry_after}, status=status)


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def answer(seq: int, text: str, **fields: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "session_id": "s",
        "message_id": f"m-{seq}",
        "seq": seq,
        "correlation_id": "c-1",
        "text": text,
        "agents": ["general_info"],
        "intents": [],
        "routing": {"stage": "embedding", "reason": ""},
        "emergency": False,
        "escalated": False,
        "owner": "agent",
        "needs": [],
        "citations": [],
        "items": [],
        "tools": [],
        "source": "local",
        "degraded": False,
        "state": "completed",
        "duration_ms": 12,
    }
    return plain | fields


def message(seq: int, role: str, content: str, **fields: Any) -> dict[str, Any]:
    plain = {"seq": seq, "message_id": f"m-{seq}", "role": role, "content": content, "timestamp": now()}
    return plain | {"in_reply_to": [], "metadata": {}} | fields

"""The scripted vendor: one loopback server that speaks the three wire formats and answers as the test says."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import web

from tests.vendors import anthropic, gemini, openai
from tests.vendors.replies import Reply, VendorRequest

Responder = Callable[[VendorRequest], Reply]

MODELS = ["small", "large"]


class Format(NamedTuple):
    """One vendor's way to write. An object of functions, all of the same shape."""

    whole: Callable[[Reply, VendorRequest], dict[str, Any]]
    events: Callable[[Reply, VendorRequest], list[bytes]]
    error: Callable[[Reply], dict[str, Any]]
    error_event: Callable[[Reply], bytes]


_FORMATS = {
    "openai": Format(openai.whole, openai.events, openai.error, openai.error_event),
    "anthropic": Format(anthropic.whole, anthropic.events, anthropic.error, anthropic.error_event),
    "gemini": Format(gemini.whole, gemini.events, gemini.error, gemini.error_event),
}


def echo(request: VendorRequest) -> Reply:
    return Reply(f"You said: {request.user}")


class Vendor:
    """What a test holds. Scripted replies are given in order; when none is left, `responder` answers.

        vendor.script(Reply("Hello"), Reply(status=429, headers={"Retry-After": "2"}))
        vendor.responder = lambda request: Reply(f"{request.dialect} heard {request.user}")
        vendor.requests[-1].user

    One vendor stands for three: `url` is the base URL of Anthropic and Gemini, `openai_url` that of OpenAI.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[VendorRequest] = []
        self.responder: Responder = echo
        self.refused_keys: set[str] = {"wrong"}
        self.gone = asyncio.Event()  # a client hung up before its answer's end
        self.stalled = asyncio.Event()  # a stall was reached
        self._script: deque[Reply] = deque()
        self._runner: web.AppRunner | None = None

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def left(self) -> int:
        """Scripted replies that nobody asked for yet."""
        return len(self._script)

    def script(self, *replies: Reply) -> None:
        self._script.extend(replies)

    def clear(self) -> None:
        self._script.clear()
        self.requests.clear()
        self.responder = echo
        self.gone.clear()
        self.stalled.clear()

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._openai)
        app.router.add_post("/v1/messages", self._anthropic)
        app.router.add_post("/{version:v1|v1beta}/models/{model}:{method}", self._gemini)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1beta/models", self._models)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _openai(self, http: web.Request) -> web.StreamResponse:
        return await self._answer(http, openai.read(json.loads(await http.read()), _headers(http)))

    async def _anthropic(self, http: web.Request) -> web.StreamResponse:
        return await self._answer(http, anthropic.read(json.loads(await http.read()), _headers(http)))

    async def _gemini(self, http: web.Request) -> web.StreamResponse:
        streamed = http.match_info["method"] == "streamGenerateContent"
        assert streamed == (http.query.get("alt") == "sse")
        body = json.loads(await http.read())
        return await self._answer(http, gemini.read(body, _headers(http), http.match_info["model"], streamed))

    async def _models(self, http: web.Request) -> web.StreamResponse:
        dialect = _dialect(http)
        if _key(http) in self.refused_keys:
            return _plain(_FORMATS[dialect], _refusal(dialect))
        names = {"openai": openai.models, "anthropic": anthropic.models, "gemini": gemini.models}
        return web.json_response(names[dialect](MODELS))

    async def _answer(self, http: web.Request, request: VendorRequest) -> web.StreamResponse:
        self.requests.append(request)
        wire = _FORMATS[request.dialect]
        if _key(http) in self.refused_keys:
            return _plain(wire, _refusal(request.dialect))
        reply = self._script.popleft() if self._script else self.responder(request)
        try:
            if reply.stall_after == 0:
                await self._stall()
            if reply.cut_after == 0:
                return _cut(http)
            if reply.status != 200 or not request.streamed:
                return await self._whole(http, wire, reply, request)
            return await self._stream(http, wire, reply, request)
        except (asyncio.CancelledError, ConnectionError):
            self.gone.set()
            raise

    async def _whole(self, http: web.Request, wire: Format, reply: Reply, request: VendorRequest) -> web.StreamResponse:
        await asyncio.sleep(reply.delay_s)
        if reply.raw is not None:
            content_type = reply.content_type or "application/json"
            return web.Response(
                status=reply.status, body=reply.raw, headers={"Content-Type": content_type, **reply.headers}
            )
        if reply.status != 200:
            return _plain(wire, reply)
        body = json.dumps(wire.whole(reply, request), ensure_ascii=False).encode()
        if reply.cut_after is None and reply.stall_after is None:
            return web.Response(body=body, headers={"Content-Type": "application/json", **reply.headers})
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
        await response.prepare(http)
        await response.write(body[: len(body) // 2])
        if reply.stall_after is not None:
            await self._stall()
        _cut(http)
        return response

    async def _stream(
        self, http: web.Request, wire: Format, reply: Reply, request: VendorRequest
    ) -> web.StreamResponse:
        content_type = reply.content_type or "text/event-stream"
        response = web.StreamResponse(headers={"Content-Type": content_type, **reply.headers})
        await response.prepare(http)
        for place, event in enumerate([reply.raw] if reply.raw is not None else wire.events(reply, request)):
            if place == reply.stall_after:
                await self._stall()
            if place == reply.cut_after:
                _cut(http)
                return response
            if place == reply.error_after:
                await response.write(wire.error_event(reply))
                return response
            if reply.delay_s:
                await asyncio.sleep(reply.delay_s)
            await response.write(event)
        return response

    async def _stall(self) -> None:
        self.stalled.set()
        await asyncio.Event().wait()  # until the client goes away, which cancels this handler


def _headers(http: web.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in http.headers.items()}


def _dialect(http: web.Request) -> str:
    if "x-goog-api-key" in http.headers or http.path.startswith("/v1beta"):
        return "gemini"
    return "anthropic" if "anthropic-version" in http.headers else "openai"


def _key(http: web.Request) -> str:
    headers: Mapping[str, str] = http.headers
    bearer = headers.get("Authorization", "").removeprefix("Bearer ")
    return headers.get("x-api-key") or headers.get("x-goog-api-key") or bearer


def _refusal(dialect: str) -> Reply:
    if dialect == "gemini":
        return Reply(status=400, code="API_KEY_INVALID", message="API key not valid. Please pass a valid API key.")
    return Reply(
        status=401, code="" if dialect == "anthropic" else "invalid_api_key", message="Incorrect API key: wrong"
    )


def _plain(wire: Format, reply: Reply) -> web.Response:
    return web.json_response(wire.error(reply), status=reply.status, headers=dict(reply.headers))


def _cut(http: web.Request) -> web.Response:
    """Reset the connection under the client."""
    if http.transport is not None:
        http.transport.abort()
    return web.Response()

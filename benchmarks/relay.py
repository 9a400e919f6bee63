"""The least that can stand between a model and a reader: it passes the bytes of a streamed answer on as they come.

A bare ASGI application and one aiohttp session; nothing is kept, checked or read. The yardstick of `streams`.
"""

import os
from typing import Any  # ASGI's messages are untyped

import aiohttp

_MODEL = os.environ.get("RELAY_MODEL_URL", "")
_BODY = b'{"model":"mock","stream":true,"messages":[{"role":"user","content":"Where is my order?"}]}'
_SESSION: list[aiohttp.ClientSession] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["method"] == "POST":
        async with _SESSION[0].post(f"{_MODEL}/v1/chat/completions", data=_BODY) as response:
            async for data in response.content.iter_any():
                await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    return None


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    timeout = aiohttp.ClientTimeout(total=None)
    _SESSION.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _SESSION.pop().close()
    await send({"type": "lifespan.shutdown.complete"})

"""A small issuer on loopback: it publishes keys and signs what it is told to."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey


class Issuer:
    """`published`: what its address answers. `delay_s`, `status`: how."""

    def __init__(self) -> None:
        self.url = ""
        self.key: RSAKey | ECKey = RSAKey.generate_key(2048, {"kid": "one"})
        self.published: Any = {"keys": [self.key.as_dict(private=False)]}
        self.status = 200
        self.delay_s = 0.0
        self.asked = 0

    def rotate(self, kid: str) -> None:
        """A new key, beside the old ones."""
        self.key = RSAKey.generate_key(2048, {"kid": kid})
        self.published["keys"].append(self.key.as_dict(private=False))

    def token(self, *, now: float | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        issued = {"iss": self.url, "aud": "shop", "sub": "ann", "exp": (now or time.time()) + 60} | claims
        alg = "RS256" if isinstance(self.key, RSAKey) else "ES256"
        named = {"alg": alg, "kid": self.key.kid} | (header or {})
        named = {name: value for name, value in named.items() if value is not None}
        return jws.serialize_compact(named, json.dumps(issued), self.key, [alg])

    async def answer(self, _request: web.Request) -> web.Response:
        self.asked += 1
        await asyncio.sleep(self.delay_s)
        return web.Response(text=json.dumps(self.published), status=self.status, content_type="application/json")


@asynccontextmanager
async def issuer_server() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/keys", issuer.answer)
    server = TestServer(app)
    await server.start_server()
    issuer.url = str(server.make_url("")).rstrip("/")
    try:
        yield issuer
    finally:
        await server.close()

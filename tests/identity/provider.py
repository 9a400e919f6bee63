"""A small OpenID Connect provider, as the specification has it: discovery, authorization, PKCE, tokens, keys."""

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import time
from typing import Any
from urllib.parse import quote_plus

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "desk", "a secret of the desk"


class Provider:
    """Whoever comes is let in as `claims` say. What it does wrong is told it by its fields."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.claims: dict[str, Any] = {}
        self.override: dict[str, Any] = {}  # claims of the token that are other than they should be
        self.algorithm = "RS256"
        self.signs_with: Any = None  # another key than the published one
        self.is_down = False
        self.described = 0  # times that it was asked for its description
        self.keys_read = 0
        self.says: dict[str, str] = {}  # of the description, what is other than it should be
        self.says_issuer: str | None = None
        self.url = ""
        self._codes: dict[str, dict[str, str]] = {}

    def person(self, email: str, **more: Any) -> None:
        self.claims = {"sub": f"of {email}", "email": email, "email_verified": True, "name": "A Name"} | more

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Provider"]:
        app = web.Application(middlewares=[self._down])
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        app.router.add_get("/keys", self._keys)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    @web.middleware
    async def _down(self, request: web.Request, handler: Any) -> Any:
        return web.Response(status=503) if self.is_down else await handler(request)

    async def _discovery(self, request: web.Request) -> web.Response:
        self.described += 1
        return web.json_response(
            {
                "issuer": self.says_issuer or self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            }
            | self.says
        )

    async def _authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        assert query["response_type"] == "code" and query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256" and "openid" in query["scope"].split()
        code = secrets.token_urlsafe()
        self._codes[code] = query
        raise web.HTTPFound(f"{query['redirect_uri']}?code={code}&state={query['state']}")

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self._codes.pop(str(form["code"]), None)
        basic = base64.b64encode(f"{CLIENT_ID}:{quote_plus(CLIENT_SECRET)}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest())
        if (
            asked is None
            or request.headers.get("Authorization") != f"Basic {basic}"
            or asked["code_challenge"] != challenge.decode().rstrip("=")
            or asked["redirect_uri"] != form["redirect_uri"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        token = self._signed(claims | self.claims | self.override)
        return web.json_response({"access_token": "unused", "token_type": "Bearer", "id_token": token})

    def _signed(self, claims: dict[str, Any]) -> str:
        if self.algorithm == "none":
            parts = (b'{"alg":"none"}', web.json_response(claims).body)
            return ".".join(base64.urlsafe_b64encode(bytes(part)).decode().rstrip("=") for part in parts) + "."
        key = self.signs_with or self.key
        if self.algorithm == "HS256":
            key = OctKey.import_key(self.key.as_pem(private=False))
        return jwt.encode({"alg": self.algorithm, "kid": key.kid or "one"}, claims, key, algorithms=[self.algorithm])

    async def _keys(self, request: web.Request) -> web.Response:
        self.keys_read += 1
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

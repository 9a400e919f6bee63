"""Reads the credential that a request brings: an API key or a token."""

from fastapi import Request

from frontdesk.core.errors import TokenInvalid
from frontdesk.identity.api_keys import ApiKeys
from frontdesk.identity.models import Principal
from frontdesk.identity.tokens import Tokens


class Credentials:
    """`X-API-Key` counts before `Authorization`, which a proxy in between may use for itself."""

    def __init__(self, api_keys: ApiKeys, tokens: Tokens) -> None:
        self._api_keys = api_keys
        self._tokens = tokens

    async def __call__(self, request: Request) -> Principal | None:
        """None without one. Raises TokenInvalid, TokenExpired."""
        headers = request.headers
        key = headers.get("x-api-key")
        if key is not None:
            return await self._api_keys.principal(key)
        authorization = headers.get("authorization")
        if authorization is None:
            return None
        scheme, _, credential = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise TokenInvalid("The credential is not valid.")
        if credential.startswith("fd_"):
            return await self._api_keys.principal(credential)
        return await self._tokens.principal(credential)

"""Reads the credential that a request brings: an API key."""

from fastapi import Request

from frontdesk.core.errors import TokenInvalid
from frontdesk.identity.api_keys import ApiKeys
from frontdesk.identity.models import Principal


class Credentials:
    """`X-API-Key` counts before `Authorization`, which a proxy in between may use for itself."""

    def __init__(self, api_keys: ApiKeys) -> None:
        self._api_keys = api_keys

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
        if scheme.lower() == "bearer" and credential.startswith("fd_"):
            return await self._api_keys.principal(credential)
        raise TokenInvalid("The credential is not valid.")

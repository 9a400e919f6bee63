"""Reads the credential that a request brings."""

from fastapi import Request

from frontdesk.core.errors import TokenInvalid
from frontdesk.identity.models import Principal


class Credentials:
    async def __call__(self, request: Request) -> Principal | None:
        """None without one. Raises TokenInvalid."""
        if "authorization" not in request.headers:
            return None
        raise TokenInvalid("The credential is not valid here.")

"""The public keys of our tokens, for whoever verifies them elsewhere."""

from typing import Any  # a JWK is JSON

import msgspec
from fastapi import APIRouter, Response

from frontdesk.channels.access import FOR_ALL
from frontdesk.channels.openapi import answers
from frontdesk.core.json import dumps
from frontdesk.identity.signing import PUBLIC_FOR_S, SigningKeys


class JwksOut(msgspec.Struct, frozen=True):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, Any]]


FORMS = (JwksOut,)


def build_router(signing_keys: SigningKeys) -> APIRouter:
    router = APIRouter(tags=["identity"], dependencies=FOR_ALL)

    @router.get("/.well-known/jwks.json", responses=answers(200, JwksOut, "The keys"))
    async def jwks() -> Response:
        """The public keys that verify our tokens: those that sign, will sign, and whose tokens are still good."""
        headers = {"Cache-Control": f"public, max-age={PUBLIC_FOR_S}"}
        body = JwksOut(await signing_keys.published())
        return Response(dumps(body), headers=headers, media_type="application/json")

    return router

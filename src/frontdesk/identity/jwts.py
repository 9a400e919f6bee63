"""JSON Web Tokens (RFC 7519) as they are taken here: of a bounded size, with the one signature expected.

Why a token is not taken is not told: whoever forges one learns nothing from it.
"""

import base64
import binascii
from collections.abc import Collection
from datetime import datetime
from typing import TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from frontdesk.core.errors import TokenExpired, TokenInvalid

Key = RSAKey | ECKey
Form = TypeVar("Form")

MOST_CHARS = 4096
# How far clocks may be apart.
SKEW_S = 30.0


class Header(msgspec.Struct, frozen=True):
    """What is read of a token's header; where keys or their addresses stand in it, they are not looked at."""

    alg: str
    kid: str | None = None
    typ: str | None = None
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Issuer(msgspec.Struct, frozen=True):
    iss: str


def header_of(text: str) -> Header:
    """Not verified. Raises TokenInvalid; also for extensions that we would have to understand (`crit`)."""
    header = _decoded(text, 0, Header)
    if header.crit is not msgspec.UNSET:
        raise invalid()
    return header


def issuer_of(text: str) -> str:
    """Not verified: it tells by whose keys to do that. Raises TokenInvalid."""
    return _decoded(text, 1, _Issuer).iss


def verified(text: str, key: Key, algorithms: Collection[str]) -> bytes:
    """The claims as JSON. Raises TokenInvalid."""
    try:
        return jws.deserialize_compact(text, key, algorithms).payload
    except (JoseError, ValueError, TypeError) as error:  # the library's own, and of what it hands on
        raise invalid() from error


def check_times(now: datetime, exp: float, nbf: float | None = None) -> None:
    """Raises TokenExpired, TokenInvalid for one that is not good yet."""
    seconds = now.timestamp()
    if seconds >= exp + SKEW_S:
        raise TokenExpired("The token has expired.")
    if nbf is not None and seconds < nbf - SKEW_S:
        raise invalid()


def invalid() -> TokenInvalid:
    return TokenInvalid("The token is not valid.")


def _decoded(text: str, part: int, form: type[Form]) -> Form:
    parts = text.split(".") if len(text) <= MOST_CHARS else []
    if len(parts) != 3:
        raise invalid()
    try:
        raw = base64.b64decode(parts[part] + "=" * (-len(parts[part]) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=form)
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        raise invalid() from error

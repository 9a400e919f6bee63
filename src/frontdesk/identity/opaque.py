"""Opaque tokens: 256 random bits; stored as a hash, so that who reads the database has none."""

import base64
import binascii
import hashlib
import secrets
from uuid import UUID

import msgspec

_SECRET_BYTES = 32


class Opaque(msgspec.Struct, frozen=True):
    """A token taken apart: it names its tenant, since nothing can be looked up outside one, and the row it is of."""

    tenant_id: UUID
    row_id: UUID
    hash: bytes


def made(tenant_id: UUID, row_id: UUID) -> tuple[str, bytes]:
    """(a token, its hash)."""
    token = tenant_id.bytes + row_id.bytes + secrets.token_bytes(_SECRET_BYTES)
    return base64.urlsafe_b64encode(token).decode(), hashlib.sha256(token).digest()


def parsed(token: str) -> Opaque | None:
    """None for what was never made here."""
    try:
        data = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) != 32 + _SECRET_BYTES:
        return None
    return Opaque(UUID(bytes=data[:16]), UUID(bytes=data[16:32]), hashlib.sha256(data).digest())

"""Texts as they lie in the database: JSON, sealed for their tenant."""

from typing import Any  # context is the caller's JSON
from uuid import UUID

import msgspec

from frontdesk.conversations.models import Body
from frontdesk.core import json
from frontdesk.db.cipher import Cipher, DecryptFailed

_body = msgspec.json.Decoder(Body)
_encoder = msgspec.json.Encoder()


class Sealed:
    """Seals and opens what belongs to one conversation."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    def body(self, tenant_id: UUID, content: str, metadata: dict[str, Any] | msgspec.Struct) -> bytes:
        return self._cipher.seal(tenant_id, _encoder.encode({"content": content, "metadata": metadata}))

    def open_body(self, tenant_id: UUID, sealed: bytes) -> Body:
        """Raises DecryptFailed, also for what opens but is no body."""
        try:
            return _body.decode(self._cipher.open(tenant_id, sealed))
        except msgspec.MsgspecError as error:
            raise DecryptFailed("A stored message is damaged.") from error

    def json(self, tenant_id: UUID, value: Any) -> bytes:
        return self._cipher.seal(tenant_id, _encoder.encode(value))

    def open_json(self, tenant_id: UUID, sealed: bytes | None) -> Any:
        """None for nothing stored. Raises DecryptFailed."""
        if not sealed:
            return None
        try:
            return json.loads(self._cipher.open(tenant_id, sealed))
        except ValueError as error:
            raise DecryptFailed("A stored value is damaged.") from error

    def text(self, tenant_id: UUID, value: bytes) -> bytes | None:
        """None for nothing to store."""
        return self._cipher.seal(tenant_id, value) if value else None

    def open_text(self, tenant_id: UUID, sealed: bytes | None) -> bytes:
        return self._cipher.open(tenant_id, sealed) if sealed else b""

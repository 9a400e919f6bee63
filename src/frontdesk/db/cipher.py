"""Encryption at rest of what contacts and agents say: AES-256-GCM, bound to its tenant and place, with rotation.

Form of a ciphertext: 1 byte version (1), 4 bytes key id (SHA-256 of the key), 12 bytes nonce (random), then the
sealed text with its 16-byte tag (NIST SP 800-38D). The tenant's id is authenticated along, so that bytes copied into
another tenant's row do not open.
"""

import base64
import binascii
import hashlib
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from frontdesk.core.errors import FrontdeskError, SettingsError

_VERSION = b"\x01"
_HEAD = 1 + 4 + 12


class DecryptFailed(FrontdeskError):
    """A stored text can't be opened: its key is not among ours, or its bytes were changed."""

    error_code = "DECRYPT_FAILED"


class Cipher:
    """Seals with the first key, opens with any: to rotate, put a new key first and keep the old ones."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """`keys`: 32 bytes each, at least one."""
        self._keys = {key_id(key): AESGCM(key) for key in keys}
        self._first = key_id(keys[0])

    def seal(self, tenant_id: UUID, text: bytes) -> bytes:
        nonce = os.urandom(12)
        return _VERSION + self._first + nonce + self._keys[self._first].encrypt(nonce, text, tenant_id.bytes)

    def open(self, tenant_id: UUID, sealed: bytes) -> bytes:
        """Raises DecryptFailed."""
        key = self._keys.get(sealed[1:5])
        if key is None or sealed[:1] != _VERSION:
            raise DecryptFailed("A stored text was sealed with a key that is not configured.")
        try:
            return key.decrypt(sealed[5:_HEAD], sealed[_HEAD:], tenant_id.bytes)
        except (InvalidTag, ValueError) as error:
            raise DecryptFailed("A stored text is damaged.") from error


def key_id(key: bytes) -> bytes:
    """Four bytes that name the key and tell nothing of it."""
    return hashlib.sha256(key).digest()[:4]


def parse_keys(text: str, origin: str) -> list[bytes]:
    """Keys of 32 bytes in base64, separated by commas or lines. Raises SettingsError."""
    keys = []
    for place, part in enumerate(text.replace(",", "\n").split(), start=1):
        try:
            key = base64.b64decode(part, altchars=b"-_", validate=True)
        except binascii.Error:
            key = b""
        if len(key) != 32:
            raise SettingsError(f"{origin}: key {place} is not 32 bytes in base64. Make one: openssl rand -base64 32")
        keys.append(key)
    if not keys:
        raise SettingsError(f"{origin}: no key. Make one: openssl rand -base64 32")
    return keys


def read_key_file(path: Path) -> list[bytes]:
    """The keys in the file, none where there is no file. Raises SettingsError, also when others may read it."""
    if not path.exists():
        return []
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"{path}: others may read the key file. Run: chmod 600 {path}")
    return parse_keys(path.read_text(), str(path))


def new_key_file(path: Path) -> None:
    """A new file with one new key, readable by its owner alone; one that is there stays.

    Whole or not at all: written beside, then linked, which fails when another process was first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".keys-") as file:  # mode 600
        file.write(base64.b64encode(os.urandom(32)).decode() + "\n")
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)

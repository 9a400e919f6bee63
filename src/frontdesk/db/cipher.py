"""Encryption at rest of what contacts and agents say: AES-256-GCM, bound to its tenant and place, with rotation.

Form of a ciphertext: 1 byte version (1), 4 bytes key id (SHA-256 of the key), 12 bytes nonce (random), then the
sealed text with its 16-byte tag (NIST SP 800-38D). The tenant's id is authenticated along, so that bytes copied into
another tenant's row do not open.
"""

import base64
import binascii
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from frontdesk.core.errors import FrontdeskError, SettingsError

_VERSION = b"\x01"
HEAD = 1 + 4 + 12


class DecryptFailed(FrontdeskError):
    """A stored text can't be opened: its key is not among ours, or its bytes were changed."""

    error_code = "DECRYPT_FAILED"


class Cipher:
    """Seals with one key, the first unless it is told another (`seal_with`), and opens with any."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """`keys`: 32 bytes each, at least one."""
        self._keys = {key_id(key): AESGCM(key) for key in keys}
        self.seals_with = key_id(keys[0])

    def learn(self, keys: Iterable[bytes]) -> None:
        """Opens with these too from now on."""
        for key in keys:
            self._keys.setdefault(key_id(key), AESGCM(key))

    def seal_with(self, wanted: bytes) -> None:
        """`wanted`: the id of a key that it knows."""
        if wanted not in self._keys:
            raise KeyError(wanted.hex())
        self.seals_with = wanted

    @property
    def ids(self) -> list[bytes]:
        """Of all keys that it knows."""
        return list(self._keys)

    def seal(self, tenant_id: UUID, text: bytes) -> bytes:
        nonce, seals_with = os.urandom(12), self.seals_with
        return _VERSION + seals_with + nonce + self._keys[seals_with].encrypt(nonce, text, tenant_id.bytes)

    def open(self, tenant_id: UUID, sealed: bytes) -> bytes:
        """Raises DecryptFailed."""
        key = self._keys.get(sealed[1:5])
        if key is None or sealed[:1] != _VERSION:
            raise DecryptFailed("A stored text was sealed with a key that is not configured.")
        try:
            return key.decrypt(sealed[5:HEAD], sealed[HEAD:], tenant_id.bytes)
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
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            status = path.stat()
    except FileNotFoundError as error:
        if path.is_symlink():
            raise SettingsError(f"{path}: leads to a file that is not there.") from error
        return []
    except OSError as error:
        raise SettingsError(f"{path}: can't be read ({error.strerror}).") from error
    if not stat.S_ISREG(status.st_mode):
        raise SettingsError(f"{path}: is not a file.")
    if status.st_mode & 0o077:
        raise SettingsError(f"{path}: others may read the key file. Run: chmod 600 {path}")
    try:
        return parse_keys(path.read_text("ascii"), str(path))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is damaged, or no key file: it is not text.") from error
    except OSError as error:
        raise SettingsError(f"{path}: can't be read ({error.strerror}).") from error


def new_key() -> bytes:
    return os.urandom(32)


def new_key_file(path: Path) -> None:
    """A new file with one new key, readable by its owner alone; one that is there stays.

    Whole or not at all: written beside, then linked, which fails when another process was first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _written_beside(path, [new_key()]) as written, suppress(FileExistsError):
        os.link(written, path)


def replace_key_file(path: Path, keys: Sequence[bytes]) -> None:
    """The file with these keys instead of those that it has. Whole or not at all; its owner stays the same."""
    path = path.resolve()  # a link stays a link
    owner = path.stat()
    with _written_beside(path, keys) as written:
        if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(written, owner.st_uid, owner.st_gid)
        kept = Path(f"{written}.new")  # the temporary name is removed at the end
        os.link(written, kept)
        kept.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _written_beside(path: Path, keys: Sequence[bytes]) -> Iterator[str]:
    """The name of a file in the same folder, complete on the disk; gone at the end."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".keys-") as file:  # mode 600
        file.write("".join(f"{base64.b64encode(key).decode()}\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
        yield file.name

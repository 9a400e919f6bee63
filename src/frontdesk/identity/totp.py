"""The second factor: codes of six digits by time (RFC 6238 with SHA-1 and 30 s, what every authenticator app knows)."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from urllib.parse import quote

STEP_S = 30
DIGITS = 6
DRIFT = 1  # steps that a clock may be wrong by, either way
RECOVERY_CODES = 10
_RECOVERY_BYTES = 10  # 80 bits: a plain hash is enough


def new_secret() -> bytes:
    return secrets.token_bytes(20)


def code_at(secret: bytes, step: int) -> str:
    """RFC 4226, 5.3."""
    digest = hmac.digest(secret, step.to_bytes(8), "sha1")
    start = digest[-1] & 15
    return str(int.from_bytes(digest[start : start + 4]) % (1 << 31) % 10**DIGITS).zfill(DIGITS)


def step_of(secret: bytes, code: str, now_s: float, after: int) -> int | None:
    """Which step the code is of; None for a wrong one, and for those up to step `after`, which are used."""
    code = code.replace(" ", "")
    if not (code.isascii() and code.isdigit()):
        return None
    current = int(now_s) // STEP_S
    matching = [
        step
        for step in range(current - DRIFT, current + DRIFT + 1)
        if hmac.compare_digest(code_at(secret, step), code) and step > after
    ]
    return matching[0] if matching else None


def address(secret: bytes, issuer: str, account: str) -> str:
    """What the QR code says (https://github.com/google/google-authenticator/wiki/Key-Uri-Format)."""
    return f"otpauth://totp/{quote(f'{issuer}:{account}')}?secret={shown(secret)}&issuer={quote(issuer)}"


def shown(secret: bytes) -> str:
    return base64.b32encode(secret).decode().rstrip("=")


def new_recovery_codes() -> list[str]:
    """`abcd-efgh-ijkl-mnop`, in base32."""
    texts = [base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]
    return ["-".join(text[at : at + 4] for at in range(0, len(text), 4)) for text in texts]


def recovery_hash(code: str) -> bytes:
    return hashlib.sha256(code.replace("-", "").replace(" ", "").lower().encode()).digest()


def recovery_hashes(codes: Sequence[str]) -> list[bytes]:
    return [recovery_hash(code) for code in codes]

"""Tokens that nobody should take: made by hand, since a library of any worth would refuse to make them."""

import base64
import hashlib
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import RSAKey


def part(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, not verified."""
    header, claims, _ = (base64.urlsafe_b64decode(each + "==") for each in token.split("."))
    return json.loads(header), json.loads(claims)


def unsigned(header: object, claims: object) -> str:
    return f"{part(header)}.{part(claims)}."


def signed_by_hmac(header: dict[str, Any], claims: object, secret: bytes) -> str:
    text = f"{part(header | {'alg': 'HS256'})}.{part(claims)}"
    return f"{text}.{part(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def as_secrets(public: dict[str, Any]) -> list[bytes]:
    """A public key in the forms in which somebody might take it for a secret."""
    key = RSAKey.import_key(public).public_key
    return [
        key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo) for encoding in (Encoding.PEM, Encoding.DER)
    ] + [json.dumps(public).encode(), base64.urlsafe_b64decode(public["n"] + "==")]

"""JSON in and out, in one place (orjson: UTF-8, UUIDs and dataclasses included)."""

from typing import Any  # JSON is untyped until it is parsed into a type
from uuid import UUID

import orjson


def dumps(value: Any) -> bytes:
    return orjson.dumps(value, _plain)


def dumps_text(value: Any) -> str:
    return dumps(value).decode()


def _plain(value: Any) -> str:
    """asyncpg's own UUIDs: orjson takes the standard class alone."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def loads(data: bytes | str) -> Any:
    """Raises ValueError for anything that is not JSON."""
    return orjson.loads(data)

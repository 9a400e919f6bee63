"""JSON in and out, in one place (orjson: UTF-8, UUIDs and dataclasses included)."""

from typing import Any  # JSON is untyped until it is parsed into a type

import orjson


def dumps(value: Any) -> bytes:
    return orjson.dumps(value)


def dumps_text(value: Any) -> str:
    return orjson.dumps(value).decode()


def loads(data: bytes | str) -> Any:
    """Raises ValueError for anything that is not JSON."""
    return orjson.loads(data)

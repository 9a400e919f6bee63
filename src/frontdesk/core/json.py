"""JSON in and out, in one place (orjson: UTF-8, with UUIDs and our structs)."""

from typing import Any  # JSON is untyped until it is parsed into a type
from uuid import UUID

import msgspec
import orjson


def dumps(value: Any) -> bytes:
    return orjson.dumps(value, _plain)


def dumps_text(value: Any) -> str:
    return dumps(value).decode()


def _plain(value: Any) -> Any:
    """asyncpg's own UUIDs: orjson takes the standard class alone; and structs, as their fields."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def loads(data: bytes | str) -> Any:
    """Raises ValueError for anything that is not JSON."""
    return orjson.loads(data)


def is_deep(value: Any, levels: int) -> bool:
    """Whether lists and objects stand in one another more than `levels` deep. What is read may be deeper (1,024) than
    what can be written (254)."""
    level: list[Any] = [value]  # one after the other: a recursion would be what it is to prevent
    for _ in range(levels):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True

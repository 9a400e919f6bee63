"""Server-sent events as a client reads them (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any  # events' data is JSON

from frontdesk.core.json import loads

MAX_LINE = 1_000_000


class StreamBroken(Exception):
    """What came is no stream of events."""


@dataclass(frozen=True, slots=True)
class Event:
    id: str  # of this event, or the last one before it that had one
    name: str
    data: dict[str, Any]


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """Whole events, however the bytes were cut. A stream that ends within an event drops it. Raises StreamBroken."""
    id_, name, data = "", "message", ""
    async for line in _lines(chunks):
        if not line:
            if data:
                yield Event(id_, name, _parsed(data))
            name, data = "message", ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "id":
                id_ = value
            case "event":
                name = value
            case "data":
                data = f"{data}\n{value}" if data else value
            case _:
                pass  # a comment (the heartbeat), or a field of later times


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    waiting = b""
    async for chunk in chunks:
        waiting += chunk
        *lines, waiting = waiting.split(b"\n")
        if len(waiting) > MAX_LINE:
            raise StreamBroken("a line without end")
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")


def _parsed(data: str) -> dict[str, Any]:
    try:
        value = loads(data)
    except ValueError as error:
        raise StreamBroken("an event that is not JSON") from error
    if not isinstance(value, dict):
        raise StreamBroken("an event that is not an object")
    return value

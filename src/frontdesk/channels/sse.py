"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), encoded once and joined."""

from typing import Any  # events' data is JSON

from frontdesk.core import json

HEARTBEAT = b": still here\n\n"


def event(name: str, data: Any, id_: str | None = None) -> bytes:
    """One event. JSON has no line breaks of its own, so one `data:` line is enough."""
    head = f"id: {id_}\nevent: {name}\ndata: " if id_ is not None else f"event: {name}\ndata: "
    return head.encode() + json.dumps(data) + b"\n\n"

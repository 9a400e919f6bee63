"""What the vendors' tool calls have in common: arguments that may be anything."""

import msgspec

from frontdesk.core.json import dumps_text, loads
from frontdesk.llm.types import JSONObject, ToolCall


def tool_call(call_id: str, name: str, raw: str, signature: str | None = None) -> ToolCall:
    """From the text of the arguments; none at all is an empty object, what is not an object is kept as `raw`."""
    return ToolCall(call_id, name, _object(raw), raw, signature)


def text_of(raw: msgspec.Raw) -> str:
    """JSON that was passed over while its surroundings were read: it may not even be UTF-8, and then is no JSON."""
    return bytes(raw).decode(errors="backslashreplace")


def arguments_text(call: ToolCall) -> str:
    """As a vendor gets them back. What was not an object goes back as an empty one: its result says what was wrong."""
    return "{}" if call.arguments is None else dumps_text(call.arguments)


def _object(raw: str) -> JSONObject | None:
    if not raw.strip():
        return {}
    try:
        value = loads(raw)
    except ValueError:
        return None
    if value is None:  # "no arguments", as some servers say it
        return {}
    return value if isinstance(value, dict) else None

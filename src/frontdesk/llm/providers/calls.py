"""What the vendors' tool calls have in common: arguments that may be anything."""

import msgspec

from frontdesk.core.json import dumps_text, is_deep, loads
from frontdesk.llm.types import JSONObject, ToolCall

# What no model needs and only something gone wrong sends: beyond it an answer is nonsense.
MOST_CALLS = 128
_MOST_NAME = 200
# Levels of lists and objects inside one another in arguments.
_MOST_LEVELS = 32


def tool_call(call_id: str, name: str, raw: str, signature: str | None = None) -> ToolCall:
    """From the text of the arguments; none at all is an empty object, what is not an object is kept as `raw`.

    The name is kept with the turn's steps: without what the database's texts can't hold, and cut short.
    """
    return ToolCall(call_id, name.replace("\x00", "\ufffd")[:_MOST_NAME], _object(raw), raw, signature)


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
    return value if isinstance(value, dict) and not is_deep(value, _MOST_LEVELS) else None

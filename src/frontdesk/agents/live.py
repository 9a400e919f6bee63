"""What an agent tells while it works, to whoever is connected."""

from collections.abc import Callable

import msgspec

from frontdesk.llm.types import Restart, TextDelta


class Status(msgspec.Struct, frozen=True):
    """What happens now, in the contact's language, before a tool is called."""

    text: str
    agent: str
    tool: str | None = None


# TextDelta: more of the answer. Restart: drop the answer's text so far.
Live = Status | TextDelta | Restart
# Called in the order of events; it must not wait.
Emit = Callable[[Live], None]

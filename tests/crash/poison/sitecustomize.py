"""Breaks stages of the server that has this folder on its path: each raises for a message that names it.

Python runs this file before the server: what it changes is the server's own code, which knows nothing of it.
"""

from typing import Any

from frontdesk.agents.runner import Runner
from frontdesk.conversations.store import ConversationStore
from frontdesk.supervisor.supervisor import Supervisor


def break_for(owner: Any, name: str, word: str) -> None:
    """`owner.name` raises where its first argument has a text with `word`."""
    whole = getattr(owner, name)

    def broken(self: Any, first: Any, *rest: Any, **named: Any) -> Any:
        message = first if isinstance(first, str) else first.message
        if f"break {word}" in message:
            raise RuntimeError(f"this stage is broken for {word}")
        return whole(self, first, *rest, **named)

    setattr(owner, name, broken)


break_for(Supervisor, "guard", "guard")
break_for(Supervisor, "route", "route")
break_for(Runner, "run", "agent")
break_for(ConversationStore, "record_step", "step")

whole_complete = ConversationStore.complete


async def complete(self: Any, turn: Any, worker: Any, ending: Any, lease_s: float) -> Any:
    if "break completion" in turn.message and ending.error_code is None:
        raise RuntimeError("this answer can't be kept")
    return await whole_complete(self, turn, worker, ending, lease_s)


ConversationStore.complete = complete  # type: ignore[method-assign]

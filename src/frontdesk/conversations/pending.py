"""What a conversation waits for between two turns: tool calls that lack something, and a question of ours."""

from collections.abc import Sequence
from typing import Any  # pending arguments are JSON

import msgspec

from frontdesk.agents.models import AgentOutcome
from frontdesk.llm.types import PendingCall
from frontdesk.supervisor.models import Clarification

_encoder = msgspec.json.Encoder()

# Beyond these the oldest are dropped: nobody comes back to a sixth unfinished matter.
MOST_CALLS = 5


class Waiting(msgspec.Struct, frozen=True):
    """`calls`: the one asked for last is the last. `clarification`: who is meant was asked."""

    calls: tuple[PendingCall, ...] = ()
    clarification: Clarification | None = None

    @classmethod
    def decode(cls, stored: bytes) -> "Waiting":
        """Nothing, for nothing stored, and for what another version stored."""
        if not stored:
            return cls()
        try:
            return msgspec.json.decode(stored, type=cls)
        except msgspec.MsgspecError:
            return cls()

    def encode(self) -> bytes:
        return _encoder.encode(self) if self.calls or self.clarification else b""

    def of(self, agent: str) -> PendingCall | None:
        """The agent's call that waits, the newest."""
        return next((call for call in reversed(self.calls) if call.agent == agent), None)

    def after(self, outcomes: Sequence[AgentOutcome]) -> "Waiting":
        """What waits when these agents have run: finished calls are gone, new ones are asked for last."""
        calls = list(self.calls)
        for outcome in outcomes:
            kept = outcome.pending
            calls = [
                call
                for call in calls
                if call.agent != outcome.agent
                or (call.tool not in outcome.finished and (kept is None or call.tool != kept.tool))
            ]
            if kept is not None:
                calls.append(kept)
        return Waiting(tuple(calls[-MOST_CALLS:]))


def workflow_of(stored: bytes) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """(workflow_state, pending_tasks) as a session shows them: the matter asked for last, and all that are open."""
    waiting = Waiting.decode(stored)
    if waiting.clarification is not None:
        options = list(waiting.clarification.options)
        return {"waiting_for": "clarification", "options": options}, [_task(call) for call in waiting.calls]
    if not waiting.calls:
        return None, []
    current = waiting.calls[-1]
    return _task(current) | {"waiting_for": current.asked}, [_task(call) for call in waiting.calls]


def _task(call: PendingCall) -> dict[str, Any]:
    return {"agent": call.agent, "tool": call.tool, "known": call.arguments, "asked": call.asked}

"""What a turn hands to each of its agents."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from frontdesk.agents.models import Agent, Definitions, Step
from frontdesk.llm.ledger import LedgerRow
from frontdesk.llm.types import JSONObject, PendingCall, Role

# Keeps a step, at once. A step that is there already (agent, number) gets the new status and output. It raises when
# the turn is no longer ours to run: the exception ends the agent's run.
RecordStep = Callable[[Step], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class AgentTurn:
    """One turn as one agent sees it."""

    definitions: Definitions
    turn_id: UUID
    conversation_id: UUID
    contact: str  # the channel's id of the contact
    query: str  # the part of the message that this agent answers
    message: str  # all of it
    now: datetime  # aware, in the tenant's time zone
    language: str
    record_step: RecordStep
    history: tuple[tuple[Role, str], ...] = ()  # oldest first, without this turn's messages
    summary: str = ""  # of what is older than the history
    pending: PendingCall | None = None
    context: JSONObject = field(default_factory=dict)
    # What an earlier attempt at this turn, which did not come to its end, has recorded.
    steps: tuple[Step, ...] = ()
    # The gateway's rows of this turn: the agent's are added, whatever its outcome.
    rows: list[LedgerRow] = field(default_factory=list)
    # Whether somebody listens: then the answer comes as it is written.
    is_heard: Callable[[], bool] = field(default=lambda: True)

    def pending_of(self, agent: Agent) -> PendingCall | None:
        """The call of this agent that waits for the contact."""
        return self.pending if self.pending is not None and self.pending.agent == agent.name else None

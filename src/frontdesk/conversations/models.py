"""Messages, turns and answers."""

from datetime import datetime
from enum import StrEnum
from typing import Any  # context and metadata are the caller's JSON
from uuid import UUID

import msgspec

from frontdesk.agents.models import ToolUse
from frontdesk.knowledge.models import Citation
from frontdesk.tools.types import Need


class Author(StrEnum):
    """The role of a message, in the API's words."""

    CONTACT = "user"
    AGENT = "assistant"
    SYSTEM = "system"
    STAFF = "human"


class TurnState(StrEnum):
    ACCEPTED = "accepted"
    RUNNING = "running"
    WAITING = "waiting"  # ended with a question to the contact
    COMPLETED = "completed"
    HANDED_OFF = "handed_off"
    FAILED = "failed"


ENDED = (TurnState.WAITING, TurnState.COMPLETED, TurnState.HANDED_OFF, TurnState.FAILED)


class Incoming(msgspec.Struct, frozen=True):
    """A contact's message as it came in, checked."""

    contact: str
    text: str
    conversation_id: UUID
    is_new: bool = False  # the server chose the id: the caller named none
    channel: str = "api"
    context: dict[str, Any] | None = None
    idempotency_key: str | None = None


class Body(msgspec.Struct, frozen=True):
    """What is sealed in a message's row."""

    content: str
    metadata: dict[str, Any] = {}


class Spoken(msgspec.Struct, frozen=True):
    """A message of the window."""

    seq: int
    author: Author
    text: str


class Message(msgspec.Struct, frozen=True):
    """A message as history shows it."""

    seq: int
    message_id: UUID
    author: Author
    body: Body
    in_reply_to: tuple[int, ...]
    created_at: datetime


class TurnInput(msgspec.Struct, frozen=True):
    """All that the database knows of a turn that is to run. `window` ends with the messages that it covers."""

    tenant_id: UUID
    turn_id: UUID
    conversation_id: UUID
    contact: str
    attempt: int
    version: int  # of the tenant's definitions
    correlation_id: str
    covers: tuple[int, ...]
    accepted_at: datetime
    window: tuple[Spoken, ...]
    context: dict[str, Any]
    summary: str
    agent: str | None
    pending: bytes  # opened, as the supervisor's state encodes itself; empty for none
    damaged: bool = False  # what was stored can't be opened: the session starts anew, and says so
    handovers: int = 0  # of its attempts those that ended with a server's orderly stop

    @property
    def message(self) -> str:
        """What the contact wrote in this turn, one line a message."""
        return "\n".join([spoken.text for spoken in self.window if spoken.seq in self.covers])

    @property
    def history(self) -> tuple[Spoken, ...]:
        return tuple([spoken for spoken in self.window if spoken.seq not in self.covers])


class Accepted(msgspec.Struct, frozen=True):
    """A message that is kept. `claimed` is its turn when the lane was free, and then the caller's to run."""

    tenant_id: UUID
    conversation_id: UUID
    message_id: UUID
    seq: int
    turn_id: UUID
    repeated: bool
    claimed: TurnInput | None


class IntentOut(msgspec.Struct, frozen=True):
    name: str
    confidence: float


class Routing(msgspec.Struct, frozen=True):
    stage: str
    reason: str


class UsageOut(msgspec.Struct, frozen=True):
    """Sums over the turn's provider calls. `cost_usd` is a decimal string."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: str = "0"
    llm_calls: int = 0


class Answer(msgspec.Struct, frozen=True):
    """A whole answer, in the API's form. `message_id` and `seq` are the answer's own."""

    session_id: UUID
    message_id: UUID
    seq: int
    correlation_id: str
    text: str
    agents: tuple[str, ...] = ()
    intents: tuple[IntentOut, ...] = ()
    routing: Routing = Routing("default", "")
    emergency: bool = False
    escalated: bool = False
    owner: str = "agent"
    needs: tuple[Need, ...] = ()
    citations: tuple[Citation, ...] = ()
    items: tuple[dict[str, Any], ...] = ()
    tools: tuple[ToolUse, ...] = ()
    source: str = "local"
    degraded: bool = False
    usage: UsageOut = UsageOut()
    state: str = "completed"
    duration_ms: int = 0
    in_reply_to: tuple[int, ...] = ()


class Failure(msgspec.Struct, frozen=True):
    """A turn that ended without an answer: said in the conversation too, so that nobody waits in vain."""

    error_code: str
    detail: str
    correlation_id: str
    in_reply_to: tuple[int, ...] = ()


class Session(msgspec.Struct, frozen=True):
    """A conversation without its messages."""

    id: UUID
    contact: str
    channel: str
    state: str
    owner: str
    epoch: int
    last_seq: int
    emergency: bool
    escalated: bool
    agent: str | None
    intent: str | None
    pending: bytes
    context: dict[str, Any]
    answers: int
    answer_ms: int
    created_at: datetime
    last_activity: datetime


class TurnRecord(msgspec.Struct, frozen=True):
    """A turn as it is kept. `decision` is the router's (stages tried, scores, reasons) or the guard's alarm."""

    turn_id: UUID
    session_id: UUID
    state: str
    covers: tuple[int, ...]
    attempt: int
    stage: str | None
    agents: tuple[str, ...]
    error_code: str | None
    decision: Any
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

"""What the routes give, each form once: as it is encoded and as OpenAPI shows it."""

from typing import Any  # context, metadata and decisions are JSON
from uuid import UUID

import msgspec

from frontdesk.agents.models import Step
from frontdesk.conversations.feedback import Judgement, Verdict
from frontdesk.conversations.models import Author, Message, Session
from frontdesk.conversations.pending import workflow_of
from frontdesk.conversations.service import Explanation
from frontdesk.core.clock import iso
from frontdesk.supervisor.explaining import StageSeen


class AcceptedOut(msgspec.Struct, frozen=True):
    """The message is kept; its answer comes by stream or history."""

    session_id: UUID
    message_id: UUID
    seq: int
    correlation_id: str


class MessageOut(msgspec.Struct, frozen=True):
    """`role` is user, assistant, system or human; of an answer, `in_reply_to` names the messages that it covers."""

    seq: int
    message_id: UUID
    role: Author
    content: str
    timestamp: str
    in_reply_to: tuple[int, ...]
    metadata: dict[str, Any]

    @classmethod
    def of(cls, message: Message) -> "MessageOut":
        return cls(
            seq=message.seq,
            message_id=message.message_id,
            role=message.author,
            content=message.body.content,
            timestamp=iso(message.created_at),
            in_reply_to=message.in_reply_to if message.author is not Author.CONTACT else (),
            metadata=message.body.metadata,
        )


class ConversationOut(msgspec.Struct, frozen=True):
    """A conversation with its messages after a seq, oldest first."""

    session_id: UUID
    state: str
    owner: str
    epoch: int
    last_seq: int
    emergency: bool
    escalated: bool
    messages: list[MessageOut]


class SessionCounts(msgspec.Struct, frozen=True):
    """`average_response_time` is in seconds, null before the first answer."""

    total_interactions: int
    average_response_time: float | None
    preferred_voice: str | None


class SessionOut(msgspec.Struct, frozen=True):
    """A session. `workflow_state` is what was asked for last, `pending_tasks` all that is open."""

    session_id: UUID
    user_id: str
    channel: str
    created_at: str
    last_activity: str
    state: str
    owner: str
    emergency: bool
    escalated: bool
    context: dict[str, Any]
    current_intent: str | None
    workflow_state: dict[str, Any] | None
    pending_tasks: list[dict[str, Any]]
    metadata: SessionCounts

    @classmethod
    def of(cls, session: Session) -> "SessionOut":
        return cls(**_fields(session))


class SessionWithHistory(SessionOut, frozen=True):
    """A session with its first messages."""

    conversation_history: list[MessageOut]

    @classmethod
    def told(cls, session: Session, messages: list[Message]) -> "SessionWithHistory":
        return cls(**_fields(session), conversation_history=[MessageOut.of(message) for message in messages])


class SessionPage(msgspec.Struct, frozen=True):
    """The last active first; `next_cursor` is null on the last page."""

    items: list[SessionOut]
    next_cursor: str | None


class JudgementOut(msgspec.Struct, frozen=True):
    """One person's verdict on a decision; `agent` is whose matter it was, where it was the wrong one's."""

    user_id: str
    verdict: Verdict
    agent: str | None
    given_at: str

    @classmethod
    def of(cls, judgement: Judgement) -> "JudgementOut":
        return cls(judgement.author, judgement.verdict, judgement.agent, iso(judgement.given_at))


class ExplanationOut(msgspec.Struct, frozen=True):
    """A turn as it was decided and run. `decision` is as it was stored, `stages` the same for people."""

    turn_id: UUID
    session_id: UUID
    state: str
    covers: tuple[int, ...]
    attempt: int
    stage: str | None
    agents: tuple[str, ...]
    error_code: str | None
    decision: Any
    created_at: str
    started_at: str | None
    ended_at: str | None
    messages: list[MessageOut]
    stages: tuple[StageSeen, ...]
    steps: tuple[Step, ...]
    feedback: list[JudgementOut]

    @classmethod
    def of(cls, found: Explanation) -> "ExplanationOut":
        fields = msgspec.structs.asdict(found.turn)
        for name in ("created_at", "started_at", "ended_at"):
            fields[name] = iso(fields[name]) if fields[name] else None
        return cls(
            **fields,
            messages=[MessageOut.of(message) for message in found.messages],
            stages=found.stages,
            steps=found.steps,
            feedback=[JudgementOut.of(judgement) for judgement in found.judgements],
        )


class PageOut(msgspec.Struct, frozen=True):
    """What the page shows of a tenant: `local` when the built-in model answers alone, `agents` as titles by name.

    `explains`: answers lead to their explanation. `visits`: nothing is said without a visitor's token, and everybody is
    given one.
    """

    slug: str
    name: str
    greeting: str
    suggestions: tuple[str, ...]
    languages: tuple[str, ...]
    local: bool
    agents: dict[str, str]
    explains: bool
    visits: bool
    version: str


FORMS = (
    AcceptedOut, ConversationOut, ExplanationOut, JudgementOut, PageOut, SessionOut, SessionPage, SessionWithHistory,
)  # fmt: skip


def _fields(session: Session) -> dict[str, Any]:
    workflow, tasks = workflow_of(session.pending)
    average = round(session.answer_ms / session.answers / 1000, 3) if session.answers else None
    return {
        "session_id": session.id,
        "user_id": session.contact,
        "channel": session.channel,
        "created_at": iso(session.created_at),
        "last_activity": iso(session.last_activity),
        "state": session.state,
        "owner": session.owner,
        "emergency": session.emergency,
        "escalated": session.escalated,
        "context": session.context,
        "current_intent": session.intent,
        "workflow_state": workflow,
        "pending_tasks": tasks,
        "metadata": SessionCounts(session.answers, average, None),
    }

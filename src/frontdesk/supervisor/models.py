"""What the guard and the router say."""

from enum import StrEnum

import msgspec

from frontdesk.llm.types import PendingCall


class Stage(StrEnum):
    EMERGENCY = "emergency"
    HUMAN = "human"
    PENDING = "pending"
    STICKY = "sticky"
    PATTERN = "pattern"
    EMBEDDING = "embedding"
    LLM = "llm"
    FALLBACK_LLM = "fallback_llm"
    DEFAULT = "default"


class Intent(msgspec.Struct, frozen=True):
    """An agent that should answer, how sure that is (calibrated, 0 to 1), and the part of the message for it."""

    agent: str
    confidence: float
    query: str


class Likeness(msgspec.Struct, frozen=True):
    """An example that a message resembles, as it was when the message was routed."""

    example: str
    agent: str
    cosine: float


class Trial(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stage that was tried: its best scores by agent and why it did or did not decide."""

    stage: Stage
    scores: dict[str, float]
    reason: str
    duration_ms: float
    least: float | None = None  # of a score, to decide alone
    in_scope: float | None = None  # probability that it is any agent's matter
    nearest: tuple[Likeness, ...] = ()  # best first


class Clarification(msgspec.Struct, frozen=True):
    """We asked which agent is meant: `options` are agents' names in the order shown, `query` the message."""

    query: str
    options: tuple[str, ...]


class RouteState(msgspec.Struct, frozen=True):
    """What the router knows of the conversation so far. Stored with it between turns, by the conversation."""

    pending: tuple[PendingCall, ...] = ()  # the one asked for last is the last
    clarification: Clarification | None = None
    last_agent: str | None = None
    history: tuple[str, ...] = ()  # the contact's earlier messages, oldest first


class Decision(msgspec.Struct, frozen=True):
    """Which agents answer, by which stage and why. `clarify` is the question to ask back instead.

    `options` are the agents' titles as shown with it; `clarification` is what the next turn's RouteState brings back.
    """

    stage: Stage
    reason: str
    intents: tuple[Intent, ...] = ()
    trials: tuple[Trial, ...] = ()
    clarify: str | None = None
    options: tuple[str, ...] = ()
    clarification: Clarification | None = None
    language: str = "en"


class Alarm(msgspec.Struct, frozen=True):
    """What the guard found: an emergency or an explicit wish for a human."""

    stage: Stage  # EMERGENCY or HUMAN
    kind: str  # cardiac, stroke, breathing, suicide … ; `human`
    language: str
    reason: str

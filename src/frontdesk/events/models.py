"""The envelope of an event, and a place in the log."""

from datetime import datetime
from typing import Any  # payloads are JSON, each type's own
from uuid import UUID

import msgspec


class Event(msgspec.Struct, frozen=True):
    """Something that happened. `key` orders: events of one key (a conversation) are read as they were committed."""

    event_id: UUID
    topic: str
    key: str
    tenant_id: UUID
    type: str
    version: int
    occurred_at: datetime
    correlation_id: str
    causation_id: UUID | None
    payload: dict[str, Any]


class Position(msgspec.Struct, frozen=True, order=True):
    """How far a reader is: everything up to this transaction and place has been seen."""

    xid: int
    place: int


# The topics that this version writes, with the types of event on each.
TOPICS = {
    "messages.raw": ("message.accepted",),
    "turns": ("turn.completed", "turn.failed", "turn.handed_off"),
    "conversations.state": ("conversation.expired", "conversation.cleared"),
    "handoff": ("escalation.requested",),
    "feedback": ("feedback.given", "feedback.withdrawn"),
}

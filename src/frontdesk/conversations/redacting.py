"""What a tenant does not want stored: when a session has expired, its personal data is replaced for good."""

import asyncio
from collections.abc import Sequence
from typing import Any  # what was sealed is untyped
from uuid import UUID

import msgspec
import structlog

from frontdesk.agents.store import load_privacy
from frontdesk.conversations.sealed import Sealed
from frontdesk.core import json
from frontdesk.db import Database, TenantScope
from frontdesk.db.cipher import DecryptFailed
from frontdesk.events.models import Event
from frontdesk.privacy.detector import Detector
from frontdesk.privacy.redactor import WITHHELD, Redaction, Text

log = structlog.get_logger()

# Each turn is that of a message, and messages are found by their conversation.
_ITS_TURNS = "ANY(ARRAY(SELECT m.turn_id FROM messages AS m WHERE m.tenant_id = $1 AND m.conversation_id = $2))"


class SealedOf(msgspec.Struct, frozen=True):
    """A table that holds sealed values of a conversation."""

    table: str
    where: str  # $1: the tenant, $2: the conversation
    keys: tuple[str, ...]  # the primary key beside the tenant
    values: tuple[str, ...]


_SEALED = {
    each.table: each
    for each in (
        SealedOf("messages", "conversation_id = $2", ("conversation_id", "seq"), ("body",)),
        SealedOf("conversations", "id = $2 AND state = 'expired'", ("id",), ("context", "summary")),
        SealedOf("turns", f"id = {_ITS_TURNS}", ("id",), ("decision",)),
        SealedOf("steps", f"turn_id = {_ITS_TURNS}", ("turn_id", "agent", "number"), ("input", "output")),
    )
}


class Stored(msgspec.Struct, frozen=True):
    """One sealed value: where it stands, and what it is."""

    table: str
    key: tuple[UUID | int | str, ...]
    name: str
    value: bytes


class Redactions:
    """A consumer of `conversations.state`. What is replaced can't be had back."""

    group, topics = "redactions", ("conversations.state",)

    def __init__(self, db: Database, sealed: Sealed, detector: Detector) -> None:
        self._db = db
        self._sealed = sealed
        self._detector = detector

    async def derive(self, event: Event) -> list[Stored] | None:
        """The values that change; None where the tenant stores everything as it is."""
        if event.type != "conversation.expired":
            return None
        async with self._db.scope(event.tenant_id) as scope:
            privacy = await load_privacy(scope)
            hides = privacy.hidden_from(privacy.storage)
            if not hides:
                return None
            stored = [value for each in _SEALED.values() for value in await _stored(scope, each, UUID(event.key))]
        redaction = Redaction(self._detector, hides, for_good=True)
        return await asyncio.to_thread(self._redacted, event.tenant_id, redaction, stored)

    async def apply(self, scope: TenantScope, event: Event, derived: list[Stored]) -> None:
        conversation = UUID(event.key)
        await scope.execute("SELECT conversation_lock($1)", conversation)
        query = "SELECT state, created_at, last_activity FROM conversations WHERE tenant_id = $1 AND id = $2"
        row = await scope.fetchrow(query, scope.tenant_id, conversation)
        if row is None:  # removed meanwhile, with what the log tells
            return
        if row["state"] == "expired":  # else it was cleared meanwhile: that must not be undone
            for each in derived:
                await scope.execute(_change(each), scope.tenant_id, each.value, *each.key)
            # Of what was said: whoever has it could try values until one fits.
            query = """
                UPDATE messages
                   SET request_hash = NULL
                 WHERE tenant_id = $1
                   AND conversation_id = $2
                   AND request_hash IS NOT NULL
            """
            await scope.execute(query, scope.tenant_id, conversation)
        # What the log tells of its messages is no longer needed: everybody has had the session's life to read it.
        query = """
            UPDATE outbox
               SET payload = ''::bytea
             WHERE occurred_at BETWEEN $3 AND $4::timestamptz + interval '1 hour'
               AND tenant_id = $1
               AND key = $2
               AND topic = 'messages.raw'
        """
        await scope.execute(query, scope.tenant_id, event.key, row["created_at"], row["last_activity"])

    def _redacted(self, tenant_id: UUID, redaction: Redaction, stored: Sequence[Stored]) -> list[Stored]:
        """Those that change. A value in which nothing can be looked for is withheld; one that can't be opened stays."""
        opened = [(each, value) for each in stored if (value := self._opened(tenant_id, each)) is not None]
        texts = [Text(text) for _, value in opened for text in _texts(value)]
        # JSON as a whole too: what a field is called says what stands in it.
        texts += [Text(json.dumps_text(value), holds_json=True) for each, value in opened if each.name != "summary"]
        try:
            redaction.hide(texts)
            new = [redaction.hidden_value(value) for _, value in opened]
        except Exception as error:  # noqa: BLE001 - an edge: whatever is wrong with the search, the text does not stay
            log.error("privacy.failed", tenant_id=str(tenant_id), error=type(error).__name__)
            new = [_withheld(value) for _, value in opened]
        return [
            self._sealed_again(tenant_id, each, after)
            for (each, before), after in zip(opened, new, strict=True)
            if after != before
        ]

    def _opened(self, tenant_id: UUID, each: Stored) -> Any:
        """JSON, or the summary's text; None for what can't be opened any more."""
        try:
            opened = self._sealed.open_text(tenant_id, each.value)
        except DecryptFailed:
            return None
        if each.name == "summary":
            return opened.decode(errors="replace")
        try:
            return json.loads(opened)
        except ValueError:
            return None

    def _sealed_again(self, tenant_id: UUID, each: Stored, value: Any) -> Stored:
        sealed = (
            self._sealed.text(tenant_id, value.encode())
            if each.name == "summary"
            else self._sealed.json(tenant_id, value)
        )
        return msgspec.structs.replace(each, value=sealed or b"")


async def _stored(scope: TenantScope, of: SealedOf, conversation: UUID) -> list[Stored]:
    query = f"SELECT {', '.join((*of.keys, *of.values))} FROM {of.table} WHERE tenant_id = $1 AND {of.where}"
    return [
        Stored(of.table, tuple(row[key] for key in of.keys), name, row[name])
        for row in await scope.fetch(query, scope.tenant_id, conversation)
        for name in of.values
        if row[name]
    ]


def _change(stored: Stored) -> str:
    """$1: the tenant, $2: the value, then the key. What was removed meanwhile does not come back."""
    keys = " AND ".join(f"{key} = ${place}" for place, key in enumerate(_SEALED[stored.table].keys, 3))
    return f"UPDATE {stored.table} SET {stored.name} = $2 WHERE tenant_id = $1 AND {keys} AND {stored.name} IS NOT NULL"


def _texts(value: Any) -> list[str]:
    """Every text in a JSON value."""
    match value:
        case str():
            return [value]
        case dict():
            return [text for inner in value.values() for text in _texts(inner)]
        case list():
            return [text for inner in value for text in _texts(inner)]
        case _:
            return []


def _withheld(value: Any) -> Any:
    """The same structure without its texts."""
    match value:
        case str():
            return WITHHELD
        case dict():
            return {name: _withheld(inner) for name, inner in value.items()}
        case list():
            return [_withheld(inner) for inner in value]
        case _:
            return value

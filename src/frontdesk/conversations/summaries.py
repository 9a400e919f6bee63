"""What falls out of the window is kept as a summary, made incrementally: old summary + new messages."""

import asyncio
from uuid import UUID

import msgspec

from frontdesk.agents.definitions import DefinitionsCache
from frontdesk.conversations.sealed import Sealed
from frontdesk.conversations.store import ConversationStore, put_summary, summary_state
from frontdesk.db import Database, TenantScope
from frontdesk.db.cipher import DecryptFailed
from frontdesk.events.models import Event
from frontdesk.llm.providers.local.summary import summarise
from frontdesk.llm.types import Message, Role

# Messages that must have fallen out before they are summed up: not one by one.
PORTION = 4
MOST = 100

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "human": Role.ASSISTANT, "system": Role.SYSTEM}


class Derived(msgspec.Struct, frozen=True):
    conversation_id: UUID
    summary: str
    up_to: int


class Summaries:
    """A consumer of `turns`: after each turn, what is older than the window goes into the summary."""

    group, topics = "summaries", ("turns",)

    def __init__(self, db: Database, store: ConversationStore, sealed: Sealed, definitions: DefinitionsCache) -> None:
        self._db = db
        self._store = store
        self._sealed = sealed
        self._definitions = definitions

    async def derive(self, event: Event) -> Derived | None:
        """None when too little has fallen out."""
        conversation_id = UUID(event.key)
        window = (await self._definitions.at(event.tenant_id, 0)).tenant.settings.window_messages
        if max(event.payload.get("in_reply_to", ()), default=0) + 1 - window < PORTION:
            return None  # most conversations are short: nothing to look up
        async with self._db.scope(event.tenant_id) as scope:
            state = await summary_state(scope, conversation_id)
            if state is None:
                return None
            sealed, reached, last = state
            out_of_window = last - window
            if out_of_window - reached < PORTION:
                return None
            messages = await self._store.messages_after(scope, conversation_id, reached, MOST)
        fallen = [message for message in messages if message.seq <= out_of_window]
        if not fallen:
            return None
        try:
            old = self._sealed.open_text(event.tenant_id, sealed).decode()
        except DecryptFailed:
            old = ""
        new = [Message(_ROLES[message.author], message.body.content) for message in fallen if message.body.content]
        return Derived(conversation_id, await asyncio.to_thread(summarise, old, new), fallen[-1].seq)

    async def apply(self, scope: TenantScope, event: Event, derived: Derived) -> None:
        await put_summary(scope, self._sealed, derived.conversation_id, derived.summary, derived.up_to)

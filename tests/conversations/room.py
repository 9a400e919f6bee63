"""A server's parts in this process, over a real database: for what can't be seen through the API alone."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch
from uuid import UUID

import asyncpg
from tests.conftest import HANG_S
from tests.crash.desk import SLUG, Desk
from tests.prepared import prepare
from tests.vendors.replies import Reply, VendorRequest
from tests.vendors.server import Vendor

from frontdesk.agents.models import Tenant
from frontdesk.apply import apply_folder
from frontdesk.conversations.models import Accepted, Answer, Author, Incoming, Message, Session
from frontdesk.core.errors import TurnFailed
from frontdesk.core.ids import new_id
from frontdesk.core.settings import load_settings
from frontdesk.server.applying import apply_services
from frontdesk.server.services import Services, built, running

LONG_S = 1.0  # a turn that others arrive in


class Slow:
    """A model that takes its time; `asked` is set when its first turn has come to it."""

    def __init__(self, vendor: Vendor) -> None:
        self.asked = asyncio.Event()
        vendor.responder = self._respond

    def _respond(self, request: VendorRequest) -> Reply:
        if self.asked.is_set():
            return Reply("Yes.")
        self.asked.set()
        return Reply("Yes.", delay_s=LONG_S)


class Room:
    """One tenant, its conversations, and the owner's connection to the database for what only an owner may do."""

    def __init__(self, services: Services, tenant: Tenant, owner: Any) -> None:
        self.services = services
        self.tenant = tenant
        self.owner = owner

    async def accept(self, text: str, conversation_id: UUID, key: str | None = None) -> Accepted:
        incoming = Incoming("ann", text, conversation_id, idempotency_key=key)
        return await self.services.conversations.accept(self.tenant, incoming, "test")

    async def answer(self, accepted: Accepted) -> Answer:
        """Raises TurnFailed."""
        async with asyncio.timeout(HANG_S):
            return await self.services.conversations.outcome(self.tenant.id, accepted.conversation_id, accepted.turn_id)

    async def failure(self, accepted: Accepted) -> str:
        try:
            answer = await self.answer(accepted)
        except TurnFailed as error:
            return error.error_code
        raise AssertionError(f"it was answered: {answer.text}")

    async def chat(self, text: str, conversation_id: UUID) -> Answer:
        return await self.answer(await self.accept(text, conversation_id))

    async def left_by_a_dead_worker(self, text: str, conversation_id: UUID, attempt: int = 1) -> Accepted:
        """A message whose turn another worker took, `attempt` times, before it died."""
        settings = self.tenant.settings
        accepted = await self.services.store.accept(
            self.tenant.id, Incoming("ann", text, conversation_id), "test",
            worker=new_id(), lease_s=15, ttl_s=settings.session_ttl_s, join=True, window=settings.window_messages,
        )  # fmt: skip
        query = "UPDATE turns SET attempt = $2, lease_until = now() - interval '1 s' WHERE id = $1"
        await self.owner.execute(query, accepted.turn_id, attempt)
        return accepted

    async def messages(self, conversation_id: UUID) -> list[Message]:
        return (await self.services.conversations.history(self.tenant.id, conversation_id, 0, 200))[1]

    async def session(self, conversation_id: UUID) -> Session:
        return (await self.services.conversations.history(self.tenant.id, conversation_id, 0, 1))[0]

    async def said(self, conversation_id: UUID) -> list[tuple[Author, tuple[int, ...]]]:
        return [(message.author, message.in_reply_to) for message in await self.messages(conversation_id)]


@asynccontextmanager
async def room(desk: Desk, database_url: str, **settings: str) -> AsyncIterator[Room]:
    """The parts run while the context lasts, as in a server."""
    environment = desk.environment | {"FRONTDESK_DATA": str(desk.data), "FRONTDESK_DATABASE_URL": database_url}
    with patch.dict(os.environ, environment | settings):
        await prepare(desk.data, environment)
        async with built(load_settings(os.environ), lambda _line: None) as services:
            for folder in services.folders.values():
                await apply_folder(folder, apply_services(services))
            async with running(services):
                owner = await asyncpg.connect(database_url)
                try:
                    yield Room(services, await services.directory.named(SLUG), owner)
                finally:
                    await owner.close()

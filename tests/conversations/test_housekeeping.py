"""What is done now and then, over a real log."""

from uuid import UUID

import pytest

from frontdesk.conversations import housekeeping
from frontdesk.conversations.housekeeping import Housekeeping
from frontdesk.conversations.retention import Retention
from frontdesk.conversations.sealed import Sealed
from frontdesk.conversations.store import ConversationStore
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.events.log import PostgresLog
from frontdesk.events.wakeups import Wakeups


async def test_old_events_are_removed_in_portions_until_none_is_left(
    database: Database, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "EVENTS_AT_ONCE", 2)
    cipher = Cipher([b"k" * 32])
    events = PostgresLog(database, cipher)
    async with database.scope(tenant_id) as scope:
        for n in range(5):
            await events.append(scope, "messages.raw", "a", "message.accepted", {"n": n})
    store = ConversationStore(database, Sealed(cipher))
    retention = Retention(database, Sealed(cipher), events_days=0)
    keeping = Housekeeping(store, events, Wakeups(database, notify=False), retention, every_s=60, events_days=0)
    assert await keeping.remove_events() == 5
    assert await keeping.remove_events() == 0

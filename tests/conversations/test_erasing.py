"""A contact is erased while a turn of his runs: nothing of it is written afterwards."""

import asyncio

import pytest
from tests.conftest import HANG_S
from tests.conversations.room import Room, Slow
from tests.vendors.server import Vendor

from frontdesk.audit import Actor
from frontdesk.conversations.personal_data import PersonalData
from frontdesk.conversations.sealed import Sealed
from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import FrontdeskError
from frontdesk.core.ids import new_id


async def test_a_running_turn_of_an_erased_contact_writes_nothing(desk_room: Room, vendor: Vendor) -> None:
    slow, conversation = Slow(vendor), new_id()
    services = desk_room.services
    accepted = await desk_room.accept("I am ann", conversation)
    async with asyncio.timeout(HANG_S):
        await slow.asked.wait()
    personal = PersonalData(services.database, Sealed(services.cipher), SystemClock(), lambda: None)
    receipt = await personal.erase(desk_room.tenant.id, "ann", Actor("staff", "42"))
    assert (receipt.rows["messages"], receipt.rows["turns"]) == (1, 1)
    with pytest.raises(FrontdeskError):
        await desk_room.answer(accepted)
    await services.worker.stop(HANG_S)
    for table in ("messages", "turns", "steps", "conversations", "contacts"):
        assert await desk_room.owner.fetchval(f"SELECT count(*) FROM {table}") == 0

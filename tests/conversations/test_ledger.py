"""The ledger holds a row for each call of a model, whatever became of the turn that made it."""

import asyncio
from uuid import uuid4

from structlog.testing import capture_logs
from tests.conftest import HANG_S
from tests.conversations.room import Room, Slow, room
from tests.crash.desk import Desk
from tests.vendors.replies import Reply
from tests.vendors.server import Vendor

AT_ONCE = 6


async def test_calls_of_turns_that_are_cut_off_together_are_all_written_down(desk_room: Room, vendor: Vendor) -> None:
    vendor.responder = lambda _request: Reply("never", stall_after=0)
    for number in range(AT_ONCE):
        await desk_room.accept(f"hello {number}", uuid4())
    async with asyncio.timeout(HANG_S):
        while len(vendor.requests) < AT_ONCE:
            await vendor.stalled.wait()
            await asyncio.sleep(0.05)
    with capture_logs() as logs:
        await desk_room.services.worker.stop(0.1)
    assert [entry for entry in logs if entry["log_level"] in ("error", "critical")] == []
    assert await desk_room.owner.fetchval("SELECT count(*) FROM llm_calls WHERE outcome = 'cancelled'") == AT_ONCE


async def test_a_call_whose_answer_could_not_be_kept_in_time_is_written_down(
    desk: Desk, vendor: Vendor, database_url: str
) -> None:
    slow = Slow(vendor)
    hurried = {
        "FRONTDESK_TURNS__DEADLINE_S": "2",
        "FRONTDESK_TURNS__LEASE_S": "2",
        "FRONTDESK_DATABASE__STATEMENT_TIMEOUT_S": "0.2",
    }
    async with room(desk, database_url, **hurried) as open_room, asyncio.timeout(HANG_S):
        accepted = await open_room.accept("one", uuid4())
        await slow.asked.wait()
        async with open_room.owner.transaction():
            await open_room.owner.execute("LOCK TABLE turns")
            while open_room.services.live.get(accepted.turn_id) is not None:
                await asyncio.sleep(0.1)
        await open_room.answer(accepted)  # by a second attempt, and a second call
        while await open_room.owner.fetchval("SELECT count(*) FROM llm_calls") < 2:
            await asyncio.sleep(0.1)
        assert len(vendor.requests) == 2

"""kill -9 while a service is doing what an http tool asked it for."""

import uuid
from pathlib import Path

import pytest
from tests.conftest import eventually
from tests.crash.bells import Bells
from tests.crash.desk import Desk
from tests.crash.talk import messages, say
from tests.served import serving
from tests.vendors.server import Vendor


@pytest.mark.parametrize(
    ("text", "times", "status"),
    [("post the letter", 2, "ok"), ("ring the bell", 1, "error")],
    ids=["one that may repeat it does, under the same key", "one that may not does not, and says so"],
)
async def test_a_tool_that_was_cut_by_a_kill(
    place: Path, vendor: Vendor, bells: Bells, text: str, times: int, status: str
) -> None:
    desk = Desk(place, vendor, bells)
    session_id = str(uuid.uuid4())
    bells.held.clear()
    async with serving(desk.data, desk.environment) as served:
        assert (await say(served, text, session_id, "messages")).status_code == 202
        await eventually(bells.came)
        await served.kill()
    bells.held.set()
    async with serving(desk.data, desk.environment) as served:
        answer = (await messages(served, session_id, {1}))[-1]
    [keys] = [keys for (_path, of), keys in bells.calls.items() if of == text]
    assert list(keys.values()) == [times]
    assert (answer["role"], answer["content"]) == ("assistant", "All done, thank you.")
    assert [use["status"] for use in answer["metadata"]["tools"]] == [status]

"""Messages that make a stage raise: their turn ends explicitly, their lane goes on, and so does the server."""

import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.crash.bells import Bells
from tests.crash.desk import Desk, noting
from tests.crash.talk import messages, say
from tests.served import Served, serving
from tests.vendors.replies import Reply, ToolUse, VendorRequest
from tests.vendors.server import Vendor

TOOLS = """\
import asyncio, sys


async def write(arguments, context):
    how = arguments["text"].removeprefix("note ")
    if how == "exit":
        sys.exit(3)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "cancel":
        raise asyncio.CancelledError
    if how == "group":
        raise BaseExceptionGroup("several", [GeneratorExit()])
    if how == "nul":
        return {"written": "a\\0b"}
    if how == "surrogate":
        return {"written": "\\ud800"}
    return {"written": arguments["text"]}
"""

# What a model says: the reply, by the message.
REPLIES: Mapping[str, Reply] = {
    "a tool's name with NUL": Reply(tool_calls=[ToolUse("write\0note", {"text": "x"})]),
    "an agent's text with NUL": Reply("a\0b"),
    "an agent's text that is no Unicode": Reply("a\ud800b"),
    "arguments that are no Unicode": Reply(tool_calls=[ToolUse("write_note", raw='{"text": "\\ud800"}')]),
}


def replying(request: VendorRequest) -> Reply:
    if request.user in REPLIES and not request.results:
        return REPLIES[request.user]
    return noting(request)


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    """One server for all: each test has conversations of its own."""
    vendor, bells = Vendor(), Bells()
    await vendor.start()
    await bells.start()
    with tempfile.TemporaryDirectory(prefix="frontdesk-crash-", ignore_cleanup_errors=True) as folder:
        desk = Desk(Path(folder), vendor, bells, files={"tools/notes.py": TOOLS})
        vendor.responder = replying
        environment = desk.environment | {"PYTHONPATH": str(Path(__file__).parent / "poison")}
        async with serving(desk.data, environment) as served:
            yield served
    await bells.stop()
    await vendor.stop()


async def last(served: Served, session_id: str, seq: int) -> dict[str, Any]:
    [message] = [m for m in await messages(served, session_id, {seq}) if seq in m["in_reply_to"]]
    return message


async def test_every_stage_may_raise(served: Served) -> None:
    session_id = str(uuid.uuid4())
    seq = 1
    for words, code in (
        ("break guard", "INTERNAL"),
        ("break route", "INTERNAL"),
        ("break agent", "INTERNAL"),
        ("note break step", "INTERNAL"),
        ("break completion", "INTERNAL"),
    ):
        failed = await say(served, words, session_id)
        assert (words, failed.status_code, failed.json()["error_code"]) == (words, 500, code)
        message = await last(served, session_id, seq)
        assert (message["role"], message["metadata"]["failed"]) == ("system", code)
        # The lane is free: the next message of the conversation is answered.
        assert (await say(served, "note fine", session_id)).status_code == 200
        seq += 4
    assert served.process.returncode is None


@pytest.mark.parametrize("how", ["exit", "interrupt", "cancel", "group", "nul", "surrogate"])
async def test_a_tool_may_raise_whatever_there_is(served: Served, how: str) -> None:
    session_id = str(uuid.uuid4())
    answered = await say(served, f"note {how}", session_id)
    assert answered.status_code == 200, answered.text
    assert answered.json()["tools"][0]["status"] == ("ok" if how == "nul" else "error")
    assert (await say(served, "note fine", session_id)).status_code == 200
    assert served.process.returncode is None


@pytest.mark.parametrize("words", REPLIES)
async def test_a_model_may_say_whatever_there_is(served: Served, words: str) -> None:
    session_id = str(uuid.uuid4())
    answered = await say(served, words, session_id)
    assert answered.status_code in (200, 500), answered.text
    message = await last(served, session_id, 1)
    assert message["role"] == ("assistant" if answered.status_code == 200 else "system")
    assert (await say(served, "note fine", session_id)).status_code == 200
    assert served.process.returncode is None

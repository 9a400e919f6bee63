"""A whole run over each vendor's wire format: question, booking, cited answer; and a stream that is cut."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
from pydantic import SecretStr
from tests.agents.scripted import FULL, Desk, ScriptedProvider, build_desk, says
from tests.turns import begun_turn
from tests.vendors.replies import Reply, ToolUse
from tests.vendors.server import Vendor

from frontdesk.db import Database
from frontdesk.llm.providers.anthropic import AnthropicProvider
from frontdesk.llm.providers.gemini import GeminiProvider
from frontdesk.llm.providers.openai import OpenAIProvider
from frontdesk.llm.types import PendingCall, Provider, Role, Target

KEY = SecretStr("key")
VENDORS: dict[str, Callable[[aiohttp.ClientSession, Vendor], Provider]] = {
    "openai": lambda http, vendor: OpenAIProvider(http, KEY, base_url=vendor.openai_url),
    "anthropic": lambda http, vendor: AnthropicProvider(http, KEY, base_url=vendor.url),
    "gemini": lambda http, vendor: GeminiProvider(http, KEY, base_url=vendor.url),
}


@pytest.fixture(params=VENDORS)
async def vendor_desk(
    request: pytest.FixtureRequest, vendor: Vendor, database: Database, tenant_id: UUID, tmp_path: Path
) -> AsyncIterator[Desk]:
    async with aiohttp.ClientSession() as http:
        provider = VENDORS[request.param](http, vendor)
        backup = ScriptedProvider("local", says("I am only local."))
        targets = (Target(provider.name, "m1"), Target("local", "extractive", 1))
        desk = build_desk(database, tenant_id, tmp_path, [provider, backup], targets)
        await begun_turn(database, tenant_id, "u1", desk.turn_id)
        yield desk
        await desk.outbound.close()


async def test_a_booking_over_two_turns_and_a_question_beside_it(vendor_desk: Desk, vendor: Vendor) -> None:
    desk = vendor_desk
    vendor.script(Reply("One moment.", tool_calls=[ToolUse("book", {"date": "2026-11-27", "time": "15:00"})]))
    asked = await desk.run("Friday at three please")
    assert asked.text == desk.shown() == "Your email address?"
    assert isinstance(asked.pending, PendingCall)

    vendor.script(
        Reply(tool_calls=[ToolUse("book", {"email": "ana@example.org"}), ToolUse("search", {"query": "visitors"})]),
        Reply("You are booked. Visitors come from 14:00 [1], and dragons too [7]."),
    )
    done = await desk.run(
        "ana@example.org, and when are visits?",
        pending=asked.pending,
        history=((Role.USER, "Friday at three please"), (Role.ASSISTANT, asked.text)),
    )
    assert done.text == desk.shown() == "You are booked. Visitors come from 14:00 [1], and dragons too."
    assert await desk.slots() == ["2026-11-27/15:00"]
    assert (done.finished, len(done.citations)) == (("book", "search"), 1)
    assert [result["status"] for result in vendor.requests[-1].results] == ["ok", "ok"]
    assert vendor.requests[-1].user.endswith("[EMAIL_1], and when are visits?")
    assert "You serve at the desk of Acme." in vendor.requests[-1].system


async def test_a_broken_call_and_a_cut_stream_are_survived(vendor_desk: Desk, vendor: Vendor) -> None:
    desk = vendor_desk
    vendor.script(
        Reply(tool_calls=[ToolUse("fly", {})]),
        Reply("You can not fly here, but I can", cut_after=4),
        Reply("No flights."),
    )
    outcome = await desk.run("Fly me home")
    # One attempt a target: after the cut the chain goes on with the next.
    assert outcome.text == desk.shown() == "I am only local."
    assert (outcome.source, outcome.degraded) == ("local", True)
    assert vendor.requests[-1].results[0]["status"] == "error"


async def test_a_booking_taken_up_after_a_crash_is_shown_to_the_vendor_as_made(
    vendor_desk: Desk, vendor: Vendor
) -> None:
    desk = vendor_desk
    vendor.script(Reply(tool_calls=[ToolUse("book", FULL)]), Reply("Booked."))
    await desk.run("Friday at three")
    steps = tuple({step.number: step for step in desk.kept}.values())
    vendor.script(Reply("It is booked already."))
    outcome = await desk.run("Friday at three", steps=steps)
    assert outcome.text == "It is booked already."
    assert len(desk.made()) == 1
    assert vendor.requests[-1].results[0]["text"] == "Booked 2026-11-27/15:00."

"""The main stories with each vendor's wire format: a real server, a scripted vendor, nothing of ours replaced."""

import json
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from tests.served import Served, ServerSentEvent, serving
from tests.vendors.replies import Reply, ToolUse, Use, VendorRequest
from tests.vendors.server import Vendor

UNSURE = "It is about the thing from last week, you know which"
VISITING = "What are your visiting hours?"

# How a deployment names each vendor, and what its answers are then said to come from.
ENVIRONMENTS: dict[str, Callable[[Vendor], dict[str, str]]] = {
    "openai": lambda vendor: {"OPENAI_API_KEY": "key", "OPENAI_BASE_URL": vendor.openai_url},
    "anthropic": lambda vendor: {"ANTHROPIC_API_KEY": "key", "ANTHROPIC_BASE_URL": vendor.url},
    "gemini": lambda vendor: {"GEMINI_API_KEY": "key", "GEMINI_BASE_URL": vendor.url},
    "compatible": lambda vendor: {"OPENAI_BASE_URL": vendor.openai_url},
}
SOURCES = {
    "openai": "openai/gpt-6-luna",
    "anthropic": "anthropic/claude-haiku-5-5",
    "gemini": "gemini/gemini-3.5-flash-lite",
    "compatible": "openai/gpt-6-luna",
}


@dataclass
class Desk:
    """A clinic whose models are at the scripted vendor."""

    name: str
    served: Served
    vendor: Vendor

    @property
    def source(self) -> str:
        return SOURCES[self.name]


@asynccontextmanager
async def desk_at(folder: Path, names: Sequence[str], vendor: Vendor | None = None, **more: str) -> AsyncIterator[Desk]:
    own = vendor or Vendor()
    if vendor is None:
        await own.start()
    environment = {f"FRONTDESK_{key}": value for name in names for key, value in ENVIRONMENTS[name](own).items()}
    try:
        async with serving(folder, environment | more) as served:
            yield Desk(names[0], served, own)
    finally:
        if vendor is None:
            await own.stop()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One data directory for all of them, one after the other: only the first start has to set it up."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-vendors-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Path]:
    """Another one, for servers that run beside the one above."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-vendors-") as name:
        yield Path(name)


@pytest.fixture(scope="module", params=ENVIRONMENTS)
async def one(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Desk]:
    async with desk_at(folder, [request.param]) as desk:
        yield desk


@pytest.fixture
def desk(one: Desk) -> Desk:
    one.vendor.clear()
    return one


@pytest.fixture
def visitor() -> str:
    return f"visitor-{uuid4()}"


def verdict(*agents: str, question: str = "") -> Reply:
    intents = [{"agent": agent, "query": "", "confidence": 0.9} for agent in agents]
    return Reply(json.dumps({"intents": intents, "unclear": bool(question), "question": question}))


def heard(events: Sequence[ServerSentEvent]) -> str:
    """What a client shows when the stream is over."""
    text = ""
    for event in events:
        text = "" if event.event == "restart" else text + (event.data["text"] if event.event == "delta" else "")
    return text


async def test_a_message_that_the_classifier_is_unsure_of_is_routed_by_the_model(desk: Desk, visitor: str) -> None:
    desk.vendor.script(verdict("billing"), Reply("Which invoice do you mean?"))
    answer = await desk.served.chat(UNSURE, user=visitor)
    assert answer["routing"]["stage"] == "llm"
    assert answer["agents"] == ["billing"]
    assert (answer["source"], answer["degraded"]) == (desk.source, False)
    asked, said = desk.vendor.requests
    assert asked.output_schema is not None
    assert UNSURE in asked.user
    assert said.user.endswith(UNSURE)


async def test_a_model_that_finds_it_unclear_asks_back(desk: Desk, visitor: str) -> None:
    desk.vendor.script(verdict("billing", "appointments", question="A bill, or an appointment?"), Reply("All right."))
    answer = await desk.served.chat(UNSURE, user=visitor)
    assert answer["text"] == "A bill, or an appointment?"
    assert [need["parameter"] for need in answer["needs"]] == ["intent"]
    picked = await desk.served.chat("the first one", answer["session_id"], visitor)
    assert (picked["agents"], picked["routing"]["stage"]) == (["billing"], "pending")


async def test_nonsense_from_the_router_is_no_decision(desk: Desk, visitor: str) -> None:
    desk.vendor.script(Reply('{"intents": "all of them"}'), Reply("How can I help?"))
    answer = await desk.served.chat(UNSURE, user=visitor)
    assert (answer["routing"]["stage"], answer["text"]) == ("default", "How can I help?")


async def test_an_answer_is_streamed_with_citations_and_without_invented_markers(desk: Desk, visitor: str) -> None:
    desk.vendor.script(
        Reply(tool_calls=[ToolUse("search_documents", {"query": "visiting hours"})]),
        Reply(
            "You can visit from 14:00 to 16:00 [2]. Dragons may come at night [93]. Sundays until six [1].",
            delay_s=0.05,  # what arrives together goes out together
        ),
    )
    events = [event async for event in desk.served.stream(VISITING, user=visitor)]
    answer = events[-1].data
    assert answer["text"] == "You can visit from 14:00 to 16:00 [1]. Dragons may come at night. Sundays until six [2]."
    assert heard(events) == answer["text"]
    assert len([event for event in events if event.event == "delta"]) > 3
    passages = desk.vendor.requests[-1].results[0]["passages"]
    by_ref = {passage["ref"]: passage["text"] for passage in passages}
    assert [citation["quote"] in by_ref[ref] for citation, ref in zip(answer["citations"], (2, 1), strict=True)]
    assert answer["tools"][0]["name"] == "search_documents"
    usage = answer["usage"]
    assert (usage["llm_calls"], usage["input_tokens"], usage["output_tokens"]) == (2, 200, 40)


async def test_a_booking_asks_for_what_is_missing_and_is_stored(desk: Desk, visitor: str) -> None:
    day = date.today() + timedelta(weeks=2)
    while day.weekday() > 4 or (day.month, day.day) in {(1, 1), (3, 17), (5, 1), (12, 25), (12, 26)}:
        day += timedelta(days=1)

    def book(**arguments: str) -> Reply:
        return Reply(tool_calls=[ToolUse("book_appointment", arguments)])

    vendor, chat = desk.vendor, desk.served.chat
    vendor.script(book(service="general practice"))
    first = await chat("I'd like to book an appointment with a general practitioner", user=visitor)
    session_id = first["session_id"]
    assert [need["parameter"] for need in first["needs"]] == ["date"]
    assert first["text"] == "Which day would you like to come?"
    vendor.script(book(date=day.isoformat(), part_of_day="morning"))
    offered = await chat(f"on {day.isoformat()}, in the morning", session_id, visitor)
    assert offered["routing"]["stage"] == "pending"
    assert [need["parameter"] for need in offered["needs"]] == ["time"]
    time = offered["needs"][0]["options"][-1]
    vendor.script(book(time=time, name="Ann Miller"))
    assert [need["parameter"] for need in (await chat(f"{time}, Ann Miller", session_id, visitor))["needs"]] == [
        "phone"
    ]
    vendor.script(book(phone="+353209120199"), Reply(f"You are booked at {time}."))
    done = await chat("+353 20 912 0199", session_id, visitor)
    assert (done["text"], done["state"], done["needs"]) == (f"You are booked at {time}.", "completed", [])
    assert vendor.requests[-1].results[0]["status"] == "ok"
    vendor.script(Reply(tool_calls=[ToolUse("my_appointments")]), Reply("It is as you said."))
    await chat("When is my appointment?", session_id, visitor)
    (mine,) = vendor.requests[-1].results[0]["result"]["appointments"]
    assert time in mine["label"]
    assert re.fullmatch(r"\[PERSON_[0-9]\]", mine["name"])  # the vendor is not told whose it is


async def test_a_stream_that_is_cut_begins_anew_and_is_whole_in_the_end(desk: Desk, visitor: str) -> None:
    lost = "Something that nobody will ever hear to its end because the line breaks"
    desk.vendor.script(Reply(lost, cut_after=8), Reply("Every day from 14:00 to 16:00."))
    events = [event async for event in desk.served.stream(VISITING, user=visitor)]
    names = [event.event for event in events]
    assert names.index("delta") < names.index("restart")
    assert heard(events) == events[-1].data["text"] == "Every day from 14:00 to 16:00."
    history = await desk.served.history(events[-1].data["session_id"])
    assert [message["content"] for message in history["messages"]] == [VISITING, "Every day from 14:00 to 16:00."]


async def test_two_matters_are_answered_in_one_reply(desk: Desk, visitor: str) -> None:
    def answer_each(request: VendorRequest) -> Reply:
        if request.results:
            return Reply("From 14:00 to 16:00 [1].")
        if "book_appointment" in request.tools:
            return Reply(tool_calls=[ToolUse("book_appointment", {"service": "blood test"})])
        return Reply(tool_calls=[ToolUse("search_documents", {"query": "visiting hours"})])

    desk.vendor.responder = answer_each
    message = "I'd like to book an appointment for a blood test and what are the visiting hours?"
    events = [event async for event in desk.served.stream(message, user=visitor)]
    answer = events[-1].data
    assert answer["agents"] == ["general_info", "appointments"]
    assert answer["text"] == "From 14:00 to 16:00 [1].\n\nWhich day would you like to come?"
    assert heard(events) == answer["text"]


async def test_an_emergency_and_a_wish_for_a_human_ask_no_vendor(desk: Desk, visitor: str) -> None:
    answers = await desk.served.say_all("I can't breathe, my chest hurts", "I want to talk to a human", user=visitor)
    assert [answer["routing"]["stage"] for answer in answers] == ["emergency", "human"]
    assert desk.vendor.requests == []


async def test_the_next_provider_answers_for_one_that_is_down_and_says_so(elsewhere: Path, visitor: str) -> None:
    def only_anthropic(request: VendorRequest) -> Reply:
        if request.dialect == "openai":
            return Reply(status=503, message="overloaded")
        return verdict("billing") if request.output_schema else Reply("I am the other one.")

    async with desk_at(elsewhere, ["openai", "anthropic"], FRONTDESK_GATEWAY__ATTEMPTS="1") as desk:
        desk.vendor.responder = only_anthropic
        answer = await desk.served.chat(UNSURE, user=visitor)
        assert answer["routing"]["stage"] == "fallback_llm"
        assert (answer["text"], answer["source"]) == ("I am the other one.", SOURCES["anthropic"])
        assert answer["degraded"]


async def test_when_every_vendor_is_down_the_local_model_answers_and_is_marked(elsewhere: Path, visitor: str) -> None:
    async with desk_at(elsewhere, ["openai", "gemini"], FRONTDESK_GATEWAY__ATTEMPTS="1") as desk:
        desk.vendor.responder = lambda _request: Reply(status=503, message="overloaded")
        events = [event async for event in desk.served.stream(VISITING, user=visitor)]
        answer = events[-1].data
        assert "14:00 to 16:00" in answer["text"]
        assert answer["citations"]
        assert (answer["source"], answer["degraded"]) == ("local", True)
        assert heard(events) == answer["text"]


async def test_every_call_is_in_the_ledger_with_its_exact_cost(
    tmp_path: Path, vendor: Vendor, database_url: str, visitor: str
) -> None:
    use = Use(input=1000, cached=200, output=50, reasoning=10)
    vendor.script(
        Reply(status=500, message="try again"),
        Reply(tool_calls=[ToolUse("search_documents", {"query": "visiting hours"})], use=use),
        Reply("From 14:00 to 16:00 [1].", use=use),
    )
    async with desk_at(tmp_path, ["openai"], vendor, FRONTDESK_DATABASE_URL=database_url) as desk:
        answer = await desk.served.chat(VISITING, user=visitor)
    owner = await asyncpg.connect(database_url)
    try:
        rows = await owner.fetch("SELECT * FROM llm_calls ORDER BY created_at, id")
    finally:
        await owner.close()
    assert [(row["provider"], row["purpose"], row["alias"]) for row in rows] == [("openai", "agent", "fast")] * 3
    assert [row["outcome"] for row in rows][1:] == ["ok", "ok"]
    assert rows[0]["outcome"] != "ok"
    good = rows[1:]
    assert all(
        (row["input_tokens"], row["cached_tokens"], row["output_tokens"], row["reasoning_tokens"])
        == (1000, 200, 50, 10)
        for row in good
    )
    assert all(not row["estimated"] for row in good)
    usage: dict[str, Any] = answer["usage"]
    assert usage["llm_calls"] == 3
    assert (usage["input_tokens"], usage["cached_tokens"], usage["output_tokens"]) == (2000, 400, 100)
    assert Decimal(usage["cost_usd"]) == sum(row["cost_usd"] for row in rows if row["cost_usd"] is not None) > 0


async def test_a_wrong_key_is_named_at_the_start(elsewhere: Path, vendor: Vendor) -> None:
    environment = {"OPENAI_API_KEY": "wrong", "OPENAI_BASE_URL": vendor.openai_url, "GEMINI_API_KEY": "key",
                   "GEMINI_BASE_URL": vendor.url}  # fmt: skip
    async with serving(elsewhere, {f"FRONTDESK_{name}": value for name, value in environment.items()}) as served:
        answer = await served.chat("hello", user="early")  # it serves all the same
        assert answer["text"]
        await served.said_line("OPENAI_API_KEY was refused")
    assert not re.search("GEMINI_API_KEY was refused", "\n".join(served.said))

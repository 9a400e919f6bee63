"""What leaves for a provider and what comes back: the gateway with a tenant's policy, against a vendor on loopback."""

import math
import threading
from collections.abc import AsyncGenerator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from tests.alone import alone
from tests.llm.conftest import MovableClock
from tests.screens import screen
from tests.vendors import Reply, ToolUse, Vendor

from frontdesk.agents.briefing import _quoted
from frontdesk.core import json
from frontdesk.core.ids import new_id
from frontdesk.llm import screen as screen_module
from frontdesk.llm.gateway import Call, Gateway, GatewayLimits
from frontdesk.llm.metrics import LLMMetrics
from frontdesk.llm.prices import Prices
from frontdesk.llm.providers.openai import OpenAIProvider
from frontdesk.llm.screen import Screen
from frontdesk.llm.types import (
    Alias,
    LLMRequest,
    LLMResponse,
    Message,
    NotSent,
    Restart,
    Role,
    StopReason,
    Target,
    TextDelta,
    ToolCall,
    ToolSpec,
    Usage,
)  # fmt: skip
from frontdesk.privacy.detector import Detector
from frontdesk.privacy.models import Finding
from frontdesk.privacy.policy import Handling, PrivacySettings
from frontdesk.privacy.tagger import Tagger

HIDES = PrivacySettings().hidden_from(Handling.REDACT)
VENDOR, LOCAL = Target("openai", "gpt-4o-mini", rank=0), Target("local", "extractive", rank=1)
SECRETS = ("ann@example.com", "Ann Miller", "4111 1111 1111 1111")
ASKED = LLMRequest(
    "",
    (
        Message(Role.SYSTEM, "You are the desk of Acme: desk@acme.example."),
        Message(Role.USER, "My name is Ann Miller, ann@example.com, card 4111 1111 1111 1111."),
    ),
)


class House:
    """`local`, which keeps what it was told."""

    name = "local"

    def __init__(self) -> None:
        self.told: list[LLMRequest] = []

    async def generate(self, request: LLMRequest) -> LLMResponse:
        self.told.append(request)
        return LLMResponse("From the house.", (), StopReason.STOP, Usage(), "local", request.model)

    async def stream(self, request: LLMRequest) -> AsyncGenerator[TextDelta | LLMResponse, None]:
        yield await self.generate(request)

    async def check(self) -> None:
        return None

    async def models(self) -> list[str]:
        return ["extractive"]


class Broken(Detector):
    def find(self, text: str, ends_at: float = math.inf) -> tuple[Finding, ...]:
        raise RuntimeError("broken")


class Desk:
    def __init__(self, http: aiohttp.ClientSession, vendor: Vendor, clock: MovableClock) -> None:
        self._clock = clock
        self.vendor = vendor
        self.house = House()
        self._providers = {
            "openai": OpenAIProvider(http, SecretStr("right"), base_url=vendor.openai_url, idle_s=5),
            "local": self.house,
        }

    def gateway(self, sees: Screen) -> Gateway:
        prices, metrics = Prices({}, free=["local"]), LLMMetrics(CollectorRegistry())
        shared = alone(self._clock)
        shared["screen"] = sees
        return Gateway(self._providers, self._clock, GatewayLimits(attempts=1), prices, metrics, **shared)

    def sent(self) -> str:
        """Everything that the vendor was sent, as text."""
        return "".join(json.dumps_text(request.body) for request in self.vendor.requests)


@pytest.fixture
def desk(http: aiohttp.ClientSession, vendor: Vendor, clock: MovableClock) -> Desk:
    return Desk(http, vendor, clock)


def a_call(*targets: Target, cache_s: float = 0) -> Call:
    return Call(new_id(), Alias("smart", targets or (VENDOR,)), "agent", hides=HIDES, cache_s=cache_s)


async def test_a_provider_sees_placeholders_and_the_contact_reads_the_values(desk: Desk) -> None:
    desk.vendor.script(Reply("Thank you, [PERSON_1]. We write to [EMAIL_1], not to [EMAIL_2]."))
    response = await desk.gateway(screen("local")).generate(a_call(), ASKED)
    assert response.text == "Thank you, Ann Miller. We write to ann@example.com, not to [EMAIL_2]."
    assert not any(secret in desk.sent() for secret in SECRETS)
    assert "[CARD_1]" in desk.sent()
    assert "desk@acme.example" in desk.sent()  # the tenant's own instructions are nobody's


async def test_a_stream_is_restored_across_its_pieces(desk: Desk) -> None:
    desk.vendor.script(Reply(stream_chunks=["Dear [PER", "SON", "_1", "] of [1", "] and [", "EMAIL_1]", "[", "x"]))
    heard: list[TextDelta | Restart] = []
    response = await desk.gateway(screen("local")).generate(a_call(), ASKED, heard.append)
    text = "".join(delta.text for delta in heard if isinstance(delta, TextDelta))
    assert text == response.text == "Dear Ann Miller of [1] and ann@example.com[x"


async def test_tools_get_the_values(desk: Desk) -> None:
    desk.vendor.script(Reply(tool_calls=[ToolUse("book", {"who": "[PERSON_1]", "to": ["[EMAIL_1]"], "seats": 2})]))
    response = await desk.gateway(screen("local")).generate(a_call(), ASKED)
    (call,) = response.tool_calls
    assert call.arguments == {"who": "Ann Miller", "to": ["ann@example.com"], "seats": 2}
    assert json.loads(call.raw) == call.arguments


async def test_earlier_calls_and_results_are_hidden_too(desk: Desk) -> None:
    desk.vendor.script(Reply("Done."))
    called = ToolCall("c1", "find", {"mail": "ann@example.com"}, '{"mail": "ann@example.com"}')
    found = json.dumps_text({"name": "Ann Miller", "address": "12 Baker Street\nLondon", "card": "4111 1111 1111 1111"})
    result = Message(Role.TOOL, found, tool_call_id="c1", tool_name="find")
    request = LLMRequest("", (*ASKED.messages, Message(Role.ASSISTANT, tool_calls=(called,)), result))
    await desk.gateway(screen("local")).generate(a_call(), request)
    assert not any(secret in desk.sent() for secret in (*SECRETS, "Baker"))


async def test_a_structured_answer_stays_json(desk: Desk) -> None:
    desk.vendor.script(Reply('{"address": "[ADDRESS_1]"}'))
    message = Message(Role.USER, "Please send it to 12 Baker Street\nLondon NW1 6XE.")
    schema = {"type": "object", "properties": {"address": {"type": "string"}}}
    response = await desk.gateway(screen("local")).generate(a_call(), LLMRequest("", (message,), output_schema=schema))
    assert json.loads(response.text) == {"address": "12 Baker Street\nLondon NW1 6XE"}


async def test_a_trusted_provider_gets_texts_as_they_are(desk: Desk) -> None:
    desk.vendor.script(Reply("Yes."))
    await desk.gateway(screen("local", "openai")).generate(a_call(), ASKED)
    assert all(secret in desk.sent() for secret in SECRETS)


async def test_local_gets_texts_as_they_are_after_a_vendor_failed(desk: Desk) -> None:
    desk.vendor.script(Reply(status=503))
    await desk.gateway(screen("local")).generate(a_call(VENDOR, LOCAL), ASKED)
    (told,) = desk.house.told
    assert told.messages == ASKED.messages


async def test_when_the_search_breaks_nothing_leaves_and_the_house_answers(desk: Desk) -> None:
    broken = Screen(Broken(Tagger.load()), ["local"])
    response = await desk.gateway(broken).generate(a_call(VENDOR, LOCAL), ASKED)
    assert response.provider == "local"
    assert desk.vendor.requests == []


async def test_when_the_search_breaks_and_no_one_in_the_house_answers_it_is_said(desk: Desk) -> None:
    broken = Screen(Broken(Tagger.load()), ["local"])
    with pytest.raises(NotSent) as failure:
        await desk.gateway(broken).generate(a_call(), ASKED)
    assert failure.value.error_code == "PRIVACY_CHECK_FAILED"
    assert desk.vendor.requests == []


async def test_a_kept_answer_is_opened_with_the_values_of_who_asks(desk: Desk) -> None:
    gateway, call = desk.gateway(screen("local")), a_call(cache_s=60)
    desk.vendor.script(Reply("We write to [EMAIL_1]."))
    for mail in ("ann@example.com", "bob@example.org"):
        request = LLMRequest("", (Message(Role.USER, f"Write to {mail} please"),))
        assert (await gateway.generate(call, request)).text == f"We write to {mail}."
    assert len(desk.vendor.requests) == 1


async def test_a_long_text_is_searched_to_its_end(desk: Desk) -> None:
    desk.vendor.script(Reply("Yes."))
    message = Message(Role.USER, "word " * 20_000 + "ann@example.com")
    await desk.gateway(screen("local")).generate(a_call(), LLMRequest("", (message,)))
    assert "ann@example.com" not in desk.sent()


async def test_passages_of_the_tenants_own_documents_go_as_they_are(desk: Desk) -> None:
    desk.vendor.script(Reply("Yes."))
    found = json.dumps_text({"passages": [{"ref": 1, "text": "Write to billing@acme.example or to ann@example.com."}]})
    called = ToolCall("c1", "search", {"query": "invoices"}, '{"query": "invoices"}')
    result = Message(Role.TOOL, found, tool_call_id="c1", tool_name="search")
    tool = ToolSpec("search", "Finds passages.", {"type": "object", "properties": {}}, kind="knowledge")
    request = LLMRequest("", (*ASKED.messages, Message(Role.ASSISTANT, tool_calls=(called,)), result), tools=(tool,))
    await desk.gateway(screen("local")).generate(a_call(), request)
    assert "billing@acme.example" in desk.sent()


WRITTEN = "Paid with:\n4111111111111111\nIBAN:\nDE89370400440532013000\nmail\njohn.doe@example.com"
FOUND = ("4111111111111111", "DE89370400440532013000", "doe@example.com")


def told_of(place: str) -> LLMRequest:
    """A request in which the values stand behind ends of lines, in one place alone."""
    call = ToolCall("c1", "find", {"note": WRITTEN if place == "arguments" else "n", "of": {"k": 1}}, "{}")
    if place == "names":
        call = ToolCall("c1", "find", {"by": {WRITTEN: 1}}, "{}")
    note = {"note": WRITTEN} if place == "result" else {WRITTEN: 1} if place == "names" else {}
    fact = f"Context (data): {_quoted({'n': WRITTEN})}" if place == "facts" else "Now: Monday."
    return LLMRequest(
        "",
        (
            Message(Role.SYSTEM, "You are the desk."),
            Message(Role.SYSTEM, f"# This moment\n\n- {fact}"),
            Message(Role.USER, "And now?"),
            Message(Role.ASSISTANT, tool_calls=(call,)),
            Message(Role.TOOL, json.dumps_text({"status": "ok", "data": note}), tool_call_id="c1", tool_name="find"),
        ),
    )


@pytest.mark.parametrize("place", ["arguments", "result", "names", "facts"])
async def test_what_stands_behind_an_end_of_a_line_in_json_is_hidden(desk: Desk, place: str) -> None:
    desk.vendor.script(Reply(tool_calls=[ToolUse("find", {"mail": "[EMAIL_1]"})]))
    response = await desk.gateway(screen("local")).generate(a_call(), told_of(place))
    assert not any(found in desk.sent() for found in FOUND)
    assert response.tool_calls[0].arguments == {"mail": "john.doe@example.com"}


class Watched(Detector):
    """Keeps in which threads it was asked."""

    def __init__(self) -> None:
        super().__init__(Tagger.load())
        self.threads: list[int] = []

    def find(self, text: str, ends_at: float = math.inf) -> tuple[Finding, ...]:
        self.threads.append(threading.get_ident())
        return super().find(text, ends_at)


async def test_long_texts_keep_the_loop_free_also_when_they_were_read_before(desk: Desk) -> None:
    watched = Watched()
    result = json.dumps_text([f"user{number}@example.com" for number in range(400)])
    message = Message(Role.TOOL, result, tool_call_id="c1", tool_name="find")
    called = Message(Role.ASSISTANT, tool_calls=(ToolCall("c1", "find", {}, "{}"),))
    for _ in range(2):
        desk.vendor.script(Reply("Yes."))
        await desk.gateway(Screen(watched, ["local"])).generate(
            a_call(), LLMRequest("", (*ASKED.messages, called, message))
        )
    assert threading.get_ident() not in watched.threads


async def test_a_request_has_one_deadline(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen_module, "_MOST_S", -1.0)
    with pytest.raises(NotSent):
        await desk.gateway(screen("local")).generate(a_call(), ASKED)
    assert desk.vendor.requests == []

"""What every provider does, whatever its wire format. A new adapter is one row of `MAKERS`."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import aiohttp
import pytest
from pydantic import SecretStr
from tests.conftest import HANG_S
from tests.vendors import Reply, ToolUse, Use, Vendor

from frontdesk.llm.providers.anthropic import AnthropicProvider
from frontdesk.llm.providers.gemini import GeminiProvider
from frontdesk.llm.providers.openai import OpenAIProvider
from frontdesk.llm.types import (
    ContentFiltered,
    ContextTooLong,
    Image,
    LLMRequest,
    LLMResponse,
    Message,
    Provider,
    ProviderAuthFailed,
    ProviderBadRequest,
    ProviderConnectionLost,
    ProviderFailure,
    ProviderNonsense,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderTimeout,
    Role,
    StopReason,
    TextDelta,
    ToolCall,
    ToolSpec,
)

IDLE_S = 0.3

Maker = Callable[[aiohttp.ClientSession, Vendor, str | None], Provider]


def openai(http: aiohttp.ClientSession, vendor: Vendor, key: str | None) -> Provider:
    return OpenAIProvider(http, SecretStr(key) if key else None, base_url=vendor.openai_url, idle_s=IDLE_S)


def anthropic(http: aiohttp.ClientSession, vendor: Vendor, key: str | None) -> Provider:
    return AnthropicProvider(http, SecretStr(key) if key else None, base_url=vendor.url, idle_s=IDLE_S)


def gemini(http: aiohttp.ClientSession, vendor: Vendor, key: str | None) -> Provider:
    return GeminiProvider(http, SecretStr(key) if key else None, base_url=vendor.url, idle_s=IDLE_S)


MAKERS = {"openai": openai, "anthropic": anthropic, "gemini": gemini}


@pytest.fixture(params=MAKERS)
def maker(request: pytest.FixtureRequest) -> Maker:
    return MAKERS[request.param]


@pytest.fixture
def provider(maker: Maker, http: aiohttp.ClientSession, vendor: Vendor) -> Provider:
    return maker(http, vendor, "right")


@pytest.fixture(params=["plain", "streamed"])
def streamed(request: pytest.FixtureRequest) -> bool:
    return request.param == "streamed"


BOOK = ToolSpec(
    "book",
    "Books an appointment.",
    {
        "type": "object",
        "properties": {
            "day": {"type": "string", "x-question": "Which day?"},
            "x-ray": {"type": "boolean", "x-synonyms": {"true": ["picture"]}},
        },
        "required": ["day"],
    },
)
ASKED = LLMRequest("large", (Message(Role.SYSTEM, "You are a desk."), Message(Role.USER, "Are you open on Sunday?")))


async def answer(provider: Provider, request: LLMRequest, streamed: bool) -> LLMResponse:
    """The response; of a stream, checked against the text that came before it."""
    if not streamed:
        return await provider.generate(request)
    deltas: list[TextDelta | LLMResponse] = []
    async with aclosing(provider.stream(request)) as stream:
        deltas = [delta async for delta in stream]
    *texts, response = deltas
    assert isinstance(response, LLMResponse)
    assert "".join(delta.text for delta in texts if isinstance(delta, TextDelta)) == response.text
    assert all(isinstance(delta, TextDelta) and delta.text for delta in texts)
    return response


async def test_a_text_comes_back_as_the_model_wrote_it(provider: Provider, vendor: Vendor, streamed: bool) -> None:
    text = 'Wir öffnen um 9 Uhr. 🙂\n\n- Montag\n- "Dienstag" \\ \u2028 مرحبا'
    vendor.script(Reply(text))
    response = await answer(provider, ASKED, streamed)
    assert (response.text, response.tool_calls, response.stop_reason) == (text, (), StopReason.STOP)
    assert (response.provider, response.model) == (provider.name, "large")
    asked = vendor.requests[-1]
    assert (asked.system, asked.user, asked.model) == ("You are a desk.", "Are you open on Sunday?", "large")
    assert asked.streamed is streamed


async def test_the_text_of_a_stream_comes_piece_by_piece(provider: Provider, vendor: Vendor) -> None:
    pieces = ["We ", "are", " open", " on", " Sunday."]
    vendor.script(Reply("", stream_chunks=pieces, delay_s=0.02))
    async with aclosing(provider.stream(ASKED)) as stream:
        texts = [delta.text async for delta in stream if isinstance(delta, TextDelta)]
    assert "".join(texts) == "".join(pieces)
    assert 1 < len(texts) <= len(pieces)  # those that come in one read come together


async def test_usage_counts_cached_and_reasoning_tokens_within_their_wholes(
    provider: Provider, vendor: Vendor, streamed: bool
) -> None:
    vendor.script(Reply("Yes.", use=Use(input=1000, cached=600, output=50, reasoning=30)))
    usage = (await answer(provider, ASKED, streamed)).usage
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (1000, 600, 50)
    assert usage.reasoning_tokens == 30
    assert not usage.estimated


async def test_an_answer_without_figures_is_counted_roughly_and_says_so(
    provider: Provider, vendor: Vendor, streamed: bool
) -> None:
    vendor.script(Reply("Yes, from nine to five.", use=None))
    usage = (await answer(provider, ASKED, streamed)).usage
    assert usage.estimated
    assert 5 < usage.input_tokens < 50
    assert 3 < usage.output_tokens < 10


async def test_what_a_model_thinks_is_no_part_of_its_answer(provider: Provider, vendor: Vendor, streamed: bool) -> None:
    vendor.script(Reply("Yes.", thoughts="They want Sunday. I must not tell."))
    assert (await answer(provider, ASKED, streamed)).text == "Yes."


async def test_tool_calls_come_with_their_arguments(provider: Provider, vendor: Vendor, streamed: bool) -> None:
    vendor.script(Reply("Let me see.", tool_calls=[ToolUse("book", {"day": "2026-11-27", "x-ray": True})]))
    request = LLMRequest("large", ASKED.messages, tools=(BOOK,))
    response = await answer(provider, request, streamed)
    assert response.stop_reason is StopReason.TOOL_CALLS
    assert response.text == "Let me see."
    (call,) = response.tool_calls
    assert (call.name, call.arguments) == ("book", {"day": "2026-11-27", "x-ray": True})
    assert call.id


async def test_parallel_calls_keep_their_order_and_have_ids_of_their_own(
    provider: Provider, vendor: Vendor, streamed: bool
) -> None:
    days = ["2026-11-27", "2026-11-28", "2026-11-29"]
    vendor.script(Reply(tool_calls=[ToolUse("book", {"day": day}) for day in days]))
    response = await answer(provider, LLMRequest("large", ASKED.messages, tools=(BOOK,)), streamed)
    assert [call.arguments for call in response.tool_calls] == [{"day": day} for day in days]
    assert len({call.id for call in response.tool_calls}) == 3


async def test_a_call_without_arguments_has_an_empty_object(provider: Provider, vendor: Vendor, streamed: bool) -> None:
    vendor.script(Reply(tool_calls=[ToolUse("book")]))
    response = await answer(provider, LLMRequest("large", ASKED.messages, tools=(BOOK,)), streamed)
    assert response.tool_calls[0].arguments == {}


async def test_vendors_see_schemas_without_our_keys(provider: Provider, vendor: Vendor) -> None:
    await provider.generate(LLMRequest("large", ASKED.messages, tools=(BOOK,)))
    body = str(vendor.requests[-1].body)
    assert "x-question" not in body
    assert "x-synonyms" not in body
    assert "x-ray" in body  # a parameter's name, not a key of ours
    assert vendor.requests[-1].tools == ["book"]
    assert "x-question" in BOOK.parameters["properties"]["day"]  # the tenant's definition is left as it is


async def test_results_of_tools_go_back_to_the_calls_that_they_answer(
    provider: Provider, vendor: Vendor, streamed: bool
) -> None:
    calls = (
        ToolCall("id-1", "book", {"day": "2026-11-27"}, '{"day": "2026-11-27"}'),
        ToolCall("id.2/ü", "look up", None, '{"broken'),
    )
    messages = (
        Message(Role.USER, "Friday?"),
        Message(Role.ASSISTANT, "One moment.", tool_calls=calls),
        Message(Role.TOOL, '{"status": "ok"}', tool_call_id="id-1", tool_name="book"),
        Message(Role.TOOL, '{"status": "error"}', tool_call_id="id.2/ü", tool_name="look up"),
    )
    vendor.script(Reply("Done."))
    response = await answer(provider, LLMRequest("large", messages, tools=(BOOK,)), streamed)
    assert response.text == "Done."
    asked = vendor.requests[-1]
    assert asked.results == [{"status": "ok"}, {"status": "error"}]
    assert [(said.role, said.tool) for said in asked.messages if said.role == "tool"] == [
        ("tool", "book"),
        ("tool", "look up"),
    ]


async def test_a_window_may_begin_with_an_answer_and_hold_empty_texts(provider: Provider, vendor: Vendor) -> None:
    messages = (
        Message(Role.SYSTEM, "You are a desk."),
        Message(Role.ASSISTANT, "Hello!"),
        Message(Role.USER, "Hi"),
        Message(Role.USER, "Are you there?"),
    )
    await provider.generate(LLMRequest("large", messages))
    assert vendor.requests[-1].user.endswith("Are you there?")


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
async def test_tool_choice_is_the_vendors_word_for_it(provider: Provider, vendor: Vendor, choice: str) -> None:
    await provider.generate(LLMRequest("large", ASKED.messages, tools=(BOOK,), tool_choice=choice))
    body = vendor.requests[-1].body
    said = {
        "openai": lambda: body["tool_choice"],
        "anthropic": lambda: {"any": "required"}.get(body["tool_choice"]["type"], body["tool_choice"]["type"]),
        "gemini": lambda: {"AUTO": "auto", "NONE": "none", "ANY": "required"}[
            body["toolConfig"]["functionCallingConfig"]["mode"]
        ],
    }[provider.name]()
    assert said == choice


async def test_an_output_schema_asks_for_json(provider: Provider, vendor: Vendor, streamed: bool) -> None:
    schema = {
        "type": "object",
        "properties": {"agent": {"type": "string", "enum": ["a", "b"], "x-hint": 1}},
        "required": ["agent"],
        "additionalProperties": False,
    }
    vendor.script(Reply('{"agent": "a"}'))
    response = await answer(provider, LLMRequest("large", ASKED.messages, output_schema=schema), streamed)
    assert response.text == '{"agent": "a"}'
    sent = vendor.requests[-1].output_schema
    assert sent is not None
    assert sent["properties"] == {"agent": {"type": "string", "enum": ["a", "b"]}}


async def test_images_go_by_reference(provider: Provider, vendor: Vendor) -> None:
    images = (Image("https://example.org/a.jpg", "image/jpeg"), Image("data:image/png;base64,aGk="))
    await provider.generate(LLMRequest("large", (Message(Role.USER, "What is it?", images=images),)))
    body = str(vendor.requests[-1].body)
    assert "https://example.org/a.jpg" in body
    assert "aGk=" in body
    assert vendor.requests[-1].user == "What is it?"


async def test_temperature_and_limit_are_passed_on(provider: Provider, vendor: Vendor) -> None:
    await provider.generate(LLMRequest("large", ASKED.messages, temperature=0.25, max_tokens=77))
    body = str(vendor.requests[-1].body)
    assert ("0.25" in body) == (provider.name != "anthropic")  # its API refuses one
    assert "77" in body


async def test_an_answer_that_reached_the_limit_says_so(provider: Provider, vendor: Vendor, streamed: bool) -> None:
    vendor.script(Reply("We are op", stop="max_tokens"))
    assert (await answer(provider, ASKED, streamed)).stop_reason is StopReason.MAX_TOKENS


async def test_a_filtered_answer_is_a_failure_and_never_an_empty_text(
    provider: Provider, vendor: Vendor, streamed: bool
) -> None:
    vendor.script(Reply("", stop="content_filter"))
    with pytest.raises(ContentFiltered):
        await answer(provider, ASKED, streamed)


async def test_an_empty_answer_is_nonsense(provider: Provider, vendor: Vendor, streamed: bool) -> None:
    vendor.script(Reply(""))
    with pytest.raises(ProviderNonsense):
        await answer(provider, ASKED, streamed)


SECRET_WORDS = "the prompt was: my PIN is 4711"

STATUSES = [
    (400, ProviderBadRequest),
    (401, ProviderAuthFailed),
    (402, ProviderAuthFailed),
    (403, ProviderAuthFailed),
    (404, ProviderBadRequest),
    (408, ProviderTimeout),
    (413, ContextTooLong),
    (422, ProviderBadRequest),
    (429, ProviderRateLimited),
    (500, ProviderOverloaded),
    (502, ProviderOverloaded),
    (503, ProviderOverloaded),
    (504, ProviderTimeout),
    (529, ProviderOverloaded),
    (302, ProviderNonsense),
    (204, ProviderNonsense),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
async def test_a_status_is_its_failure_without_the_vendors_words(
    provider: Provider, vendor: Vendor, streamed: bool, status: int, kind: type[ProviderFailure]
) -> None:
    vendor.script(Reply(status=status, message=SECRET_WORDS, headers={"Location": "http://127.0.0.1:9/"}))
    with pytest.raises(ProviderFailure) as caught:
        await answer(provider, ASKED, streamed)
    assert type(caught.value) is kind
    assert caught.value.provider == provider.name
    assert "4711" not in caught.value.detail
    assert str(status) in caught.value.detail


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
        "prompt is too long: 212345 tokens > 200000 maximum",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "the request exceeds the available context size, try increasing it",
    ],
)
async def test_a_prompt_that_is_too_long_is_told_apart(
    provider: Provider, vendor: Vendor, streamed: bool, words: str
) -> None:
    vendor.script(Reply(status=400, message=words))
    with pytest.raises(ContextTooLong):
        await answer(provider, ASKED, streamed)


async def test_no_credit_is_a_matter_of_the_key_and_not_of_waiting(provider: Provider, vendor: Vendor) -> None:
    vendor.script(Reply(status=429, code="insufficient_quota"))
    with pytest.raises(ProviderAuthFailed):
        await provider.generate(ASKED)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", None), ("nan", None), ("inf", None), ("soon", None), ("9" * 5000, None)],
)
async def test_retry_after_is_read_as_seconds(
    provider: Provider, vendor: Vendor, said: str, seconds: float | None
) -> None:
    vendor.script(Reply(status=429, headers={"Retry-After": said}))
    with pytest.raises(ProviderRateLimited) as caught:
        await provider.generate(ASKED)
    assert caught.value.retry_after == seconds


async def test_retry_after_may_be_a_date(provider: Provider, vendor: Vendor) -> None:
    vendor.script(
        Reply(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Reply(status=429, headers={"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}),
    )
    with pytest.raises(ProviderRateLimited) as past:
        await provider.generate(ASKED)
    with pytest.raises(ProviderRateLimited) as future:
        await provider.generate(ASKED)
    assert past.value.retry_after == 0.0
    assert future.value.retry_after == 86_400  # a day is the most that is believed


async def test_a_wrong_key_is_refused_by_call_and_check(
    maker: Maker, http: aiohttp.ClientSession, vendor: Vendor, streamed: bool
) -> None:
    provider = maker(http, vendor, "wrong")
    with pytest.raises(ProviderAuthFailed) as caught:
        await answer(provider, ASKED, streamed)
    assert "wrong" not in caught.value.detail
    with pytest.raises(ProviderAuthFailed):
        await provider.check()


async def test_the_right_key_passes_the_check_and_lists_models(provider: Provider) -> None:
    await provider.check()
    assert await provider.models() == ["small", "large"]


async def test_a_server_that_needs_no_key_gets_none(maker: Maker, http: aiohttp.ClientSession, vendor: Vendor) -> None:
    await maker(http, vendor, None).generate(ASKED)
    assert not {"authorization", "x-api-key", "x-goog-api-key"} & set(vendor.requests[-1].headers)


async def test_nobody_listening_is_a_lost_connection(
    maker: Maker, http: aiohttp.ClientSession, vendor: Vendor, streamed: bool
) -> None:
    await vendor.stop()
    provider = maker(http, vendor, "right")
    with pytest.raises(ProviderConnectionLost):
        await answer(provider, ASKED, streamed)
    with pytest.raises(ProviderConnectionLost):
        await provider.check()


@pytest.mark.parametrize("cut_after", [0, 1, 3])
async def test_a_cut_is_a_lost_connection_and_never_an_answer(
    provider: Provider, vendor: Vendor, streamed: bool, cut_after: int
) -> None:
    vendor.script(Reply("We are open from nine to five every day.", cut_after=cut_after))
    with pytest.raises(ProviderConnectionLost):
        await answer(provider, ASKED, streamed)


async def test_a_stream_that_ends_politely_before_its_end_is_no_answer(provider: Provider, vendor: Vendor) -> None:
    """The body ends as it should, but the vendor's own end mark never came."""
    body = await _events_of(provider, vendor, "One two three four.")
    vendor.script(Reply(raw=b"".join(body[:3])))
    with pytest.raises(ProviderConnectionLost):
        await answer(provider, ASKED, True)


@pytest.mark.parametrize("stall_after", [0, 1, 3])
async def test_silence_within_a_stream_is_a_timeout(provider: Provider, vendor: Vendor, stall_after: int) -> None:
    vendor.script(Reply("We are open from nine to five.", stall_after=stall_after))
    with pytest.raises(ProviderTimeout):
        await answer(provider, ASKED, True)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("overloaded_error", ProviderOverloaded),
        ("UNAVAILABLE", ProviderOverloaded),
        ("server_error", ProviderOverloaded),
        ("rate_limit_error", ProviderRateLimited),
        ("RESOURCE_EXHAUSTED", ProviderRateLimited),
        ("rate_limit_exceeded", ProviderRateLimited),
        ("context_length_exceeded", ContextTooLong),
        ("content_filter", ContentFiltered),
        ("invalid_request_error", ProviderBadRequest),
    ],
)
async def test_an_error_in_mid_stream_is_its_failure(
    provider: Provider, vendor: Vendor, code: str, kind: type[ProviderFailure]
) -> None:
    vendor.script(Reply("We are open.", error_after=2, code=code, message=SECRET_WORDS))
    with pytest.raises(kind) as caught:
        await answer(provider, ASKED, True)
    assert "4711" not in caught.value.detail


HOSTILE = [
    b"",
    b"<html><body>Bad gateway</body></html>",
    b"null",
    b"[]",
    b"42",
    b'"text"',
    b'{"choices": 7, "content": 7, "candidates": 7}',
    b'{"choices": [{"message": {"content": {"a": 1}}}], "content": {"a": 1}, "candidates": [{"content": 1}]}',
    b'{"choices": [{"message": {"content": "\xff\xfe"}, "delta": {"content": "\xff"}}], "content": [{"type": "text",'
    b' "text": "\xff"}], "candidates": [{"content": {"parts": [{"text": "\xff"}]}}]}',
    b"[" * 100_000,
    b'{"a": ' * 100_000,
    b'{"choices": [{"message"',
    b"\x00\x01\x02\x03",
]


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
async def test_an_answer_that_is_not_of_the_format_is_nonsense(provider: Provider, vendor: Vendor, raw: bytes) -> None:
    vendor.script(Reply(raw=raw))
    with pytest.raises(ProviderNonsense):
        await answer(provider, ASKED, False)


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
async def test_events_that_are_not_of_the_format_are_nonsense(provider: Provider, vendor: Vendor, raw: bytes) -> None:
    vendor.script(Reply(raw=b"data: " + raw + b"\n\n"))
    with pytest.raises((ProviderNonsense, ProviderConnectionLost)):
        await answer(provider, ASKED, True)


async def test_a_page_instead_of_a_stream_is_nonsense(provider: Provider, vendor: Vendor) -> None:
    vendor.script(Reply(raw=b"<html>Please log in</html>", content_type="text/html"))
    with pytest.raises(ProviderNonsense):
        await answer(provider, ASKED, True)


async def test_an_error_page_of_a_proxy_is_still_its_status(provider: Provider, vendor: Vendor, streamed: bool) -> None:
    vendor.script(Reply(status=503, raw=b"<html>\xff" * 100, content_type="text/html"))
    with pytest.raises(ProviderOverloaded):
        await answer(provider, ASKED, streamed)


async def test_an_answer_of_endless_length_is_refused(provider: Provider, vendor: Vendor, streamed: bool) -> None:
    vendor.script(Reply(raw=b"data: " + b"x" * 17_000_000))
    with pytest.raises(ProviderNonsense):
        await answer(provider, ASKED, streamed)


async def test_a_lone_surrogate_in_the_prompt_is_a_bad_request(provider: Provider, vendor: Vendor) -> None:
    with pytest.raises(ProviderBadRequest):
        await provider.generate(LLMRequest("large", (Message(Role.USER, "a\ud800b"),)))
    assert vendor.requests == []


async def test_closing_a_stream_hangs_up(provider: Provider, vendor: Vendor) -> None:
    vendor.script(Reply("One two three four five.", stall_after=4))
    async with aclosing(provider.stream(ASKED)) as stream:
        async for _delta in stream:
            break
    async with asyncio.timeout(HANG_S):
        await vendor.gone.wait()


async def test_many_calls_at_once_do_not_mix(provider: Provider, vendor: Vendor, streamed: bool) -> None:
    async def ask(number: int) -> str:
        request = LLMRequest("large", (Message(Role.USER, f"I am {number}"),))
        return (await answer(provider, request, streamed)).text

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(number)) for number in range(30)]
    assert [task.result() for task in tasks] == [f"You said: I am {number}" for number in range(30)]


async def _events_of(provider: Provider, vendor: Vendor, text: str) -> list[bytes]:
    """The events with which this vendor streams `text`."""
    from tests.vendors.server import _FORMATS

    vendor.script(Reply(text))
    await answer(provider, ASKED, True)
    request = vendor.requests[-1]
    return _FORMATS[request.dialect].events(Reply(text), request)

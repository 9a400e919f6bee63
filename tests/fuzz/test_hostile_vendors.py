"""A vendor that answers anything at all: an answer that can be used comes out, or one of our errors; never a hang."""

import asyncio
import json
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import HANG_S
from tests.llm.test_provider_contract import MAKERS
from tests.vendors import Reply, ToolUse, Vendor, anthropic, gemini, openai
from tests.vendors.replies import VendorRequest

from frontdesk.core import json as our_json
from frontdesk.llm.providers.wire import MAX_BODY_BYTES, MAX_STREAM_BYTES
from frontdesk.llm.types import (
    LLMRequest,
    LLMResponse,
    Message,
    Provider,
    ProviderFailure,
    ProviderNonsense,
    Role,
    TextDelta,
)

REQUEST = LLMRequest(model="small", messages=(Message(Role.USER, "Hello"),))
EVENTS = {"openai": openai.events, "anthropic": anthropic.events, "gemini": gemini.events}
WHOLE = {"openai": openai.whole, "anthropic": anthropic.whole, "gemini": gemini.whole}
PROPER = Reply(
    "On Friday we are open. Shall I book?",
    tool_calls=[ToolUse("book", {"day": "Friday", "at": [9, 10]}), ToolUse("look", {"what": "hours"})],
    thoughts="They want an appointment.",
)
NAMES = (
    *("choices", "index", "delta", "message", "content", "tool_calls", "function", "name", "arguments", "id", "usage"),
    *("finish_reason", "prompt_tokens", "completion_tokens", "prompt_tokens_details", "cached_tokens", "refusal"),
    *("type", "content_block", "text", "partial_json", "thinking", "signature", "stop_reason", "input", "data"),
    *("input_tokens", "output_tokens", "output_tokens_details", "thinking_tokens", "cache_read_input_tokens"),
    *("candidates", "parts", "functionCall", "args", "thought", "thoughtSignature", "finishReason", "promptFeedback"),
    *("blockReason", "usageMetadata", "promptTokenCount", "candidatesTokenCount", "error", "code", "details"),
    *("retryDelay", "status", "model"),
)
WORDS = (
    *("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta"),
    *("message_stop", "ping", "error", "text_delta", "input_json_delta", "thinking_delta", "text", "tool_use"),
    *("thinking", "redacted_thinking", "stop", "length", "tool_calls", "content_filter", "end_turn", "refusal"),
    *("STOP", "SAFETY", "MALFORMED_FUNCTION_CALL", "assistant", "{", "{}", "[1]", '{"a":', '{"a": NaN}', "9" * 400),
    *("9" * 400 + "s", "1e400s", "\x00", "é", "🙂", "\u202e", ""),
)
NUMBERS = st.sampled_from([0, 1, -1, 2, 10**9, -(10**9), 2**31, 2**63, -(2**63), 10**30, 0.5, 1e308])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.sampled_from(WORDS) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
# What JSON can't say, or should not: each takes the place of a value.
UNSPEAKABLE = st.sampled_from(
    [b"NaN", b"-Infinity", b"1e999", b"[" * 2000, b'{"a":' * 600 + b"1" + b"}" * 600, b'"\\ud800"', b'"\\ud800\\u0041"',
     b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"\\u0000"', b"9" * 5000, b"", b'"' + b"x" * 100_000 + b'"']
)  # fmt: skip


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in paths_of(each, (*path, key)))]


MARK = "\N{OBJECT REPLACEMENT CHARACTER}"


@st.composite
def bodies(draw: st.DrawFn, proper: Any) -> bytes:
    """A proper body with one of its values replaced or taken away."""
    copy = json.loads(json.dumps(proper))
    path = draw(st.sampled_from(paths_of(copy)))
    raw = draw(st.one_of(UNSPEAKABLE, VALUES.map(lambda value: json.dumps(value).encode())))
    if not path:
        return raw
    place = copy
    for key in path[:-1]:
        place = place[key]
    if draw(st.booleans()):
        place[path[-1]] = MARK
    elif isinstance(place, dict):
        del place[path[-1]]
    else:
        place.pop(path[-1])
    return json.dumps(copy, ensure_ascii=False).encode().replace(json.dumps(MARK, ensure_ascii=False).encode(), raw)


@st.composite
def streams(draw: st.DrawFn, proper: list[bytes]) -> bytes:
    """A proper stream's events dropped, repeated, put in another order, changed, cut, and with others between."""
    own = st.sampled_from(proper)
    datas = [json.loads(event.split(b"data: ", 1)[1]) for event in proper if b"data: {" in event]
    changed = st.sampled_from(datas).flatmap(bodies).map(lambda body: b"data: " + body + b"\n\n")
    strange = st.one_of(st.binary(max_size=30), UNSPEAKABLE, VALUES.map(lambda value: json.dumps(value).encode())).map(
        lambda body: b"data: " + body + b"\n\n"
    )
    events = list(proper)
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(0, len(events) - 1)))
        match draw(st.sampled_from(["drop", "repeat", "move", "change", "add"])):
            case "drop" if events:
                events.pop(place)
            case "move" if events:
                events.insert(draw(st.integers(0, len(events))), events.pop(place))
            case "repeat":
                events.insert(place, draw(own))
            case "change":
                events[place : place + 1] = [draw(changed)]
            case "add":
                events.insert(place, draw(strange))
    body = b"".join(events)
    return body[: draw(st.integers(0, len(body)))] if draw(st.integers(0, 4)) == 0 else body


def asked(dialect: str, *, streamed: bool) -> VendorRequest:
    options = {"stream_options": {"include_usage": True}}
    return VendorRequest(dialect, "small", streamed, {}, options, "", [], [], None)


ARE_STREAMS = {dialect: streams(made(PROPER, asked(dialect, streamed=True))) for dialect, made in EVENTS.items()}
ARE_BODIES = {dialect: bodies(made(PROPER, asked(dialect, streamed=False))) for dialect, made in WHOLE.items()}


async def outcome(provider: Provider, request: LLMRequest, *, streamed: bool) -> LLMResponse | ProviderFailure:
    """Anything else than these two is the test's failure."""
    try:
        async with asyncio.timeout(HANG_S):
            if not streamed:
                return await provider.generate(request)
            said: list[str] = []
            async with aclosing(provider.stream(request)) as deltas:
                async for delta in deltas:
                    if isinstance(delta, TextDelta):
                        said.append(delta.text)
                    else:
                        last = delta
            assert last.text == "".join(said)
            return last
    except ProviderFailure as failure:
        return failure


async def check(vendor: Vendor, providers: dict[str, Provider], dialect: str, reply: Reply, *, streamed: bool) -> None:
    vendor.clear()  # of an example that failed
    vendor.script(reply)
    found = await outcome(providers[dialect], REQUEST, streamed=streamed)
    if isinstance(found, ProviderFailure):
        waiting = found.retry_after
        assert waiting is None or 0 <= waiting < 10**9
        return
    our_json.dumps([found.text, [[call.id, call.name, call.raw, call.arguments] for call in found.tool_calls]])
    # What was said goes on being part of the prompt, of this vendor's or another's.
    said = Message(Role.ASSISTANT, found.text, tool_calls=found.tool_calls)
    results = (Message(Role.TOOL, "{}", tool_call_id=call.id, tool_name=call.name) for call in found.tool_calls)
    request = LLMRequest(model="small", messages=(Message(Role.USER, "Hello"), said, *results))
    for provider in providers.values():
        vendor.script(Reply("Good."))
        answered = await outcome(provider, request, streamed=False)
        assert isinstance(answered, LLMResponse), answered.detail


Providers = dict[str, Provider]


@pytest.fixture
async def providers(vendor: Vendor) -> Any:
    async with aiohttp.ClientSession() as http:
        yield {name: maker(http, vendor, "right") for name, maker in MAKERS.items()}


OFTEN = settings(max_examples=150, suppress_health_check=list(HealthCheck))
DIALECTS = pytest.mark.parametrize("dialect", MAKERS)


@DIALECTS
@OFTEN
@given(st.data())
async def test_a_stream_of_anything_ends(
    vendor: Vendor, providers: Providers, dialect: str, data: st.DataObject
) -> None:
    await check(vendor, providers, dialect, Reply(raw=data.draw(ARE_STREAMS[dialect])), streamed=True)


@DIALECTS
@OFTEN
@given(st.data())
async def test_a_body_of_anything_ends(vendor: Vendor, providers: Providers, dialect: str, data: st.DataObject) -> None:
    await check(vendor, providers, dialect, Reply(raw=data.draw(ARE_BODIES[dialect])), streamed=False)


DELAYS = st.sampled_from(
    ["-1", "0", "1e308", "1e400", "nan", "inf", "9" * 400, "Mon, 01 Jan 99999 00:00:00 GMT", "x", "\t",
     "Mon, 01 Jan 2020 00:00:00 +99999999999999999999", "Mon, 01 Jan 9999 23:59:59 -2359", "1_0", "٣"]
)  # fmt: skip


@DIALECTS
@OFTEN
@given(
    status=st.sampled_from([301, 400, 401, 403, 404, 408, 413, 418, 422, 429, 500, 503, 529, 599]),
    body=st.binary(max_size=30) | VALUES.map(lambda value: json.dumps({"error": value}).encode()) | UNSPEAKABLE,
    header=st.sampled_from(["retry-after", "retry-after-ms"]),
    delay=DELAYS,
    streamed=st.booleans(),
)
async def test_a_refusal_of_any_form_is_a_failure(
    vendor: Vendor,
    providers: Providers,
    dialect: str,
    status: int,
    body: bytes,
    header: str,
    delay: str,
    streamed: bool,
) -> None:
    await check(vendor, providers, dialect, Reply(status=status, raw=body, headers={header: delay}), streamed=streamed)


def many(dialect: str) -> tuple[bytes, bytes]:
    """An event, and a body, with as many calls as fit: each opens another."""
    most = 50_000
    match dialect:
        case "openai":
            calls = [{"index": place} for place in range(most)]
            event: Any = {"choices": [{"delta": {"tool_calls": calls}}]}
            body: Any = {"choices": [{"message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}
        case "anthropic":
            block = {"type": "tool_use", "name": "book", "input": {}}
            starts = [{"type": "content_block_start", "index": place, "content_block": block} for place in range(2000)]
            return b"".join(b"data: " + our_json.dumps(start) + b"\n\n" for start in starts), our_json.dumps(
                {"content": [block] * most}
            )
        case _:
            parts = [{"functionCall": {"name": "book"}}] * most
            event = body = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    return b"data: " + our_json.dumps(event) + b"\n\n", our_json.dumps(body)


@DIALECTS
@pytest.mark.parametrize("streamed", [True, False])
async def test_calls_without_number_are_nonsense(
    vendor: Vendor, providers: Providers, dialect: str, streamed: bool
) -> None:
    vendor.script(Reply(raw=many(dialect)[0 if streamed else 1]))
    found = await outcome(providers[dialect], REQUEST, streamed=streamed)
    assert isinstance(found, ProviderNonsense)
    assert "too many" in found.detail


@DIALECTS
async def test_a_stream_without_end_is_nonsense(vendor: Vendor, providers: Providers, dialect: str) -> None:
    vendor.script(Reply(raw=(b": still here" + b"." * 1011 + b"\n") * (MAX_STREAM_BYTES // 1024 + 1)))
    found = await outcome(providers[dialect], REQUEST, streamed=True)
    assert isinstance(found, ProviderNonsense)
    assert "without end" in found.detail


@DIALECTS
async def test_a_body_without_end_is_nonsense(vendor: Vendor, providers: Providers, dialect: str) -> None:
    vendor.script(Reply(raw=b" " * (MAX_BODY_BYTES + 1)))
    found = await outcome(providers[dialect], REQUEST, streamed=False)
    assert isinstance(found, ProviderNonsense)
    assert "too large" in found.detail

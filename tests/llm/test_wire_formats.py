"""What is special to one vendor's format."""

import aiohttp
import pytest
from pydantic import SecretStr
from tests.vendors import Reply, ToolUse, Use, Vendor

from frontdesk.llm.providers.anthropic import AnthropicProvider
from frontdesk.llm.providers.gemini import GeminiProvider
from frontdesk.llm.providers.openai import OpenAIProvider
from frontdesk.llm.providers.schemas import closed, is_strict, plain
from frontdesk.llm.types import (
    LLMRequest,
    LLMResponse,
    Message,
    ProviderAuthFailed,
    ProviderRateLimited,
    Role,
    StopReason,
    ToolCall,
    ToolSpec,
)

KEY = SecretStr("right")
USER = Message(Role.USER, "Friday?")
BOOK = ToolSpec("book", "Books.", {"type": "object", "properties": {}})


async def streamed(provider: OpenAIProvider | AnthropicProvider | GeminiProvider, request: LLMRequest) -> LLMResponse:
    last = [delta async for delta in provider.stream(request)][-1]
    assert isinstance(last, LLMResponse)
    return last


@pytest.fixture
def openai(http: aiohttp.ClientSession, vendor: Vendor) -> OpenAIProvider:
    return OpenAIProvider(http, KEY, base_url=vendor.openai_url)


@pytest.fixture
def anthropic(http: aiohttp.ClientSession, vendor: Vendor) -> AnthropicProvider:
    return AnthropicProvider(http, KEY, base_url=vendor.url)


@pytest.fixture
def gemini(http: aiohttp.ClientSession, vendor: Vendor) -> GeminiProvider:
    return GeminiProvider(http, KEY, base_url=vendor.url)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_what_claude_thought_goes_back_with_its_call_as_it_came(
    anthropic: AnthropicProvider, vendor: Vendor, is_streamed: bool
) -> None:
    vendor.script(Reply("Let me see.", thoughts="Which day is it?", tool_calls=[ToolUse("book", {"day": "friday"})]))
    request = LLMRequest("large", (USER,), tools=(BOOK,))
    response = await (streamed(anthropic, request) if is_streamed else anthropic.generate(request))
    said = Message(Role.ASSISTANT, "Let me see.", tool_calls=response.tool_calls)
    result = Message(Role.TOOL, '{"status": "ok"}', tool_call_id=response.tool_calls[0].id, tool_name="book")
    await anthropic.generate(LLMRequest("large", (USER, said, result), tools=(BOOK,)))
    assert vendor.requests[-1].body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Which day is it?", "signature": "c2ln"},
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_0", "name": "book", "input": {"day": "friday"}},
    ]
    await anthropic.generate(LLMRequest("small", (USER, said, result), tools=(BOOK,)))  # another model can't read it
    assert [block["type"] for block in vendor.requests[-1].body["messages"][1]["content"]] == ["text", "tool_use"]


async def test_claudes_input_includes_what_its_cache_read_and_wrote(
    anthropic: AnthropicProvider, vendor: Vendor
) -> None:
    vendor.script(Reply("Yes.", use=Use(input=1000, cached=600, written=300)))
    usage = (await anthropic.generate(LLMRequest("large", (USER,)))).usage
    assert (usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens) == (1000, 600, 300)


async def test_the_stable_prefix_is_marked_for_claudes_cache(anthropic: AnthropicProvider, vendor: Vendor) -> None:
    stable, changing = Message(Role.SYSTEM, "You are a desk."), Message(Role.SYSTEM, "It is Friday.")
    await anthropic.generate(LLMRequest("large", (stable, changing, USER), tools=(BOOK,)))
    body = vendor.requests[-1].body
    assert ["cache_control" in block for block in body["system"]] == [True, False]
    assert "cache_control" not in body["tools"][-1]
    await anthropic.generate(LLMRequest("large", (stable, USER), tools=(BOOK,)))
    body = vendor.requests[-1].body
    assert "cache_control" not in body["system"][0]  # it may hold facts that change
    assert "cache_control" in body["tools"][-1]


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_geminis_signature_goes_back_to_the_model_that_made_it(
    gemini: GeminiProvider, vendor: Vendor, is_streamed: bool
) -> None:
    vendor.script(Reply(tool_calls=[ToolUse("book", {}, signature="c2lnbmVk"), ToolUse("book", {"day": 2})]))
    request = LLMRequest("gemini-3.8-flash", (USER,), tools=(BOOK,))
    response = await (streamed(gemini, request) if is_streamed else gemini.generate(request))
    history = (USER, Message(Role.ASSISTANT, tool_calls=response.tool_calls))

    async def sent_back(model: str) -> list[str | None]:
        await gemini.generate(LLMRequest(model, history, tools=(BOOK,)))
        return [part.get("thoughtSignature") for part in vendor.requests[-1].body["contents"][1]["parts"]]

    assert await sent_back("gemini-3.8-flash") == ["c2lnbmVk", None]
    assert await sent_back("gemini-4-argon") == ["skip_thought_signature_validator", None]
    assert await sent_back("gemini-2.5-flash") == [None, None]


async def test_gemini_takes_calls_that_another_vendor_made(gemini: GeminiProvider, vendor: Vendor) -> None:
    call = ToolCall("toolu_1", "book", {"day": 1}, signature='{"model": "claude", "calls": [], "content": []}')
    await gemini.generate(LLMRequest("gemini-4-argon", (USER, Message(Role.ASSISTANT, tool_calls=(call,)))))
    (part,) = vendor.requests[-1].body["contents"][1]["parts"]
    assert part["functionCall"] == {"id": "toolu_1", "name": "book", "args": {"day": 1}}
    assert part["thoughtSignature"] == "skip_thought_signature_validator"


async def test_geminis_retry_delay_is_in_its_details(gemini: GeminiProvider, vendor: Vendor) -> None:
    details = b'[{"@type": "x"}, {"retryDelay": "34.5s"}]'
    raw = b'[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": %s}}]' % details
    vendor.script(Reply(status=429, raw=raw))
    with pytest.raises(ProviderRateLimited) as caught:
        await gemini.generate(LLMRequest("large", (USER,)))
    assert caught.value.retry_after == 34.5


async def test_a_prompt_that_gemini_blocks_is_filtered(gemini: GeminiProvider, vendor: Vendor) -> None:
    vendor.script(Reply(raw=b'{"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}'))
    with pytest.raises(Exception, match="refused to answer"):
        await gemini.generate(LLMRequest("large", (USER,)))


async def test_results_that_are_no_objects_go_under_geminis_key(gemini: GeminiProvider, vendor: Vendor) -> None:
    messages = (
        USER,
        Message(Role.ASSISTANT, tool_calls=(ToolCall("a", "book", {}), ToolCall("b", "book", {}))),
        Message(Role.TOOL, "[1, 2]", tool_call_id="a", tool_name="book"),
        Message(Role.TOOL, "plain words", tool_call_id="b", tool_name="book"),
    )
    await gemini.generate(LLMRequest("large", messages))
    assert vendor.requests[-1].results == [{"output": [1, 2]}, {"output": "plain words"}]
    assert len(vendor.requests[-1].body["contents"]) == 3  # the results of parallel calls are one content


async def test_broken_arguments_are_kept_as_they_came(openai: OpenAIProvider, vendor: Vendor) -> None:
    for raw in ('{"day": "fri', "[1]", '"x"', "NaN", "day=friday", "{" * 5000):
        vendor.script(Reply(tool_calls=[ToolUse("book", raw=raw)]), Reply(tool_calls=[ToolUse("book", raw=raw)]))
        request = LLMRequest("large", (USER,), tools=(BOOK,))
        for response in (await openai.generate(request), await streamed(openai, request)):
            assert (response.tool_calls[0].arguments, response.tool_calls[0].raw) == (None, raw)
            assert response.stop_reason is StopReason.TOOL_CALLS


async def test_calls_of_servers_that_number_them_all_zero_are_told_apart_by_id(
    openai: OpenAIProvider, vendor: Vendor
) -> None:
    def call(name: str, place: str) -> bytes:
        function = b'{"name": "%s", "arguments": "{\\"n\\": %s}"}' % (name.encode(), place.encode())
        return b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c%s", "function": %s}]}}]}\n\n' % (
            place.encode(),
            function,
        )

    end = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'  # and they stop with "stop"
    vendor.script(Reply(raw=call("a", "1") + call("b", "2") + end))
    response = await streamed(openai, LLMRequest("large", (USER,), tools=(BOOK,)))
    assert [(made.name, made.arguments) for made in response.tool_calls] == [("a", {"n": 1}), ("b", {"n": 2})]
    assert response.stop_reason is StopReason.TOOL_CALLS


async def test_a_compatible_server_may_leave_out_what_it_likes(openai: OpenAIProvider, vendor: Vendor) -> None:
    text, end = b'{"choices":[{"delta":{"content":"Yes"}}]}', b'{"choices":[{"finish_reason":"stop"}]}'
    vendor.script(Reply(raw=b"data: %s\r\n\r\ndata: %s\r\n\r\n" % (text, end)))
    response = await streamed(openai, LLMRequest("llama", (USER,)))
    assert (response.text, response.usage.estimated) == ("Yes", True)
    assert "max_tokens" not in vendor.requests[-1].body
    await openai.generate(LLMRequest("llama", (USER,), max_tokens=5))
    assert vendor.requests[-1].body["max_tokens"] == 5


async def test_an_error_may_be_only_a_sentence(openai: OpenAIProvider, vendor: Vendor) -> None:
    vendor.script(Reply(status=400, raw=b'{"error": "Incorrect API key: invalid_api_key"}'))
    with pytest.raises(ProviderAuthFailed):
        await openai.generate(LLMRequest("large", (USER,)))


def test_our_keys_are_taken_off_schemas_and_nothing_else() -> None:
    schema = {
        "type": "object",
        "x-question": "?",
        "properties": {
            "x-ray": {"type": "string", "x-synonyms": {"a": ["b"]}, "enum": ["x-1"], "default": {"x-1": 1}},
            "list": {"type": "array", "items": [{"x-question": "?", "minimum": 1}]},
        },
        "$defs": {"x-def": {"x-question": "?", "type": "object", "properties": {}}},
        "required": ["x-ray"],
    }
    assert plain(schema) == {
        "type": "object",
        "properties": {
            "x-ray": {"type": "string", "enum": ["x-1"], "default": {"x-1": 1}},
            "list": {"type": "array", "items": [{"minimum": 1}]},
        },
        "$defs": {"x-def": {"type": "object", "properties": {}}},
        "required": ["x-ray"],
    }
    shut = closed(schema)
    assert shut["additionalProperties"] is False
    assert shut["$defs"]["x-def"]["additionalProperties"] is False
    assert shut["properties"]["list"] == {"type": "array", "items": [{}]}
    assert not is_strict(plain(schema))
    assert is_strict({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False})

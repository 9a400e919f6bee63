"""The scripted vendor is true to the vendors: their own clients take its answers."""

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from tests.vendors import Reply, ToolUse, Use, Vendor

TOOL = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
REPLY = Reply("We are open.", tool_calls=[ToolUse("book", {"day": "2026-11-27"})], use=Use(1000, 600, 0, 50, 30))


def openai_client(vendor: Vendor, key: str = "right") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=key, base_url=vendor.openai_url, max_retries=0)


def anthropic_client(vendor: Vendor, key: str = "right") -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key=key, base_url=vendor.url, max_retries=0)


def gemini_client(vendor: Vendor, key: str = "right") -> genai.Client:
    return genai.Client(api_key=key, vertexai=False, http_options=types.HttpOptions(base_url=vendor.url))


async def test_openais_client_takes_a_whole_answer(vendor: Vendor) -> None:
    vendor.script(REPLY)
    async with openai_client(vendor) as client:
        answer = await client.chat.completions.create(
            model="large",
            messages=[{"role": "user", "content": "Open?"}],
            tools=[{"type": "function", "function": {"name": "book", "parameters": TOOL}}],
        )
    assert answer.choices[0].message.content == "We are open."
    assert answer.choices[0].finish_reason == "tool_calls"
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.arguments == '{"day": "2026-11-27"}'
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 600


async def test_openais_client_takes_a_stream(vendor: Vendor) -> None:
    vendor.script(REPLY)
    text, arguments, usage = "", "", None
    async with openai_client(vendor) as client:
        stream = await client.chat.completions.create(
            model="large",
            messages=[{"role": "user", "content": "Open?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for call in choice.delta.tool_calls or ():
                    arguments += (call.function and call.function.arguments) or ""
    assert (text, arguments) == ("We are open.", '{"day": "2026-11-27"}')
    assert usage is not None
    assert usage.completion_tokens == 50


async def test_openais_client_takes_errors_and_models(vendor: Vendor) -> None:
    async with openai_client(vendor, "wrong") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="large", messages=[{"role": "user", "content": "Open?"}])
    vendor.script(Reply(status=429, code="rate_limit_exceeded"))
    async with openai_client(vendor) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="large", messages=[{"role": "user", "content": "Open?"}])
        assert caught.value.code == "rate_limit_exceeded"
        assert [model.id async for model in client.models.list()] == ["small", "large"]


async def test_anthropics_client_takes_a_whole_answer(vendor: Vendor) -> None:
    vendor.script(REPLY)
    async with anthropic_client(vendor) as client:
        answer = await client.messages.create(
            model="large",
            max_tokens=100,
            messages=[{"role": "user", "content": "Open?"}],
            tools=[{"name": "book", "input_schema": TOOL}],
        )
    text, call = answer.content
    assert text.type == "text"
    assert text.text == "We are open."
    assert call.type == "tool_use"
    assert call.input == {"day": "2026-11-27"}
    assert answer.stop_reason == "tool_use"
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens) == (400, 600)


async def test_anthropics_client_takes_a_stream(vendor: Vendor) -> None:
    vendor.script(REPLY)
    async with (
        anthropic_client(vendor) as client,
        client.messages.stream(
            model="large", max_tokens=100, messages=[{"role": "user", "content": "Open?"}]
        ) as stream,
    ):
        text = "".join([piece async for piece in stream.text_stream])
        answer = await stream.get_final_message()
    assert text == "We are open."
    assert answer.content[1].type == "tool_use"
    assert answer.content[1].input == {"day": "2026-11-27"}
    assert answer.usage.output_tokens == 50


async def test_anthropics_client_takes_errors_and_models(vendor: Vendor) -> None:
    async with anthropic_client(vendor, "wrong") as client:
        with pytest.raises(anthropic.AuthenticationError):
            await client.models.list()
    vendor.script(Reply(status=529), Reply("We are open.", error_after=2, code="overloaded_error"))
    messages: list[anthropic.types.MessageParam] = [{"role": "user", "content": "Open?"}]
    async with anthropic_client(vendor) as client:
        with pytest.raises(anthropic.InternalServerError):
            await client.messages.create(model="large", max_tokens=100, messages=messages)
        with pytest.raises(anthropic.APIStatusError):
            async with client.messages.stream(model="large", max_tokens=100, messages=messages) as stream:
                await stream.get_final_message()
        assert [model.id async for model in client.models.list()] == ["small", "large"]


async def test_googles_client_takes_a_whole_answer(vendor: Vendor) -> None:
    vendor.script(REPLY)
    answer = await gemini_client(vendor).aio.models.generate_content(model="large", contents="Open?")
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason is types.FinishReason.STOP
    (call,) = answer.function_calls or []
    assert (call.name, call.args) == ("book", {"day": "2026-11-27"})
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.thoughts_token_count == 30
    assert answer.usage_metadata.cached_content_token_count == 600


async def test_googles_client_takes_a_stream(vendor: Vendor) -> None:
    vendor.script(Reply("We are open today.", thoughts="Hm."))
    stream = await gemini_client(vendor).aio.models.generate_content_stream(model="large", contents="Open?")
    assert "".join([piece.text or "" async for piece in stream]) == "We are open today."


async def test_googles_client_takes_errors_and_models(vendor: Vendor) -> None:
    with pytest.raises(genai.errors.ClientError) as refused:
        await gemini_client(vendor, "wrong").aio.models.generate_content(model="large", contents="Open?")
    assert refused.value.code == 400
    vendor.script(Reply(status=503))
    with pytest.raises(genai.errors.ServerError):
        await gemini_client(vendor).aio.models.generate_content(model="large", contents="Open?")
    models = await gemini_client(vendor).aio.models.list()
    assert [model.name async for model in models] == ["models/small", "models/large"]

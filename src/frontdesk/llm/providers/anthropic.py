"""Anthropic's messages, API version 2026-10-21.

Wire format: https://platform.claude.com/docs/en/api/messages, streams: …/docs/en/build-with-claude/streaming. That
version has no `temperature`: a request's is left out. Current models think unasked, and want what they thought before
a tool call back, complete and unmodified (…/docs/en/build-with-claude/thinking-tool-workflows): it travels in the
`signature` of the message's first call.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import aiohttp
import msgspec
from pydantic import SecretStr

from frontdesk.core.ids import new_id
from frontdesk.llm import tokens
from frontdesk.llm.providers.calls import MOST_CALLS, text_of, tool_call
from frontdesk.llm.providers.schemas import Encoded, closed, plain
from frontdesk.llm.providers.wire import VendorError, Wire
from frontdesk.llm.types import (
    ContentFiltered,
    Image,
    JSONObject,
    LLMRequest,
    LLMResponse,
    Message,
    Role,
    StopReason,
    TextDelta,
    ToolSpec,
    Usage,
)

BASE_URL = "https://api.anthropic.com"
VERSION = "2026-10-21"

# The API asks for a limit, thinking included; every current model allows this one.
MAX_TOKENS = 16_000

# A call may have a text and a thought before it.
_MOST_BLOCKS = 3 * MOST_CALLS

_CACHED = {"type": "ephemeral"}
_NOTHING = msgspec.Raw()
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")
_CHOICE = {"auto": "auto", "required": "any", "none": "none"}


class AnthropicProvider:
    """Messages and no more: retries, breaker and ledger are the gateway's."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        api_key: SecretStr | None,
        *,
        name: str = "anthropic",
        base_url: str | None = None,
        idle_s: float = 15.0,
    ) -> None:
        self.name = name
        headers = {"anthropic-version": VERSION} | ({"x-api-key": api_key.get_secret_value()} if api_key else {})
        self._wire = Wire(name, http, base_url or BASE_URL, headers, _read_error, idle_s)
        self._tools = Encoded(_tool)
        self._last_tools = Encoded(_cached_tool)
        self._formats = Encoded(_format)

    async def generate(self, request: LLMRequest) -> LLMResponse:
        answer = await self._wire.post_json("/v1/messages", self._body(request), _MESSAGE)
        whole = _Answer()
        for place, block in enumerate(answer.content):
            whole.open(place, block)
            if block.type == "tool_use":
                whole.blocks[place].raw.append(text_of(block.input))
        whole.stop = answer.stop_reason or "end_turn"
        whole.count(answer.usage)
        return self._response(request, whole)

    async def stream(self, request: LLMRequest) -> AsyncGenerator[TextDelta | LLMResponse, None]:
        whole = _Answer()
        body = self._body(request) | {"stream": True}
        async with aclosing(self._wire.post_sse("/v1/messages", body, _EVENT)) as reads:
            async for events in reads:
                text = "".join([self._take(event, whole) for event in events])
                self._check(whole)
                if text:
                    yield TextDelta(text)
        if not whole.ended:
            raise self._wire.cut()
        yield self._response(request, whole)

    def _take(self, event: "_Event", whole: "_Answer") -> str:
        if event.type == "error":
            raise self._wire.failure(_vendor_error(event.error))
        return whole.take(event)

    async def check(self) -> None:
        await self._wire.get_json("/v1/models?limit=1", _MODELS)

    async def models(self) -> list[str]:
        return [model.id for model in (await self._wire.get_json("/v1/models?limit=1000", _MODELS)).data]

    def _body(self, request: LLMRequest) -> JSONObject:
        system = [message.text for message in request.messages if message.role is Role.SYSTEM and message.text.strip()]
        body: JSONObject = {
            "model": request.model,
            "max_tokens": request.max_tokens or MAX_TOKENS,
            "messages": _messages(request),
        }
        if system:
            body["system"] = [{"type": "text", "text": text} for text in system]
        # The prompt's stable prefix is its tools and, when facts that change follow as another message, its first
        # system message. What is marked there is read from the vendor's cache by the next call.
        if len(system) > 1:
            body["system"][0]["cache_control"] = _CACHED
        if request.tools:
            *first, last = request.tools
            tools = [self._tools.of(tool) for tool in first]
            body["tools"] = [*tools, (self._tools if len(system) > 1 else self._last_tools).of(last)]
            body["tool_choice"] = {"type": _CHOICE[request.tool_choice]}
        if request.output_schema is not None:
            body["output_config"] = self._formats.of(request.output_schema)
        return body

    def _check(self, whole: "_Answer") -> None:
        if len(whole.blocks) > _MOST_BLOCKS:
            raise self._wire.nonsense("too many blocks")

    def _response(self, request: LLMRequest, whole: "_Answer") -> LLMResponse:
        self._check(whole)
        blocks = [whole.blocks[place] for place in sorted(whole.blocks)]
        text = "".join(whole.said)
        uses = [block for block in blocks if block.type == "tool_use"]
        thought = _thought(request.model, blocks) if uses else None
        calls = tuple(
            tool_call(use.id, use.name, "".join(use.raw), None if place else thought) for place, use in enumerate(uses)
        )
        stop = StopReason.TOOL_CALLS if calls else _STOP.get(whole.stop or "", StopReason.STOP)
        if stop is StopReason.CONTENT_FILTER and not text:
            raise ContentFiltered(f"{self.name} refused to answer.", provider=self.name)
        if not text and not calls and stop is StopReason.STOP:
            raise self._wire.nonsense("an empty answer")
        usage = whole.usage() or tokens.estimated(request, text, calls)
        return LLMResponse(text, calls, stop, usage, self.name, request.model)


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _Counts(msgspec.Struct):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class _Block(msgspec.Struct):
    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = _NOTHING
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None  # of thinking that only the vendor can read


class _Whole(msgspec.Struct):
    content: list[_Block]
    stop_reason: str | None = None
    usage: _Counts | None = None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    stop_reason: str | None = None


class _Started(msgspec.Struct):
    usage: _Counts | None = None


class _ErrorBody(msgspec.Struct):
    type: str | None = None
    message: str | None = None


class _ErrorAnswer(msgspec.Struct):
    error: _ErrorBody


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: _Started | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Counts | None = None
    error: _ErrorBody | None = None


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


_MESSAGE = msgspec.json.Decoder(_Whole)
_EVENT = msgspec.json.Decoder(_Event)
_MODELS = msgspec.json.Decoder(_Models)
_ERROR = msgspec.json.Decoder(_ErrorAnswer)

_THINKING = ("thinking", "redacted_thinking")
_STOP = {
    "max_tokens": StopReason.MAX_TOKENS,
    "model_context_window_exceeded": StopReason.MAX_TOKENS,
    "refusal": StopReason.CONTENT_FILTER,
}


class _OpenBlock:
    def __init__(self, block: _Block) -> None:
        self.type = block.type
        self.id = block.id or f"call_{new_id().hex}"
        self.name = block.name or ""
        self.text: list[str] = [block.text or ""]
        self.raw: list[str] = []
        self.thinking: list[str] = [block.thinking or ""]
        self.signature: list[str] = [block.signature or ""]
        self.data = block.data


class _Answer:
    """An answer as it grows, block by block; blocks that we do not know are passed over."""

    def __init__(self) -> None:
        self.said: list[str] = []  # as it was told, whatever becomes of the blocks
        self.blocks: dict[int, _OpenBlock] = {}
        self.stop: str | None = None
        self.ended = False
        self._counts = _Counts()

    def open(self, place: int, block: _Block) -> str:
        """The text that the block begins with."""
        self.blocks[place] = _OpenBlock(block)
        text = block.text or "" if block.type == "text" else ""
        self.said.append(text)
        return text

    def take(self, event: _Event) -> str:
        """One event; the text that it adds."""
        if event.type == "content_block_delta":
            return self._grow(event)
        if event.type == "content_block_start" and event.content_block is not None:
            return self.open(event.index, event.content_block)
        if event.type == "message_start" and event.message is not None:
            self.count(event.message.usage)
        elif event.type == "message_delta":
            self.stop = (event.delta.stop_reason if event.delta else None) or self.stop
            self.count(event.usage)
        elif event.type == "message_stop":
            self.ended = True
        return ""

    def count(self, counts: _Counts | None) -> None:
        """Figures are cumulative: what a later event names replaces what an earlier one did."""
        for field in _Counts.__struct_fields__ if counts else ():
            value = getattr(counts, field)
            if value is not None:
                setattr(self._counts, field, value)

    def usage(self) -> Usage | None:
        """Anthropic's `input_tokens` are only those that its cache neither read nor wrote; ours are all."""
        counts = self._counts
        if counts.input_tokens is None or counts.output_tokens is None:
            return None
        read, written = counts.cache_read_input_tokens or 0, counts.cache_creation_input_tokens or 0
        details = counts.output_tokens_details or _OutputDetails()
        return Usage(
            input_tokens=counts.input_tokens + read + written,
            cached_tokens=read,
            cache_write_tokens=written,
            output_tokens=counts.output_tokens,
            reasoning_tokens=details.thinking_tokens or 0,
        )

    def _grow(self, event: _Event) -> str:
        block, delta = self.blocks.get(event.index), event.delta
        if block is None or delta is None:
            return ""
        if delta.type == "text_delta" and delta.text and block.type == "text":
            block.text.append(delta.text)
            self.said.append(delta.text)
            return delta.text
        block.raw.append(delta.partial_json or "")
        block.thinking.append(delta.thinking or "")
        block.signature.append(delta.signature or "")
        return ""


class _Thought(msgspec.Struct):
    """What an assistant's message held, thinking and all, for the model that wrote it."""

    model: str
    calls: list[str]
    content: msgspec.Raw


_THOUGHT = msgspec.json.Decoder(_Thought)


def _thought(model: str, blocks: Sequence[_OpenBlock]) -> str | None:
    """None when nothing was thought: then text and calls say it all."""
    if not any(block.type in _THINKING for block in blocks):
        return None
    calls = [block.id for block in blocks if block.type == "tool_use"]
    content = [wire for block in blocks if (wire := _as_received(block))]
    return msgspec.json.encode(_Thought(model, calls, msgspec.Raw(msgspec.json.encode(content)))).decode()


def _as_received(block: _OpenBlock) -> JSONObject | None:
    match block.type:
        case "thinking":
            return {"type": "thinking", "thinking": "".join(block.thinking), "signature": "".join(block.signature)}
        case "redacted_thinking":
            return {"type": "redacted_thinking", "data": block.data or ""}
        case "text":
            text = "".join(block.text)
            return {"type": "text", "text": text} if text.strip() else None
        case "tool_use":
            call = tool_call(block.id, block.name, "".join(block.raw))
            return {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments or {}}
    return None


def _messages(request: LLMRequest) -> list[JSONObject]:
    """User and assistant in turns: results of tools are the user's, and neighbours of one role are one message."""
    merged: list[JSONObject] = []
    for message in request.messages:
        if message.role is Role.SYSTEM:
            continue
        role = "assistant" if message.role is Role.ASSISTANT else "user"
        content = _said_by(request.model, message) or _content(message)
        if not content:
            continue  # the API refuses empty blocks, and they say nothing
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"] += content
        else:
            merged.append({"role": role, "content": content})
    if merged and merged[0]["role"] == "assistant":  # a window may begin with an answer; the API wants the user first
        merged.insert(0, {"role": "user", "content": [{"type": "text", "text": "(Earlier messages are left out.)"}]})
    return merged


def _said_by(model: str, message: Message) -> list[JSONObject] | None:
    """The message as `model` wrote it; None when it thought nothing, or another model or vendor wrote it."""
    signature = message.tool_calls[0].signature if message.tool_calls else None
    if signature is None:
        return None
    try:
        thought = _THOUGHT.decode(signature)
        if thought.model != model or thought.calls != [call.id for call in message.tool_calls]:
            return None
        content: list[JSONObject] = msgspec.json.decode(thought.content)
    except ValueError:
        return None
    return content


def _content(message: Message) -> list[JSONObject]:
    if message.role is Role.TOOL:
        result = {"type": "tool_result", "tool_use_id": _id(message.tool_call_id or "")}
        return [result | {"content": message.text or "{}"}]
    content: list[JSONObject] = [_image(image) for image in message.images]
    if message.text.strip():
        content.append({"type": "text", "text": message.text})
    for call in message.tool_calls:
        content.append({"type": "tool_use", "id": _id(call.id), "name": call.name, "input": call.arguments or {}})
    return content


def _image(image: Image) -> JSONObject:
    if image.url.startswith("data:"):
        head, _, data = image.url.partition(",")
        media_type = head.removeprefix("data:").partition(";")[0] or image.media_type
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
    return {"type": "image", "source": {"type": "url", "url": image.url}}


def _id(call_id: str) -> str:
    """Calls that another vendor's model made may have ids that Anthropic refuses; the same id stays the same."""
    return _NOT_IN_IDS.sub("_", call_id) or "call"


def _tool(spec: ToolSpec) -> JSONObject:
    return {"name": spec.name, "description": spec.description, "input_schema": plain(spec.parameters)}


def _cached_tool(spec: ToolSpec) -> JSONObject:
    return _tool(spec) | {"cache_control": _CACHED}


def _format(schema: JSONObject) -> JSONObject:
    return {"format": {"type": "json_schema", "schema": closed(schema)}}


def _read_error(body: bytes) -> VendorError:
    try:
        return _vendor_error(_ERROR.decode(body).error)
    except (ValueError, RecursionError):
        return VendorError()


def _vendor_error(error: _ErrorBody | None) -> VendorError:
    if error is None:
        return VendorError()
    return VendorError((error.type,) if error.type else (), error.message or "")

"""OpenAI's chat completions, and every server that speaks them (Groq, Ollama, vLLM, llama.cpp and others).

Wire format: https://platform.openai.com/docs/api-reference/chat
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any  # requests are of the vendor's shape

import aiohttp
import msgspec
from pydantic import SecretStr

from frontdesk.core.ids import new_id
from frontdesk.llm import tokens
from frontdesk.llm.providers.calls import MOST_CALLS, arguments_text, tool_call
from frontdesk.llm.providers.schemas import Encoded, is_strict, plain
from frontdesk.llm.providers.wire import VendorError, Wire
from frontdesk.llm.types import (
    ContentFiltered,
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

BASE_URL = "https://api.openai.com/v1"


class OpenAIProvider:
    """Chat completions and no more: retries, breaker and ledger are the gateway's."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        api_key: SecretStr | None,
        *,
        name: str = "openai",
        base_url: str | None = None,
        idle_s: float = 15.0,
    ) -> None:
        self.name = name
        headers = {"Authorization": f"Bearer {api_key.get_secret_value()}"} if api_key else {}
        self._wire = Wire(name, http, base_url or BASE_URL, headers, _read_error, idle_s)
        # OpenAI's reasoning models refuse the old name, and most compatible servers know only that.
        self._limit = "max_completion_tokens" if base_url in (None, BASE_URL) else "max_tokens"
        self._tools = Encoded(_tool)
        self._formats = Encoded(_format)

    async def generate(self, request: LLMRequest) -> LLMResponse:
        answer = await self._wire.post_json("/chat/completions", self._body(request), _COMPLETION)
        if not answer.choices:
            raise self._wire.nonsense("no choice")
        choice = answer.choices[0]
        whole = _Answer()
        whole.add(choice.message)
        whole.finish = choice.finish_reason or "stop"
        whole.usage = answer.usage
        return self._response(request, whole)

    async def stream(self, request: LLMRequest) -> AsyncGenerator[TextDelta | LLMResponse, None]:
        body = self._body(request) | {"stream": True, "stream_options": {"include_usage": True}}
        whole = _Answer()
        async with aclosing(self._wire.post_sse("/chat/completions", body, _CHUNK, end=b"[DONE]")) as reads:
            async for chunks in reads:
                text = "".join([self._take(chunk, whole) for chunk in chunks])
                self._check(whole)
                if text:
                    yield TextDelta(text)
        if whole.finish is None:
            raise self._wire.cut()
        yield self._response(request, whole)

    def _take(self, chunk: "_Chunk", whole: "_Answer") -> str:
        """The chunk's text, if it has any."""
        if chunk.error is not None:
            raise self._wire.failure(_vendor_error(chunk.error))
        whole.usage = chunk.usage or whole.usage
        for choice in chunk.choices or ():  # the chunk with the usage has none
            if choice.index == 0:
                whole.add(choice.delta)
                whole.finish = choice.finish_reason or whole.finish
                return (choice.delta and choice.delta.content) or ""
        return ""

    async def check(self) -> None:
        await self._wire.get_json("/models", _MODELS)

    async def models(self) -> list[str]:
        return [model.id for model in (await self._wire.get_json("/models", _MODELS)).data or ()]

    def _body(self, request: LLMRequest) -> JSONObject:
        body: JSONObject = {"model": request.model, "messages": [_message(message) for message in request.messages]}
        if request.tools:
            body["tools"] = [self._tools.of(tool) for tool in request.tools]
            body["tool_choice"] = request.tool_choice
        if request.output_schema is not None:
            body["response_format"] = self._formats.of(request.output_schema)
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.max_tokens is not None:
            body[self._limit] = request.max_tokens
        return body

    def _check(self, whole: "_Answer") -> None:
        if len(whole.calls) > MOST_CALLS:
            raise self._wire.nonsense("too many tool calls")

    def _response(self, request: LLMRequest, whole: "_Answer") -> LLMResponse:
        self._check(whole)
        text = "".join(whole.text)
        calls = tuple(
            tool_call(call.id or f"call_{new_id().hex}", call.name, "".join(call.raw)) for call in whole.calls
        )
        stop = StopReason.TOOL_CALLS if calls else _STOP.get(whole.finish or "", StopReason.STOP)
        if whole.refused or (stop is StopReason.CONTENT_FILTER and not text):
            raise ContentFiltered(f"{self.name} refused to answer.", provider=self.name)
        if not text and not calls and stop is StopReason.STOP:
            raise self._wire.nonsense("an empty answer")
        usage = _usage(whole.usage) if whole.usage else tokens.estimated(request, text, calls)
        return LLMResponse(text, calls, stop, usage, self.name, request.model)


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Said(msgspec.Struct):
    """A whole message, or a piece of one."""

    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Counts(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Choice(msgspec.Struct):
    message: _Said
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Counts | None = None


class _ErrorBody(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _ErrorAnswer(msgspec.Struct):
    error: _ErrorBody | str


class _Piece(msgspec.Struct):
    index: int = 0
    delta: _Said | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Piece] | None = None
    usage: _Counts | None = None
    error: _ErrorBody | str | None = None


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model] | None


_COMPLETION = msgspec.json.Decoder(_Completion)
_CHUNK = msgspec.json.Decoder(_Chunk)
_MODELS = msgspec.json.Decoder(_Models)
_ERROR = msgspec.json.Decoder(_ErrorAnswer)

_STOP = {
    "stop": StopReason.STOP,
    "length": StopReason.MAX_TOKENS,
    "tool_calls": StopReason.TOOL_CALLS,
    "content_filter": StopReason.CONTENT_FILTER,
}


class _OpenCall:
    def __init__(self, index: int | None, call_id: str | None, name: str) -> None:
        self.index = index
        self.id = call_id
        self.name = name
        self.raw: list[str] = []


class _Answer:
    """An answer as it grows."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.calls: list[_OpenCall] = []
        self.finish: str | None = None
        self.usage: _Counts | None = None
        self.refused = False
        self._last: dict[int | None, _OpenCall] = {}  # by index

    def add(self, said: _Said | None) -> None:
        if said is None:
            return
        if said.content:
            self.text.append(said.content)
        self.refused = self.refused or bool(said.refusal)
        for piece in said.tool_calls or ():
            function = piece.function or _Function()
            call = self._call_of(piece, function)
            if function.arguments:
                call.raw.append(function.arguments)

    def _call_of(self, piece: _Call, function: _Function) -> _OpenCall:
        """A named piece opens a call, the others continue one: by index, or the last where a server gives none."""
        known = self._last.get(piece.index)
        # Some compatible servers number every whole call 0 and tell them apart by id alone.
        is_new = known is None or (function.name and (piece.index is None or (piece.id and piece.id != known.id)))
        if known is None or is_new:
            known = _OpenCall(piece.index, piece.id, function.name or "")
            self.calls.append(known)
            self._last[piece.index] = known
        return known


def _message(message: Message) -> JSONObject:
    if message.role is Role.TOOL:
        return {"role": "tool", "tool_call_id": message.tool_call_id or "", "content": message.text}
    if message.role is Role.ASSISTANT and message.tool_calls:
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments_text(call)}}
            for call in message.tool_calls
        ]
        return {"role": "assistant", "content": message.text or None, "tool_calls": calls}
    if message.images:
        parts: list[JSONObject] = [{"type": "text", "text": message.text}] if message.text else []
        parts += [{"type": "image_url", "image_url": {"url": image.url}} for image in message.images]
        return {"role": message.role, "content": parts}
    return {"role": message.role, "content": message.text}


def _tool(spec: ToolSpec) -> JSONObject:
    function = {"name": spec.name, "description": spec.description, "parameters": plain(spec.parameters)}
    return {"type": "function", "function": function}


def _format(schema: JSONObject) -> JSONObject:
    bare = plain(schema)
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": bare, "strict": is_strict(bare)}}


def _usage(counts: _Counts) -> Usage:
    of_input = counts.prompt_tokens_details or _Details()
    of_output = counts.completion_tokens_details or _Details()
    return Usage(
        input_tokens=counts.prompt_tokens,
        cached_tokens=of_input.cached_tokens or 0,
        output_tokens=counts.completion_tokens,
        reasoning_tokens=of_output.reasoning_tokens or 0,
    )


def _read_error(body: bytes) -> VendorError:
    try:
        return _vendor_error(_ERROR.decode(body).error)
    except (ValueError, RecursionError):
        return VendorError()


def _vendor_error(error: Any) -> VendorError:  # an object, or with some servers only a sentence
    if isinstance(error, str):
        return VendorError(words=error)
    codes = tuple(str(code) for code in (error.code, error.type) if code is not None)
    return VendorError(codes, error.message or "")

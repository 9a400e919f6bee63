"""Gemini's generateContent and streamGenerateContent.

Wire format: https://ai.google.dev/api/generate-content
"""

import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from urllib.parse import quote

import aiohttp
import msgspec
from pydantic import SecretStr

from frontdesk.core.ids import new_id
from frontdesk.core.json import loads
from frontdesk.llm import tokens
from frontdesk.llm.providers.calls import MOST_CALLS, text_of, tool_call
from frontdesk.llm.providers.schemas import Encoded, plain
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
    ToolCall,
    ToolSpec,
    Usage,
)

BASE_URL = "https://generativelanguage.googleapis.com"

_CHOICE = {"auto": "AUTO", "required": "ANY", "none": "NONE"}
_NOTHING = msgspec.Raw()
_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")
# Models from the third generation on want the signature of each step's first call back, and know only their own: we
# keep it after the model's name. For what another model said this is the documented word that asks for none
# (https://ai.google.dev/gemini-api/docs/thought-signatures).
_NO_SIGNATURE = "skip_thought_signature_validator"
_UNSIGNED_MODELS = ("gemini-1", "gemini-2")


class GeminiProvider:
    """generateContent and no more: retries, breaker and ledger are the gateway's."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        api_key: SecretStr | None,
        *,
        name: str = "gemini",
        base_url: str | None = None,
        idle_s: float = 15.0,
    ) -> None:
        self.name = name
        headers = {"x-goog-api-key": api_key.get_secret_value()} if api_key else {}
        self._wire = Wire(name, http, base_url or BASE_URL, headers, _read_error, idle_s)
        self._tools = Encoded(_tool)
        self._schemas = Encoded(plain)

    async def generate(self, request: LLMRequest) -> LLMResponse:
        whole = _Answer(request.model)
        answer = await self._wire.post_json(_path(request.model, "generateContent"), self._body(request), _ANSWER)
        whole.take(answer)
        whole.finish = whole.finish or "STOP"
        return self._response(request, whole)

    async def stream(self, request: LLMRequest) -> AsyncGenerator[TextDelta | LLMResponse, None]:
        whole = _Answer(request.model)
        path = _path(request.model, "streamGenerateContent") + "?alt=sse"
        async with aclosing(self._wire.post_sse(path, self._body(request), _ANSWER)) as reads:
            async for answers in reads:
                text = "".join([self._take(answer, whole) for answer in answers])
                self._check(whole)
                if text:
                    yield TextDelta(text)
        if whole.finish is None and not whole.blocked:
            raise self._wire.cut()
        yield self._response(request, whole)

    def _take(self, answer: "_Generated", whole: "_Answer") -> str:
        if answer.error is not None:
            raise self._wire.failure(_vendor_error(answer.error))
        return whole.take(answer)

    async def check(self) -> None:
        await self._wire.get_json("/v1beta/models?pageSize=1", _MODELS)

    async def models(self) -> list[str]:
        models = (await self._wire.get_json("/v1beta/models?pageSize=1000", _MODELS)).models
        return [model.name.removeprefix("models/") for model in models]

    def _body(self, request: LLMRequest) -> JSONObject:
        body: JSONObject = {"contents": _contents(request)}
        system = [message.text for message in request.messages if message.role is Role.SYSTEM and message.text]
        if system:
            body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
        if request.tools:
            body["tools"] = [{"functionDeclarations": [self._tools.of(tool) for tool in request.tools]}]
            body["toolConfig"] = {"functionCallingConfig": {"mode": _CHOICE[request.tool_choice]}}
        config: JSONObject = {}
        if request.output_schema is not None:
            config["responseMimeType"] = "application/json"
            config["responseJsonSchema"] = self._schemas.of(request.output_schema)
        if request.temperature is not None:
            config["temperature"] = request.temperature
        if request.max_tokens is not None:
            config["maxOutputTokens"] = request.max_tokens
        if config:
            body["generationConfig"] = config
        return body

    def _check(self, whole: "_Answer") -> None:
        if len(whole.calls) > MOST_CALLS:
            raise self._wire.nonsense("too many tool calls")

    def _response(self, request: LLMRequest, whole: "_Answer") -> LLMResponse:
        self._check(whole)
        text = "".join(whole.text)
        calls = tuple(whole.calls)
        stop = StopReason.TOOL_CALLS if calls else _STOP.get(whole.finish or "", StopReason.STOP)
        if whole.blocked or (stop is StopReason.CONTENT_FILTER and not text):
            raise ContentFiltered(f"{self.name} refused to answer.", provider=self.name)
        if not calls and (whole.finish in _BROKEN or (not text and stop is StopReason.STOP)):
            raise self._wire.nonsense("an empty or broken answer")
        usage = _usage(whole.counts) or tokens.estimated(request, text, calls)
        return LLMResponse(text, calls, stop, usage, self.name, request.model)


class _FunctionCall(msgspec.Struct):
    name: str
    id: str | None = None
    args: msgspec.Raw = _NOTHING


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool = False
    function_call: _FunctionCall | None = None
    thought_signature: str | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None


class _Counts(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Detail(msgspec.Struct, rename="camel"):
    reason: str | None = None
    retry_delay: str | None = None


class _ErrorBody(msgspec.Struct):
    code: int | None = None
    status: str | None = None
    message: str | None = None
    details: list[_Detail] | None = None


class _ErrorAnswer(msgspec.Struct):
    error: _ErrorBody


class _Generated(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Counts | None = None
    error: _ErrorBody | None = None


class _Model(msgspec.Struct):
    name: str


class _Models(msgspec.Struct):
    models: list[_Model] = []


_ANSWER = msgspec.json.Decoder(_Generated)
_MODELS = msgspec.json.Decoder(_Models)
_ERROR = msgspec.json.Decoder(_ErrorAnswer | list[_ErrorAnswer])

_FILTERED = (
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR", "ESCALATION",
)  # fmt: skip
_STOP = {"MAX_TOKENS": StopReason.MAX_TOKENS} | dict.fromkeys(_FILTERED, StopReason.CONTENT_FILTER)
_BROKEN = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "TOO_MANY_TOOL_CALLS"})


class _Answer:
    """An answer as it grows. Parts marked as thought are the model's own and not said."""

    def __init__(self, model: str) -> None:
        self._model = model
        self.text: list[str] = []
        self.calls: list[ToolCall] = []
        self.finish: str | None = None
        self.blocked = False
        self.counts: _Counts | None = None

    def take(self, answer: _Generated) -> str:
        """One piece; the text that it adds."""
        self.counts = answer.usage_metadata or self.counts
        self.blocked = self.blocked or bool(answer.prompt_feedback and answer.prompt_feedback.block_reason)
        if not answer.candidates:
            return ""
        candidate = answer.candidates[0]
        self.finish = candidate.finish_reason or self.finish
        parts = (candidate.content.parts if candidate.content else None) or ()
        added = "".join(part.text for part in parts if part.text and not part.thought)
        self.text.append(added)
        for part in parts:
            if part.function_call is not None:
                call = part.function_call
                call_id = call.id or f"call_{new_id().hex}"
                signature = part.thought_signature and f"{self._model} {part.thought_signature}"
                self.calls.append(tool_call(call_id, call.name, text_of(call.args), signature))
        return added


def _path(model: str, method: str) -> str:
    return f"/v1beta/models/{quote(model.removeprefix('models/'), safe='')}:{method}"


def _contents(request: LLMRequest) -> list[JSONObject]:
    """User and model in turns; neighbours of one role are one content, as the results of parallel calls must be."""
    merged: list[JSONObject] = []
    for message in request.messages:
        if message.role is Role.SYSTEM:
            continue
        role = "model" if message.role is Role.ASSISTANT else "user"
        parts = _parts(message, request.model)
        if not parts:
            continue
        if merged and merged[-1]["role"] == role:
            merged[-1]["parts"] += parts
        else:
            merged.append({"role": role, "parts": parts})
    return merged


def _parts(message: Message, model: str) -> list[JSONObject]:
    if message.role is Role.TOOL:
        answer = {"id": message.tool_call_id, "name": message.tool_name or "tool", "response": _result(message.text)}
        return [{"functionResponse": answer}]
    parts: list[JSONObject] = [_image(image) for image in message.images]
    if message.text:
        parts.append({"text": message.text})
    for place, call in enumerate(message.tool_calls):
        part: JSONObject = {"functionCall": {"id": call.id, "name": call.name, "args": call.arguments or {}}}
        signature = _signature(call, model, is_first=place == 0)
        if signature:
            part["thoughtSignature"] = signature
        parts.append(part)
    return parts


def _signature(call: ToolCall, model: str, *, is_first: bool) -> str | None:
    signer, _, signature = (call.signature or "").partition(" ")
    if signer == model and signature:
        return signature
    is_unsigned = model.removeprefix("models/").startswith(_UNSIGNED_MODELS)
    return _NO_SIGNATURE if is_first and not is_unsigned else None


def _result(text: str) -> JSONObject:
    """The API wants an object; a result that is none goes under its documented key."""
    try:
        value = loads(text)
    except ValueError:
        return {"output": text}
    return value if isinstance(value, dict) else {"output": value}


def _image(image: Image) -> JSONObject:
    if image.url.startswith("data:"):
        head, _, data = image.url.partition(",")
        media_type = head.removeprefix("data:").partition(";")[0] or image.media_type
        return {"inlineData": {"mimeType": media_type, "data": data}}
    return {"fileData": {"mimeType": image.media_type, "fileUri": image.url}}


def _tool(spec: ToolSpec) -> JSONObject:
    return {"name": spec.name, "description": spec.description, "parametersJsonSchema": plain(spec.parameters)}


def _usage(counts: _Counts | None) -> Usage | None:
    """Gemini counts thoughts beside the answer's tokens; ours include them."""
    if counts is None or counts.prompt_token_count is None:
        return None
    thoughts = counts.thoughts_token_count or 0
    return Usage(
        input_tokens=counts.prompt_token_count + (counts.tool_use_prompt_token_count or 0),
        cached_tokens=counts.cached_content_token_count or 0,
        output_tokens=(counts.candidates_token_count or 0) + thoughts,
        reasoning_tokens=thoughts,
    )


def _read_error(body: bytes) -> VendorError:
    try:
        answer = _ERROR.decode(body)
    except (ValueError, RecursionError):
        return VendorError()
    errors: Iterable[_ErrorAnswer] = answer if isinstance(answer, list) else [answer]
    return next((_vendor_error(answer.error) for answer in errors), VendorError())


def _vendor_error(error: _ErrorBody) -> VendorError:
    details = error.details or ()
    reasons = tuple(detail.reason for detail in details if detail.reason)
    delays = [match for detail in details if (match := _DELAY.fullmatch(detail.retry_delay or ""))]
    waiting = float(delays[0][1]) if delays else None
    return VendorError(((error.status,) if error.status else ()) + reasons, error.message or "", waiting)

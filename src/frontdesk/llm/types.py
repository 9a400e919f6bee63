"""One request and one response for every provider, and the errors that a provider may end with."""

from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol  # tool arguments and JSON Schemas are untyped wire data

import msgspec

from frontdesk.core.errors import ProviderError

JSONObject = dict[str, Any]


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class StopReason(StrEnum):
    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    MAX_TOKENS = "max_tokens"
    CONTENT_FILTER = "content_filter"


class Image(msgspec.Struct, frozen=True):
    """An image by reference: an https URL that the vendor fetches, or a `data:` URL."""

    url: str
    media_type: str = "image/png"


class ToolCall(msgspec.Struct, frozen=True):
    """What the model wants called. `arguments` is None when it was not a JSON object; `raw` is what came."""

    id: str
    name: str
    arguments: JSONObject | None
    raw: str = ""
    # What the adapter that made it wants back with it: Gemini's thought signature, what Claude thought before.
    signature: str | None = None


class Message(msgspec.Struct, frozen=True):
    """One entry of the prompt. TOOL messages answer the call named by `tool_call_id`; `text` is the result as JSON."""

    role: Role
    text: str = ""
    images: tuple[Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    tool_name: str | None = None


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as a model sees it. `parameters` is a JSON Schema of an object.

    Vendors get name, description and parameters (without `x-` keys). `local` also reads `kind` (http, python,
    knowledge), `examples` (utterances that call for the tool), and in the schema `x-question` (how to ask for a
    parameter) and `x-synonyms` (enum value -> other words for it).
    """

    name: str
    description: str
    parameters: JSONObject
    kind: str = "python"
    examples: tuple[str, ...] = ()


class PendingCall(msgspec.Struct, frozen=True):
    """A tool call that waits for the contact: what is known so far and which parameter was asked for last."""

    agent: str
    tool: str
    arguments: JSONObject
    asked: str
    question: str
    options: tuple[str, ...] = ()


class Situation(msgspec.Struct, frozen=True):
    """What a provider that reads no prose needs to know (`local`); vendors find the same in the prompt's text."""

    now: datetime  # aware, in the tenant's time zone
    language: str = "en"  # of the contact's message, ISO 639-1
    organisation: str = ""
    pending: PendingCall | None = None


class LLMRequest(msgspec.Struct, frozen=True):
    """One call. `output_schema` asks for a JSON object of that schema as `text` of the response."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"  # auto | none | required
    output_schema: JSONObject | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    situation: Situation | None = None


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one call. `input_tokens` includes `cached_tokens`; `output_tokens` includes `reasoning_tokens`."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False  # the vendor named no figures (a cut stream): ours, counted roughly
    # Of the input, what was written into the vendor's cache at a price of its own (Anthropic).
    cache_write_tokens: int = 0


class LLMResponse(msgspec.Struct, frozen=True):
    text: str
    tool_calls: tuple[ToolCall, ...]
    stop_reason: StopReason
    usage: Usage
    provider: str
    model: str
    # True when this text, by `local`, admits that it found no answer: the caller may ask back or offer a human.
    unsure: bool = False


class TextDelta(msgspec.Struct, frozen=True):
    text: str


class Restart(msgspec.Struct, frozen=True):
    """Drop the deltas so far: another target begins anew."""


# Told of an answer while it grows. Plain and quick: it runs between two pieces of the stream.
Hear = Callable[[TextDelta | Restart], None]


class Target(msgspec.Struct, frozen=True):
    """One provider+model of a chain. Targets with the same `rank` are equal and share the load by `weight`."""

    provider: str
    model: str
    rank: int = 0
    weight: int = 1
    # The tenant's secret that holds its own key of this provider; None: the deployment's key.
    secret: str | None = None


class Alias(msgspec.Struct, frozen=True):
    """A tenant's name for an ordered chain of targets."""

    name: str
    targets: tuple[Target, ...]
    temperature: float | None = None
    max_tokens: int | None = None
    deadline_s: float | None = None


class Provider(Protocol):
    """A vendor's wire format and no more: retries, breaker, limits and ledger are the gateway's.

    Every method raises a ProviderFailure of below, never a vendor's or client library's own type.
    """

    name: str

    async def generate(self, request: LLMRequest) -> LLMResponse: ...

    def stream(self, request: LLMRequest) -> AsyncGenerator[TextDelta | LLMResponse, None]:
        """Text in order as it comes, then the whole response, once, last. Closing it ends the call."""
        ...

    async def check(self) -> None:
        """A call that costs nothing and shows that key and address are right."""
        ...

    async def models(self) -> list[str]: ...


class ProviderFailure(ProviderError):
    """A call that failed at `provider`. `retryable` at the same target; `switchable` to the next in the chain."""

    error_code = "PROVIDER_FAILED"
    retryable = False
    switchable = True
    # Counts against the circuit breaker: the target is ill, not our request.
    trips = True

    def __init__(self, detail: str, *, provider: str = "", retry_after: float | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.provider = provider


class ProviderAuthFailed(ProviderFailure):
    error_code = "PROVIDER_AUTH_FAILED"


class ProviderRateLimited(ProviderFailure):
    error_code = "PROVIDER_RATE_LIMITED"
    retryable = True


class ProviderOverloaded(ProviderFailure):
    """Overloaded, or a 5xx of the vendor's."""

    error_code = "PROVIDER_OVERLOADED"
    retryable = True


class ProviderTimeout(ProviderFailure):
    error_code = "PROVIDER_TIMEOUT"
    retryable = True


class ProviderUnfinished(ProviderTimeout):
    """It spoke until the call's time was over: it is well, and was asked for too much."""

    trips = False


class ProviderConnectionLost(ProviderFailure):
    """Refused, reset, or cut in mid-stream."""

    error_code = "PROVIDER_CONNECTION_LOST"
    retryable = True


class ProviderNonsense(ProviderFailure):
    """An answer that is not of the vendor's format."""

    error_code = "PROVIDER_NONSENSE"
    retryable = True


class ProviderBadRequest(ProviderFailure):
    error_code = "PROVIDER_BAD_REQUEST"
    trips = False


class ContextTooLong(ProviderBadRequest):
    error_code = "PROVIDER_CONTEXT_TOO_LONG"


class ContentFiltered(ProviderFailure):
    error_code = "PROVIDER_CONTENT_FILTERED"
    trips = False


class NotSent(ProviderFailure):
    """Personal data could not be told from the rest: the text did not leave the house. Another target may be in it."""

    error_code = "PRIVACY_CHECK_FAILED"
    status = 503
    trips = False


class NoProvider(ProviderFailure):
    """The alias is unknown, or nothing in its chain could be called."""

    error_code = "PROVIDER_UNAVAILABLE"
    status = 503
    switchable = False

"""Counting tokens where no vendor does: roughly, and always marked as an estimate."""

from collections.abc import Iterable

from frontdesk.core.json import dumps
from frontdesk.llm.types import LLMRequest, ToolCall, Usage

# Of the three vendors' tokenizers over the languages we serve: 3.6 to 4.6 bytes of UTF-8 a token.
_BYTES_PER_TOKEN = 4
_MESSAGE_TOKENS = 4  # role and marks
_IMAGE_TOKENS = 1000  # the vendors' figures for a picture of about a megapixel


def tokens_of(text: str) -> int:
    return -(-len(text.encode(errors="replace")) // _BYTES_PER_TOKEN)


def message_tokens(request: LLMRequest) -> int:
    """Of the messages alone: what differs from call to call, and cheap to count."""
    texts = "".join([message.text for message in request.messages])
    total = _MESSAGE_TOKENS * len(request.messages) + tokens_of(texts)
    for message in request.messages:
        if message.images or message.tool_calls:
            total += _IMAGE_TOKENS * len(message.images) + sum(map(_of_call, message.tool_calls))
    return total


def input_tokens(request: LLMRequest) -> int:
    """Of the whole prompt, tools and output schema included."""
    total = message_tokens(request)
    for tool in request.tools:
        total += tokens_of(tool.name) + tokens_of(tool.description) + tokens_of(_json(tool.parameters))
    if request.output_schema is not None:
        total += tokens_of(_json(request.output_schema))
    return total


def estimated(request: LLMRequest, output: str, calls: Iterable[ToolCall] = ()) -> Usage:
    spoken = tokens_of(output) + sum(map(_of_call, calls))
    return Usage(input_tokens=input_tokens(request), output_tokens=spoken, estimated=True)


def _of_call(call: ToolCall) -> int:
    return tokens_of(call.name) + tokens_of(call.raw or _json(call.arguments))


def _json(value: object) -> str:
    return dumps(value).decode()

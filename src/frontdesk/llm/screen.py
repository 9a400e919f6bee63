"""What a provider may read: requests without personal data, and its answers with it again.

It fails closed: where what is personal can't be told, the provider is not called.
"""

import asyncio
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any  # arguments of tools are untyped wire data

import msgspec
import structlog

from frontdesk.core import json
from frontdesk.llm.types import Hear, LLMRequest, LLMResponse, Message, NotSent, Restart, Role, TextDelta
from frontdesk.privacy.detector import Detector
from frontdesk.privacy.models import Entity
from frontdesk.privacy.redactor import Redaction, Restoring, Text

log = structlog.get_logger()

# Told to the model where something was hidden, behind what is said of the moment: the instructions stay as they are, so
# that providers' caches of them hold.
NOTE = (
    "Values in capitals and brackets, such as [EMAIL_1] or [PERSON_2], stand for real values that are kept from you. "
    "Use them like the values: in answers and in arguments of tools, written exactly so."
)


KNOWLEDGE = "knowledge"  # the kind of the tool that finds passages
# What takes longer is done in a thread: a few milliseconds on the loop are all it may take.
_ON_THE_LOOP = 1_500  # characters to search; four that are remembered take the time of one
_MOST_S = 2.0  # for all texts of a request


@dataclass(frozen=True, slots=True)
class View:
    """A request as one provider sees it, and the way back."""

    request: LLMRequest
    hear: Hear | None
    redaction: Redaction | None  # None: it sees everything

    def restored(self, response: LLMResponse) -> LLMResponse:
        """The answer with its values; what the stream still held back is told."""
        if self.redaction is None:
            return response
        if isinstance(self.hear, Listener):
            self.hear.end()
        return restored(self.redaction, self.request, response)


class Screen:
    """One for all calls. `trusted` providers are in the house: they get texts as they are."""

    def __init__(self, detector: Detector, trusted: Collection[str]) -> None:
        self._detector = detector
        self._trusted = frozenset(trusted)

    def of(self, hides: frozenset[Entity], request: LLMRequest, hear: Hear | None) -> "Screened":
        """For one call: `hides` is what the tenant's policy keeps from providers."""
        return Screened(self._detector, self._trusted, hides, View(request, hear, None))


class Screened:
    """The views of one call. The request is searched at most once; not at all when trusted providers alone get it."""

    def __init__(self, detector: Detector, trusted: frozenset[str], hides: frozenset[Entity], whole: View) -> None:
        self._detector = detector
        self._trusted = trusted
        self._hides = hides
        self._whole = whole
        self._hidden: View | None = None

    async def for_provider(self, name: str) -> View:
        """Raises NotSent."""
        if not self._hides or name in self._trusted:
            return self._whole
        if self._hidden is None:
            try:
                self._hidden = await self._hide()
            except Exception as error:  # an edge: whatever is wrong with the search, the text does not leave
                log.error("privacy.failed", provider=name, error=type(error).__name__)
                raise NotSent("Personal data could not be looked for, so nothing was sent.", provider=name) from error
        return self._hidden

    async def _hide(self) -> View:
        request, hear = self._whole.request, self._whole.hear
        redaction = Redaction(self._detector, self._hides, ends_at=time.monotonic() + _MOST_S)
        texts = texts_of(request)
        unread, read = redaction.lengths(texts)
        if unread + read / 4 > _ON_THE_LOOP:
            request = await asyncio.to_thread(hidden, redaction, request, texts)
        else:
            request = hidden(redaction, request, texts)
        if redaction.is_empty:
            return self._whole
        return View(request, None if hear is None else Listener(redaction, hear), redaction)


def texts_of(request: LLMRequest) -> list[Text]:
    """Those of the messages, one each, then the arguments of their calls.

    The system's first message is the tenant's own instructions, and passages are of its own documents: they go as they
    are, and so do images. The system's later messages are ours, and quote what others said as JSON.
    """
    first = request.messages[0] if request.messages else None
    knowledge = {tool.name for tool in request.tools if tool.kind == KNOWLEDGE}
    texts: list[Text] = []
    for message in request.messages:
        is_knowledge = message.role is Role.TOOL and message.tool_name in knowledge
        holds_json = message.role in (Role.SYSTEM, Role.TOOL) and message is not first and not is_knowledge
        texts.append(Text(message.text, holds_json, is_ours=message.role is Role.SYSTEM or is_knowledge))
    calls = (call for message in request.messages for call in message.tool_calls)
    return [*texts, *(Text(json.dumps_text(call.arguments), holds_json=True) for call in calls)]


def hidden(redaction: Redaction, request: LLMRequest, texts: Sequence[Text]) -> LLMRequest:
    """The request as a provider may read it: `texts` are its own. Raises what the detection raises."""
    shown = redaction.hide(texts)
    if redaction.is_empty:
        return request
    arguments = map(json.loads, shown[len(request.messages) :])
    messages = [_with(message, text, arguments) for message, text in zip(request.messages, shown, strict=False)]
    place = max((at for at, message in enumerate(messages) if message.role is Role.SYSTEM), default=None)
    if place is None:
        messages.insert(0, Message(Role.SYSTEM, NOTE))
    else:
        messages[place] = msgspec.structs.replace(messages[place], text=f"{messages[place].text}\n\n{NOTE}")
    return msgspec.structs.replace(request, messages=tuple(messages))


def restored(redaction: Redaction, request: LLMRequest, response: LLMResponse) -> LLMResponse:
    """The answer with the values in its text and in the arguments of its calls."""
    if redaction.is_empty:
        return response
    text = (
        redaction.restored(response.text) if request.output_schema is None else redaction.restored_json(response.text)
    )
    calls = tuple(
        msgspec.structs.replace(
            call, arguments=redaction.restored_value(call.arguments), raw=redaction.restored_json(call.raw)
        )
        for call in response.tool_calls
    )
    return msgspec.structs.replace(response, text=text, tool_calls=calls)


class Listener:
    """Hears a stream with placeholders and passes it on with values."""

    def __init__(self, redaction: Redaction, hear: Hear) -> None:
        self._hear = hear
        self._restoring = Restoring(redaction, lambda text: hear(TextDelta(text)))

    def __call__(self, delta: TextDelta | Restart) -> None:
        if isinstance(delta, TextDelta):
            self._restoring.feed(delta.text)
        else:
            self._restoring.begin_anew()
            self._hear(delta)

    def end(self) -> None:
        self._restoring.end()


def _with(message: Message, text: str, arguments: Iterator[Any]) -> Message:
    """The message with `text` in place of its own, and the next `arguments` in its calls."""
    calls = tuple(msgspec.structs.replace(call, arguments=next(arguments), raw="") for call in message.tool_calls)
    return msgspec.structs.replace(message, text=text, tool_calls=calls)

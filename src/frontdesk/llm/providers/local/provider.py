"""The `local` provider: tool calls by likeness and slot filling, answers by extraction, nothing invented."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.json import dumps_text
from frontdesk.llm.providers.local import phrases
from frontdesk.llm.providers.local.answer import Extract, content_stems, extract_answer
from frontdesk.llm.providers.local.choose import CALLS, CALLS_FOR_QUESTION, Embed, Fit, ToolChooser
from frontdesk.llm.providers.local.earlier import spoken, what_counts
from frontdesk.llm.providers.local.passages import passages_of
from frontdesk.llm.providers.local.questions import question_in
from frontdesk.llm.providers.local.results import in_words, result_of
from frontdesk.llm.providers.local.smalltalk import is_beyond, small_talk, without_greeting
from frontdesk.llm.providers.local.structured import fill
from frontdesk.llm.slots import extract, is_cancel, is_question, yes_or_no
from frontdesk.llm.slots.calendar_words import MONTHS, RELATIVE_DAYS, WEEKDAYS
from frontdesk.llm.slots.schema import Kind, slot_of
from frontdesk.llm.slots.text import fold, stem, words
from frontdesk.llm.tokens import estimated
from frontdesk.llm.types import (
    JSONObject,
    LLMRequest,
    LLMResponse,
    Message,
    PendingCall,
    Role,
    Situation,
    StopReason,
    TextDelta,
    ToolCall,
    ToolSpec,
)

NAME, MODEL = "local", "extractive"
ABANDON = "abandon_pending"  # the runner drops the pending call
KNOWLEDGE, CONTROL = "knowledge", "control"

# For a question that gives none of the values which the tool needs: documents may answer it ("Which insurers …?").
CALLS_WITHOUT_VALUES = 0.80
# Of another tool than the pending one: to leave it for a message that says nothing to it, and for one that does.
SWITCHES, SWITCHES_THOUGH_ANSWERED = 0.62, 0.85
# What each value that a message has for a tool adds to the tool's fit, when tools are close to one another.
CLOSE, CLOSE_TOOLS, PER_VALUE, TIE = 0.15, 3, 0.05, 0.03
_CHUNK = re.compile(r"\s*\S+\s*")
_ELLIPTICAL = re.compile(
    r"^(?:and|or|what\s+about|how\s+about|y|e|und|oder|et|ou|dan|atau|que\s+tal|was\s+ist\s+mit|wie\s+sieht\s+es|"
    r"qu'en\s+est-il|et\s+pour|bagaimana\s+(?:dengan|kalau))\b"
)
_ELLIPTICAL_WORDS = 7
_LEAST_SAID = 2  # words that carry a meaning: with fewer, and nothing asked, we ask back
_DAYS = frozenset(stem(day) for day in (*WEEKDAYS, *MONTHS, *RELATIVE_DAYS))
_STOPS = re.compile(r"\b(?:cancel|absag|stornier|annul|desmarc|batal|anular)\w*")


class _Said(msgspec.Struct, frozen=True):
    """What the provider says: text, calls, and whether it admits that it has no answer."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    unsure: bool = False


class LocalProvider:
    """No network and no invention: equal requests get equal answers. `region`: where bare phone numbers are from."""

    name = NAME

    def __init__(self, embed: Embed, clock: Clock, region: str | None = None) -> None:
        self._embed = embed
        self._clock = clock
        self._region = region
        self._chooser = ToolChooser(embed)

    async def generate(self, request: LLMRequest) -> LLMResponse:
        said = await self._say(request)
        return LLMResponse(
            text=said.text,
            tool_calls=said.calls,
            stop_reason=StopReason.TOOL_CALLS if said.calls else StopReason.STOP,
            usage=estimated(request, said.text, said.calls),
            provider=NAME,
            model=MODEL,
            unsure=said.unsure,
        )

    async def stream(self, request: LLMRequest) -> AsyncGenerator[TextDelta | LLMResponse, None]:
        response = await self.generate(request)
        for chunk in _CHUNK.findall(response.text):
            yield TextDelta(chunk)
        yield response

    async def check(self) -> None:
        await self._embed(["check"])

    async def models(self) -> list[str]:
        return [MODEL]

    async def _say(self, request: LLMRequest) -> _Said:
        situation = request.situation or Situation(self._clock.now())
        asked_at = max((at for at, message in enumerate(request.messages) if message.role is Role.USER), default=None)
        if asked_at is None:
            return _Said(phrases.say(phrases.NOT_UNDERSTOOD, situation.language), unsure=True)
        text = request.messages[asked_at].text.strip()
        if request.output_schema is not None:
            filled = await fill(
                request.output_schema, text, self._embed, now=situation.now, language=situation.language
            )
            return _Said(dumps_text(filled))
        results = [message for message in request.messages[asked_at:] if message.role is Role.TOOL]
        if results:
            calls = [call for message in request.messages[asked_at:] for call in message.tool_calls]
            return await self._answer(text, results, calls, situation)
        tools = () if request.tool_choice == "none" else tuple(tool for tool in request.tools if tool.kind != CONTROL)
        before = request.messages[:asked_at]
        return await self._turn(text, tools, situation, before, must=request.tool_choice == "required")

    async def _turn(
        self,
        text: str,
        tools: tuple[ToolSpec, ...],
        situation: Situation,
        before: Sequence[Message],
        *,
        must: bool,
    ) -> _Said:
        """The first call of a turn: what the contact wants done."""
        language = situation.language
        pending = situation.pending
        pending_tool = next((tool for tool in tools if pending is not None and tool.name == pending.tool), None)
        fits = await self._chooser.rank(without_greeting(text), [tool for tool in tools if tool.kind != KNOWLEDGE])
        if pending is not None and pending_tool is not None:
            continued = await self._continued(text, pending, pending_tool, fits, situation)
            if continued is not None:
                return continued
        polite = None if must else small_talk(text, language)
        if polite is not None:
            return _Said(polite)
        best = await self._best(text, fits, tools, situation)
        knowledge = next((tool for tool in tools if tool.kind == KNOWLEDGE), None)
        if best is not None:
            call = await self._call(best.tool, text, situation, before)
            enough = _enough(best.tool, call, text) if knowledge is not None else CALLS
            if best.score >= enough or (must and knowledge is None):
                return _Said(calls=(call,))
        if is_beyond(text) and not must:
            return _Said(phrases.say(phrases.CANNOT, language), unsure=True)
        if pending is not None and pending_tool is not None and not is_question(text):
            return _Said(calls=(_called(pending_tool, pending.arguments),))  # not an answer: the runner asks again
        if knowledge is not None:
            query = _in_full(without_greeting(text), before)
            return _Said(calls=_searches(knowledge, query))
        return _Said(phrases.say(phrases.NOT_UNDERSTOOD, language), unsure=True)

    async def _continued(
        self, text: str, pending: PendingCall, tool: ToolSpec, fits: Sequence[Fit], situation: Situation
    ) -> _Said | None:
        """The pending call with what the message adds to it; None when the message is about something else."""
        confirms = _confirms_stop(text, pending, tool)
        if is_cancel(text) and not confirms:
            return _Said(
                phrases.say(phrases.ABANDONED, situation.language), (ToolCall(f"local-{ABANDON}", ABANDON, {}, "{}"),)
            )
        found = await asyncio.to_thread(
            extract,
            tool.parameters,
            text,
            now=situation.now,
            language=situation.language,
            asked=pending.asked,
            options=pending.options,
            region=self._region,
        )
        if confirms:
            found[pending.asked] = True
        other = max((fit.score for fit in fits if fit.tool.name != tool.name), default=0.0)
        own = max((fit.score for fit in fits if fit.tool.name == tool.name), default=0.0)
        leaves = other >= (SWITCHES_THOUGH_ANSWERED if found else SWITCHES) and other > own + 0.05
        if not found or (leaves and len(words(text)) > 2):
            return None
        if own < CALLS_FOR_QUESTION and _asks_something_else(text, tool, is_answered=pending.asked in found):
            return None
        return _Said(calls=(_called(tool, pending.arguments | found),))

    async def _best(
        self, text: str, fits: Sequence[Fit], tools: Sequence[ToolSpec], situation: Situation
    ) -> Fit | None:
        """The tool that fits best; among close ones that for which the message has most to say."""
        close = [fit for fit in fits[:CLOSE_TOOLS] if fit.score >= fits[0].score - CLOSE]
        if len(close) < 2:
            return fits[0] if fits else None
        filled = await asyncio.to_thread(
            lambda: [
                extract(fit.tool.parameters, text, now=situation.now, language=situation.language, region=self._region)
                for fit in close
            ]
        )
        scored = [Fit(fit.tool, fit.score + PER_VALUE * len(found)) for fit, found in zip(close, filled, strict=True)]
        tied = [fit for fit in scored if fit.score >= max(each.score for each in scored) - TIE]
        return min(tied, key=lambda fit: tools.index(fit.tool))  # the agent names its main tool first

    async def _call(self, tool: ToolSpec, text: str, situation: Situation, before: Sequence[Message]) -> ToolCall:
        found = await asyncio.to_thread(
            extract,
            tool.parameters,
            text,
            now=situation.now,
            language=situation.language,
            context=await what_counts(text, before, tool, self._chooser),
            region=self._region,
        )
        return _called(tool, found)

    async def _answer(
        self, question: str, results: Sequence[Message], calls: Sequence[ToolCall], situation: Situation
    ) -> _Said:
        """What the tools found or did, in their order; then the search that answers best."""
        language = situation.language
        queries = {call.id: str(next(iter(call.arguments.values()), "")) for call in calls if call.arguments}
        parts: list[str] = []
        quoted: list[Extract] = []
        looked = False
        for message in results:
            result = result_of(message)
            if "passages" in result:
                looked = True
                asked = queries.get(message.tool_call_id or "", "") or question
                if (found := await extract_answer(asked, passages_of(result), self._embed, language)) is not None:
                    quoted.append(found)
            elif (words_of := in_words(result, language)) and words_of not in parts:
                parts.append(words_of)
        if quoted:
            parts.append(max(quoted, key=lambda each: each.score).text)  # of the message, or of the question in it
        elif looked and not parts:
            is_bare = len(set(content_stems(question))) < _LEAST_SAID and not is_question(question)
            return _Said(
                phrases.say(phrases.NOT_UNDERSTOOD if is_bare else phrases.NOTHING_FOUND, language), unsure=True
            )
        failed = all(result_of(message).get("status") not in ("ok", "needs") for message in results)
        return _Said("\n\n".join(parts), unsure=failed)


def _called(tool: ToolSpec, arguments: JSONObject, suffix: str = "") -> ToolCall:
    # Its name tells a call of one step apart; the same request must give the same answer.
    return ToolCall(f"local-{tool.name}{suffix}", tool.name, dict(arguments), dumps_text(arguments))


def _enough(tool: ToolSpec, call: ToolCall, text: str) -> float:
    """How well a tool must fit a message that documents may answer too."""
    if not is_question(text):
        return CALLS
    return CALLS_WITHOUT_VALUES if tool.parameters.get("required") and not call.arguments else CALLS_FOR_QUESTION


def _searches(tool: ToolSpec, query: str) -> tuple[ToolCall, ...]:
    """For the message, and for the question alone that stands in it: what else is said helps, or leads astray."""
    name = _query_parameter(tool)
    calls = [_called(tool, {name: query[:500]})]
    if alone := question_in(query):
        calls.append(_called(tool, {name: alone[:500]}, "-question"))
    return tuple(calls)


def _query_parameter(tool: ToolSpec) -> str:
    names = list(tool.parameters.get("properties") or {})
    return "query" if "query" in names or not names else str(names[0])


def _in_full(text: str, before: Sequence[Message]) -> str:
    """The question with the one before it when it can't be understood alone ("and on Sundays?")."""
    earlier = next((message.text for message in spoken(before) if message.role is Role.USER), "")
    begins = text.lower().strip("¿ ")
    is_short = len(words(text)) <= _ELLIPTICAL_WORDS and not begins.startswith("où") and _ELLIPTICAL.match(fold(begins))
    return f"{earlier} {text}" if earlier and (is_short or len(words(text)) <= 2) else text


def _asks_something_else(text: str, tool: ToolSpec, *, is_answered: bool) -> bool:
    """A question; when it names what was asked for ("Do you have anything on Friday?"), one with two words and more
    that are foreign to the tool ("What are the opening hours on Friday?")."""
    if not is_question(text) or len(words(text)) <= 3:
        return False
    known = set(content_stems(f"{tool.name} {tool.description} {' '.join(tool.examples)}"))
    foreign = [said for said in set(content_stems(text)) - known if not said[0].isdecimal() and said not in _DAYS]
    return not is_answered or len(foreign) >= 2


def _confirms_stop(text: str, pending: PendingCall, tool: ToolSpec) -> bool:
    """Whether "cancel it" is the yes to "shall I cancel it?" rather than the end of the matter."""
    inner = (tool.parameters.get("properties") or {}).get(pending.asked)
    is_yes_no = isinstance(inner, dict) and slot_of(pending.asked, inner).kind is Kind.BOOLEAN
    return (
        is_yes_no
        and yes_or_no(text) is None
        and bool(_STOPS.search(fold(text)))
        and bool(_STOPS.search(fold(pending.question)))
    )

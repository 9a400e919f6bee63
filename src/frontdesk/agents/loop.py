"""One run of one agent: call the model, call the tools that it asks for, until there is an answer or a bound is hit."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec
import structlog

from frontdesk.agents import texts
from frontdesk.agents.actions import Actions, OutOfBounds, StepLog
from frontdesk.agents.briefing import ABANDON, ABANDON_SPEC, briefing
from frontdesk.agents.calls import Ready, Refused, prepare, signature, waiting, with_options
from frontdesk.agents.citations import MarkerFilter, References, cite
from frontdesk.agents.live import Emit
from frontdesk.agents.models import Agent, AgentOutcome, Alias, Step, ToolUse, call_for
from frontdesk.agents.results import failed, tool_message
from frontdesk.agents.turn import AgentTurn
from frontdesk.core.clock import Clock
from frontdesk.core.errors import ProviderError, RateLimited
from frontdesk.knowledge.models import Citation
from frontdesk.llm.gateway import Call, Gateway
from frontdesk.llm.ledger import LedgerRow
from frontdesk.llm.types import (
    ContentFiltered,
    LLMRequest,
    LLMResponse,
    Message,
    PendingCall,
    ProviderNonsense,
    Restart,
    Role,
    Situation,
    StopReason,
    TextDelta,
    ToolCall,
    ToolSpec,
)
from frontdesk.tools.templates import TemplateFailed, Templates
from frontdesk.tools.toolbox import BoundTool
from frontdesk.tools.types import Need, ToolResult, ToolStatus

log = structlog.get_logger()

# The same call with the same arguments: a second time may be meant, a third time is a loop.
SAME_CALL_AT_MOST = 2
CALLS_AT_ONCE = 16


class Loop:
    """The state of one run. Made by the runner, run once."""

    def __init__(
        self,
        gateway: Gateway,
        templates: Templates,
        clock: Clock,
        actions: Actions,
        steps: StepLog,
        turn: AgentTurn,
        agent: Agent,
        alias: Alias,
        tools: Mapping[str, BoundTool],
        instructions: str,
        emit: Emit,
        ends_at: float,
    ) -> None:
        self._gateway = gateway
        self._templates = templates
        self._clock = clock
        self._actions = actions
        self._steps = steps
        self._turn = turn
        self._agent = agent
        self._alias = alias
        self._tools = tools
        self._emit = emit
        self._ends_at = ends_at
        self._messages = briefing(turn, agent, instructions)
        self._pending = turn.pending_of(agent)
        self._references = References()
        self.rows: list[LedgerRow] = []
        self._tokens = 0
        self._seen: Counter[str] = Counter()
        self._uses: list[ToolUse] = []
        self._finished: list[str] = []
        self._done: list[str] = []  # what tools with side effects say of what they did
        self._need: Need | None = None  # what the contact is to be asked
        self._waiting: PendingCall | None = None
        self._is_shown = False  # some of the present call's text has gone to the contact

    async def run(self) -> AgentOutcome:
        """The outcome, whatever the model and the tools do.

        Raises what the turn's `record_step` raises, and Unavailable when the database is away.
        """
        try:
            for ready, result in await self._actions.resume(self._tools):
                self._messages.append(Message(Role.ASSISTANT, tool_calls=(ready.call,)))
                self._note(ready, result)
            for _ in range(self._agent.max_steps):
                response = await self._think()
                outcome = await self._act(response) if response.tool_calls else self._answer(response)
                if outcome is not None:
                    return outcome
            raise OutOfBounds("steps")
        except OutOfBounds as error:
            log.warning("agent.out_of_bounds", agent=self._agent.name, bound=error.bound)
            return self._give_up()
        except (ProviderError, RateLimited) as error:
            log.warning("agent.provider_failed", agent=self._agent.name, error_code=error.error_code)
            return self._fail(error.error_code)

    # The model.

    async def _think(self) -> LLMResponse:
        """One call of the model. Its text goes to the contact, as it comes where somebody listens."""
        self._check_bounds()
        begun = self._clock.monotonic()
        try:
            async with asyncio.timeout_at(self._ends_at):
                response = await self._response()
        except TimeoutError:
            raise OutOfBounds("time") from None
        self._tokens += response.usage.input_tokens + response.usage.output_tokens
        self._put_step(response, begun)
        return response

    async def _response(self) -> LLMResponse:
        request = LLMRequest(
            model="",  # the gateway's: of the target that it calls
            messages=tuple(self._messages),
            tools=self._specs(),
            situation=self._situation(),
        )
        markers = MarkerFilter(self._references.passages)

        def hear(delta: TextDelta | Restart) -> None:
            nonlocal markers
            if isinstance(delta, TextDelta):
                self._show(markers.feed(delta.text))
            else:
                self._take_back()
                markers = MarkerFilter(self._references.passages)

        if self._turn.is_heard() and self._agent.output_template is None:
            response = await self._gateway.generate(self._call(), request, hear)
        else:  # a stream costs four times a plain call, and nobody listens
            response = await self._gateway.generate(self._call(), request)
            hear(TextDelta(response.text))
        self._show(markers.flush())
        return response

    def _call(self) -> Call:
        return call_for(self._turn.definitions.tenant, self._alias, "agent", self._turn.turn_id, self.rows)

    def _specs(self) -> tuple[ToolSpec, ...]:
        """The same in every turn, but while something is pending: providers cache them."""
        specs = tuple(bound.spec for bound in self._tools.values())
        return (*specs, ABANDON_SPEC) if self._pending is not None else specs

    def _situation(self) -> Situation:
        return Situation(
            now=self._turn.now,
            language=self._turn.language,
            organisation=self._turn.definitions.tenant.name,
            pending=self._pending,
        )

    def _check_bounds(self) -> None:
        if self._tokens >= self._agent.max_tokens:
            raise OutOfBounds("tokens")
        if sum([row.cost_usd for row in self.rows if row.cost_usd], Decimal(0)) >= self._agent.max_cost_usd:
            raise OutOfBounds("cost")

    def _put_step(self, response: LLMResponse, begun: float) -> None:
        self._steps.put(
            Step(
                number=self._steps.next_number(),
                agent=self._agent.name,
                kind="llm",
                name=self._alias.name,
                status=response.stop_reason.value,
                input={"messages": len(self._messages)},
                output={
                    "text": response.text,
                    "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in response.tool_calls],
                    "provider": response.provider,
                    "model": response.model,
                },
                duration_ms=round((self._clock.monotonic() - begun) * 1000),
            )
        )

    # The tools.

    async def _act(self, response: LLMResponse) -> AgentOutcome | None:
        """Makes the calls of a response. None: the model goes on with their results.

        What was said beside the calls is taken back: it is not the answer yet, unless nothing but a farewell to what
        was pending is left to say.
        """
        is_farewell = bool(response.text.strip()) and all(call.name == ABANDON for call in response.tool_calls)
        if not is_farewell:
            self._take_back()
        self._messages.append(Message(Role.ASSISTANT, response.text, tool_calls=response.tool_calls))
        prepared = [self._prepare(call) for call in response.tool_calls[:CALLS_AT_ONCE]]
        prepared += [
            Refused(call, None, failed(f"At most {CALLS_AT_ONCE} calls are made at once."))
            for call in response.tool_calls[CALLS_AT_ONCE:]
        ]
        results = await self._actions.make(prepared)
        for each, result in zip(prepared, results, strict=True):
            self._note(each, result)
        return self._answer(response) if is_farewell else self._ask(response, results)

    def _prepare(self, call: ToolCall) -> Ready | Refused:
        """Raises OutOfBounds when the model goes round in circles."""
        if call.name == ABANDON:
            return self._abandon(call)
        same = signature(call.name, call.raw if call.arguments is None else call.arguments)
        self._seen[same] += 1
        if self._seen[same] > SAME_CALL_AT_MOST:
            raise OutOfBounds("loop")
        return prepare(call, self._tools, self._pending, self._turn.message, self._turn.language)

    def _abandon(self, call: ToolCall) -> Refused:
        if self._pending is None:
            return Refused(call, None, failed("Nothing is pending."))
        self._finished.append(self._pending.tool)
        self._pending = None
        return Refused(call, None, ToolResult(ToolStatus.OK, data="It is dropped. Acknowledge that."))

    def _note(self, prepared: Ready | Refused, result: ToolResult) -> None:
        """What a call that has ended means for the rest of the run."""
        bound, name = prepared.bound, prepared.call.name
        kind = bound.definition.kind if bound is not None else None
        self._messages.append(tool_message(prepared.call, kind, result, self._references))
        if bound is None:
            return
        self._uses.append(ToolUse(name, result.status.value, result.duration_ms))
        if result.status is ToolStatus.NEEDS:
            self._need = result.needs[0]
            self._waiting = waiting(self._agent.name, prepared, self._need)
        elif result.status is ToolStatus.OK:
            self._finished.append(name)
            if self._waiting is not None and self._waiting.tool == name:
                self._need = self._waiting = None
            if self._pending is not None and self._pending.tool == name:
                self._pending = None
            if bound.definition.side_effects:
                self._done.append(result.text or texts.done(self._turn.language))

    # What the contact sees.

    def _show(self, text: str) -> None:
        if text and self._agent.output_template is None:  # with a template, text is shown when it is whole
            self._is_shown = True
            self._emit(TextDelta(text))

    def _take_back(self) -> None:
        if self._is_shown:
            self._is_shown = False
            self._emit(Restart())

    # How it ends.

    def _answer(self, response: LLMResponse) -> AgentOutcome:
        if response.stop_reason is StopReason.CONTENT_FILTER:
            raise ContentFiltered("The provider held its answer back.", provider=response.provider)
        text, citations = cite(response.text.strip(), self._references.passages)
        if not text:
            raise ProviderNonsense("The provider's answer is empty.", provider=response.provider)
        if self._need is not None and "?" not in text:
            addition = f"\n\n{self._question(self._need)}"
            self._show(addition)
            text += addition
        return self._end(
            self._in_form(text, citations),
            source=_source(response),
            citations=citations,
            is_degraded=self._is_fallback(response) or response.stop_reason is StopReason.MAX_TOKENS,
            is_unsure=response.unsure,
        )

    def _ask(self, response: LLMResponse, results: Sequence[ToolResult]) -> AgentOutcome | None:
        """The question as the answer, where all else that the tools gave is text for the contact."""
        if self._need is None:
            return None
        others = [result for result in results if result.status is not ToolStatus.NEEDS]
        if any(result.status is not ToolStatus.OK or result.text is None for result in others):
            return None
        text = "\n\n".join([*(result.text or "" for result in others), self._question(self._need)])
        self._show(text)
        return self._end(self._in_form(text, ()), source=_source(response), is_degraded=self._is_fallback(response))

    def _give_up(self) -> AgentOutcome:
        """A bound was hit: what was done is said, and that the rest was not."""
        self._take_back()
        text = "\n\n".join([*self._said_by_tools(), texts.unfinished(self._turn.language)])
        self._show(text)
        return self._end(self._in_form(text, ()), source="local", is_degraded=True)

    def _fail(self, error_code: str) -> AgentOutcome:
        """No model answers. What tools did or ask stands all the same; beyond that nothing is made up."""
        self._take_back()
        said = self._said_by_tools()
        if self._need is not None:
            said.append(self._question(self._need))
        if not said:
            return self._end("", source="local", is_degraded=True, error_code=error_code)
        text = "\n\n".join(said)
        self._show(text)
        return self._end(self._in_form(text, ()), source="local", is_degraded=True)

    def _end(
        self,
        text: str,
        *,
        source: str,
        citations: tuple[Citation, ...] = (),
        is_degraded: bool,
        is_unsure: bool = False,
        error_code: str | None = None,
    ) -> AgentOutcome:
        return AgentOutcome(
            agent=self._agent.name,
            text=text,
            source=source,
            citations=citations,
            needs=() if self._need is None else (self._need,),
            pending=self._waiting,
            finished=tuple(dict.fromkeys(self._finished)),
            tools=tuple(self._uses),
            steps=self._steps.all(),
            degraded=is_degraded,
            unsure=is_unsure,
            error_code=error_code,
        )

    def _question(self, need: Need) -> str:
        return with_options(need.question, need.options)

    def _said_by_tools(self) -> list[str]:
        return list(dict.fromkeys(self._done))

    def _in_form(self, text: str, citations: tuple[Citation, ...]) -> str:
        """The answer by the agent's output template, which is shown now, as it could not be shown before."""
        template = self._agent.output_template
        if template is None:
            return text
        values = {"text": text, "agent": self._agent.title, "citations": msgspec.to_builtins(citations)}
        try:
            text = self._templates.render(template, template, values)
        except TemplateFailed:
            log.warning("agent.template_failed", agent=self._agent.name)
        self._emit(TextDelta(text))
        return text

    def _is_fallback(self, response: LLMResponse) -> bool:
        """Whether another than the chain's first choice answered."""
        first = min((target.rank for target in self._alias.targets), default=0)
        return not any(target.rank == first and target.provider == response.provider for target in self._alias.targets)


def _source(response: LLMResponse) -> str:
    return "local" if response.provider == "local" else f"{response.provider}/{response.model}"

"""How an agent's tool calls are made: looking up side by side, acting one by one, and never twice."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import structlog

from frontdesk.agents import texts
from frontdesk.agents.calls import Ready, Refused, idempotency_key, signature
from frontdesk.agents.live import Emit, Status
from frontdesk.agents.models import Agent, Step
from frontdesk.agents.results import failed
from frontdesk.agents.turn import AgentTurn
from frontdesk.core.clock import Clock
from frontdesk.core.together import together
from frontdesk.llm.types import ToolCall
from frontdesk.tools.toolbox import BoundTool, Toolbox
from frontdesk.tools.types import Records, ToolContext, ToolKind, ToolResult

log = structlog.get_logger()

STARTED = "started"
UNKNOWN_TOOL = "(unknown)"


class OutOfBounds(Exception):
    """The run has used up what it may use; `bound` names it: steps, time, tokens, cost, loop."""

    def __init__(self, bound: str) -> None:
        super().__init__(bound)
        self.bound = bound


class StepLog:
    """The steps of a run, numbered behind those of earlier attempts at the turn."""

    def __init__(self, earlier: Sequence[Step]) -> None:
        self._steps = {step.number: step for step in earlier}

    def next_number(self) -> int:
        return max(self._steps, default=0) + 1

    def put(self, step: Step) -> None:
        self._steps[step.number] = step

    def all(self) -> tuple[Step, ...]:
        return tuple(self._steps[number] for number in sorted(self._steps))


class Actions:
    """Makes the calls of one run. Results of calls with side effects are kept before anything else happens."""

    def __init__(
        self,
        toolbox: Toolbox,
        records: Records,
        clock: Clock,
        turn: AgentTurn,
        agent: Agent,
        steps: StepLog,
        emit: Emit,
        ends_at: float,
    ) -> None:
        """`ends_at`: of the event loop's time."""
        self._toolbox = toolbox
        self._records = records
        self._clock = clock
        self._turn = turn
        self._agent = agent
        self._steps = steps
        self._emit = emit
        self._ends_at = ends_at
        self._occurrences: Counter[str] = Counter()
        self._kept: dict[str, ToolResult] = {}

    async def make(self, prepared: Sequence[Ready | Refused]) -> list[ToolResult]:
        """Results in order. Neighbours without side effects run at the same time; each other one by itself.

        Raises OutOfBounds at the end of the run's time.
        """
        results: list[ToolResult] = []
        together: list[Ready | Refused] = []
        for each in prepared:
            if isinstance(each, Ready) and each.bound.definition.side_effects:
                results += await self._look_up(together)
                together = []
                results.append(await self._act(each))
            else:
                together.append(each)
        return results + await self._look_up(together)

    async def resume(self, tools: Mapping[str, BoundTool]) -> list[tuple[Ready, ToolResult]]:
        """What an earlier attempt at this turn did, in order; the model is shown it, so that it does not do it again.

        A call that was begun and has no result is made again under its own key, where the tool promises that this
        does no more than the first time; elsewhere the model is told that nobody knows.
        """
        done = []
        for step in sorted(self._turn.steps, key=lambda step: step.number):
            bound = tools.get(step.name)
            if not step.key or step.agent != self._agent.name or bound is None:
                continue
            if step.status != STARTED:
                result = msgspec.convert(step.output, ToolResult)
            elif bound.tool.is_repeatable:
                result = await self._carry_out(step, bound)
            else:
                result = failed("This was interrupted: whether it was done is not known. Say so, and do not repeat it.")
                await self._keep(step, result)
            self._kept[step.key] = result
            log.info("agent.step_resumed", agent=self._agent.name, tool=step.name, status=result.status)
            done.append((Ready(ToolCall(f"earlier-{step.number}", step.name, step.input), bound, step.input), result))
        return done

    async def _look_up(self, prepared: Sequence[Ready | Refused]) -> list[ToolResult]:
        try:
            async with asyncio.timeout_at(self._ends_at):
                return await together([self._looked_up(each) for each in prepared])
        except TimeoutError:
            raise OutOfBounds("time") from None

    async def _looked_up(self, prepared: Ready | Refused) -> ToolResult:
        if isinstance(prepared, Refused):
            result = prepared.result
        else:
            self._tell(prepared.bound)
            result = await self._toolbox.run(prepared.bound, prepared.arguments, self._context(""))
        step = self._step(prepared, key="")
        self._steps.put(_ended(step, result))
        return result

    async def _act(self, ready: Ready) -> ToolResult:
        """A call with side effects. It has a time-out of its own and no other: what is begun is not dropped because
        the run's time is over."""
        name, arguments = ready.call.name, ready.arguments
        same = signature(name, arguments)
        key = idempotency_key(self._turn.turn_id, self._agent.name, name, arguments, self._occurrences[same])
        self._occurrences[same] += 1
        if (kept := self._kept.get(key)) is not None:
            return kept
        step = self._step(ready, key)
        self._steps.put(step)
        await self._turn.record_step(step)
        return await self._carry_out(step, ready.bound)

    async def _carry_out(self, step: Step, bound: BoundTool) -> ToolResult:
        self._tell(bound)
        result = await self._toolbox.run(bound, step.input, self._context(step.key))
        await self._keep(step, result)
        return result

    async def _keep(self, step: Step, result: ToolResult) -> None:
        ended = _ended(step, result)
        self._steps.put(ended)
        await self._turn.record_step(ended)

    def _step(self, prepared: Ready | Refused, key: str) -> Step:
        return Step(
            number=self._steps.next_number(),
            agent=self._agent.name,
            kind="tool",
            # In clear, so never a model's own words: what it called a tool that isn't there is in the sealed output.
            name=prepared.bound.definition.name if prepared.bound is not None else UNKNOWN_TOOL,
            status=STARTED,
            input=prepared.arguments,
            output=None,
            duration_ms=0,
            key=key,
        )

    def _context(self, key: str) -> ToolContext:
        turn = self._turn
        return ToolContext(
            tenant_id=turn.definitions.tenant.id,
            conversation_id=turn.conversation_id,
            contact=turn.contact,
            now=turn.now,
            language=turn.language,
            idempotency_key=key,
            records=self._records,
        )

    def _tell(self, bound: BoundTool) -> None:
        is_reading = bound.definition.kind is ToolKind.KNOWLEDGE
        text = texts.reading(self._turn.language) if is_reading else texts.working(self._turn.language)
        self._emit(Status(text, self._agent.name, bound.definition.name))


def _ended(step: Step, result: ToolResult) -> Step:
    return msgspec.structs.replace(
        step, status=result.status.value, output=msgspec.to_builtins(result), duration_ms=result.duration_ms
    )

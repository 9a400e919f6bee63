"""From a turn to its answer: guard, router, agents, one merged text."""

from collections.abc import Sequence
from functools import partial
from typing import Any  # the stored decision is JSON
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from frontdesk.agents.definitions import DefinitionsCache
from frontdesk.agents.models import AgentOutcome, Definitions, Step, ToolUse
from frontdesk.agents.runner import Runner
from frontdesk.agents.turn import AgentTurn
from frontdesk.conversations import texts
from frontdesk.conversations.live import TurnLive
from frontdesk.conversations.merging import Voices, in_order, merge
from frontdesk.conversations.models import Author, IntentOut, Routing, Spoken, TurnInput
from frontdesk.conversations.pending import Waiting
from frontdesk.conversations.store import ConversationStore
from frontdesk.core.clock import Clock
from frontdesk.core.errors import BudgetUsedUp, RateLimited
from frontdesk.core.together import together
from frontdesk.db import Database
from frontdesk.knowledge.models import Citation
from frontdesk.llm.ledger import LedgerRow
from frontdesk.llm.types import Role, TextDelta
from frontdesk.supervisor.models import Alarm, Decision, Intent, RouteState, Stage
from frontdesk.supervisor.supervisor import Supervisor
from frontdesk.tools.types import Need

_ROLES = {Author.CONTACT: Role.USER, Author.AGENT: Role.ASSISTANT, Author.STAFF: Role.ASSISTANT}

_USED_UP = frozenset({RateLimited.error_code, BudgetUsedUp.error_code})
AT_ONCE = 3  # agents that one message may set to work


class TurnLost(Exception):
    """Another worker has the turn: what was done here must not be said."""


class Draft(msgspec.Struct, frozen=True):
    """An answer before it is kept: everything but its number."""

    text: str
    state: str  # completed | waiting | failed
    routing: Routing
    agents: tuple[str, ...] = ()
    intents: tuple[IntentOut, ...] = ()
    emergency: bool = False
    escalated: bool = False
    needs: tuple[Need, ...] = ()
    citations: tuple[Citation, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    source: str = "local"
    degraded: bool = False
    pending: bytes | None = None  # None: what waits goes on waiting
    steps: tuple[Step, ...] = ()
    decision: Any = None
    error_code: str | None = None


class Answering:
    """Drafts the answer of a turn. Writes nothing but the steps that have side effects."""

    def __init__(
        self,
        db: Database,
        store: ConversationStore,
        definitions: DefinitionsCache,
        supervisor: Supervisor,
        runner: Runner,
        clock: Clock,
    ) -> None:
        self._db = db
        self._store = store
        self._definitions = definitions
        self._supervisor = supervisor
        self._runner = runner
        self._clock = clock

    async def draft(self, turn: TurnInput, live: TurnLive, rows: list[LedgerRow], worker: UUID) -> Draft:
        """Raises TurnLost when another worker has the turn."""
        definitions = await self._definitions.at(turn.tenant_id, turn.version)
        message, history = turn.message, turn.history
        alarm, near = self._supervisor.guard(message, definitions)
        if alarm is not None:
            draft = alarmed(alarm, definitions)
            live.say(TextDelta(draft.text))
            return draft
        waiting = Waiting.decode(turn.pending)
        steps = await self._steps(turn)
        said = tuple([spoken.text for spoken in history if spoken.author is Author.CONTACT])
        state = RouteState(waiting.calls, waiting.clarification, turn.agent, said)
        decision = await self._supervisor.route(message, definitions, state, turn.turn_id, rows)
        if near is not None:
            decision = msgspec.structs.replace(decision, trials=(near, *decision.trials))
        decision = as_begun(decision, steps, message, definitions)
        if decision.clarify is not None:
            draft = asked_back(decision, waiting, decision.clarify)
            live.say(TextDelta(draft.text))
            return draft
        return await self._answered(turn, definitions, decision, waiting, steps, live, rows, worker)

    def failed(self, error_code: str, decision: Decision | None = None) -> Draft:
        """The explicit failure, in the contact's language as far as it is known; a person is asked to look at it."""
        language = decision.language if decision else "en"
        return Draft(
            text=texts.said(texts.USED_UP if error_code in _USED_UP else texts.FAILED, language),
            state="failed",
            routing=Routing(decision.stage, decision.reason) if decision else Routing("default", error_code),
            intents=_intents(decision.intents) if decision else (),
            escalated=True,
            degraded=True,
            decision=decision,
            error_code=error_code,
        )

    async def _steps(self, turn: TurnInput) -> tuple[Step, ...]:
        """What an earlier attempt, whose worker died, has done and must not be done again."""
        if turn.attempt == 1:
            return ()
        async with self._db.scope(turn.tenant_id) as scope:
            return tuple(await self._store.steps(scope, turn.turn_id))

    async def _answered(
        self,
        turn: TurnInput,
        definitions: Definitions,
        decision: Decision,
        waiting: Waiting,
        steps: tuple[Step, ...],
        live: TurnLive,
        rows: list[LedgerRow],
        worker: UUID,
    ) -> Draft:
        voices = Voices(live)
        opening = texts.said(texts.ANEW, decision.language) + "\n\n" if turn.damaged else ""
        if opening:
            voices.speaks(0, TextDelta(opening))
        outcomes = await self._run_agents(turn, definitions, decision, waiting, steps, live, voices, rows, worker)
        good = [outcome for outcome in outcomes if outcome.error_code is None]
        if not good:
            return self.failed(outcomes[0].error_code or "AGENT_FAILED", decision)
        outcomes = in_order(outcomes)
        still = waiting.after(outcomes)
        needs, reminder = _next_question(outcomes, waiting, still)
        parts = [
            (_part_failed(definitions, outcome, decision) if outcome.error_code else outcome.text, outcome.citations)
            for outcome in outcomes
        ]
        if reminder:
            parts.append((texts.said(texts.BACK_TO, decision.language, question=reminder), ()))
        merged = merge(parts)
        text = opening + merged.text
        voices.say_rest(text)
        return Draft(
            text=text,
            state="waiting" if needs else "completed",
            routing=Routing(decision.stage, decision.reason),
            agents=tuple(outcome.agent for outcome in outcomes),
            intents=_intents(decision.intents),
            needs=needs,
            citations=merged.citations,
            tools=tuple(use for outcome in outcomes for use in outcome.tools),
            source=_source(good),
            degraded=any(outcome.degraded or outcome.error_code is not None for outcome in outcomes),
            pending=still.encode(),
            steps=tuple(step for outcome in outcomes for step in outcome.steps),
            decision=decision,
        )

    async def _run_agents(
        self,
        turn: TurnInput,
        definitions: Definitions,
        decision: Decision,
        waiting: Waiting,
        steps: tuple[Step, ...],
        live: TurnLive,
        voices: Voices,
        rows: list[LedgerRow],
        worker: UUID,
    ) -> list[AgentOutcome]:
        """One outcome per agent, in order. An agent's failure is an outcome; an exception cancels its siblings."""

        async def record_step(step: Step) -> None:
            if not await self._store.record_step(turn, worker, step):
                raise TurnLost

        async def run(place: int, intent: Intent) -> AgentOutcome:
            agent = definitions.agents[intent.agent]
            agent_turn = AgentTurn(
                definitions=definitions,
                turn_id=turn.turn_id,
                conversation_id=turn.conversation_id,
                contact=turn.contact,
                query=intent.query,
                message=turn.message,
                now=self._clock.now().astimezone(ZoneInfo(definitions.tenant.settings.time_zone)),
                language=decision.language,
                record_step=record_step,
                history=_history(turn.history),
                summary=turn.summary,
                pending=waiting.of(agent.name),
                context=turn.context,
                steps=steps,
                rows=rows,
                is_heard=lambda: place == 0 and live.is_heard,  # the others' words come whole, after the first's
            )
            return await self._runner.run(agent_turn, agent, partial(voices.speaks, place))

        return await together([run(place, intent) for place, intent in enumerate(decision.intents[:AT_ONCE])])


def as_begun(decision: Decision, steps: Sequence[Step], message: str, definitions: Definitions) -> Decision:
    """An attempt that resumes another goes on with the agents that had begun: only they know what they did."""
    begun = dict.fromkeys(step.agent for step in steps if step.agent in definitions.agents)
    if not begun or set(begun) <= {intent.agent for intent in decision.intents}:
        return decision
    kept = tuple(Intent(agent, 1.0, message) for agent in begun)
    return msgspec.structs.replace(decision, intents=kept, clarify=None, reason="resumed by the agents that had begun")


def alarmed(alarm: Alarm, definitions: Definitions) -> Draft:
    """The tenant's own words at once, and the conversation flagged. What waits goes on waiting."""
    settings = definitions.tenant.settings
    is_emergency = alarm.stage is Stage.EMERGENCY
    own = settings.emergency.texts if is_emergency else settings.human_text
    text = own.get(alarm.language) or own.get("en") or texts.said(texts.HUMAN, alarm.language)
    return Draft(
        text=text,
        state="completed",
        routing=Routing(alarm.stage, alarm.reason),
        intents=(IntentOut(alarm.kind, 1.0),),
        emergency=is_emergency,
        escalated=True,
        decision=alarm,
    )


def asked_back(decision: Decision, waiting: Waiting, question: str) -> Draft:
    return Draft(
        text=question,
        state="waiting",
        routing=Routing(decision.stage, decision.reason),
        intents=_intents(decision.intents),
        needs=(Need("intent", question, decision.options),),
        pending=msgspec.structs.replace(waiting, clarification=decision.clarification).encode(),
        decision=decision,
    )


def _next_question(
    outcomes: Sequence[AgentOutcome], before: Waiting, still: Waiting
) -> tuple[tuple[Need, ...], str | None]:
    """What is asked, one question at a time, and the reminder of a matter left open when nothing else is asked.

    `outcomes` are `in_order`: the last asks, if any does.
    """
    asked = outcomes[-1].needs
    if asked or not still.calls:
        return asked[:1], None
    left = still.calls[-1]
    ran = {outcome.agent for outcome in outcomes}
    if left not in before.calls or (left.agent in ran and len(ran) == 1 and not before.calls):
        return (), None
    return (Need(left.asked, left.question, left.options),), left.question


def _part_failed(definitions: Definitions, outcome: AgentOutcome, decision: Decision) -> str:
    return texts.said(texts.PART_FAILED, decision.language, topic=definitions.agents[outcome.agent].title)


def _history(spoken: Sequence[Spoken]) -> tuple[tuple[Role, str], ...]:
    """What a model reads of the past; failures and notices of ours are not part of it."""
    return tuple([(_ROLES[each.author], each.text) for each in spoken if each.author in _ROLES])


def _intents(intents: Sequence[Intent]) -> tuple[IntentOut, ...]:
    return tuple(IntentOut(intent.agent, round(intent.confidence, 4)) for intent in intents)


def _source(outcomes: Sequence[AgentOutcome]) -> str:
    """Who wrote it; where a vendor and `local` both did, the vendor, as the text is then not `local`'s alone."""
    sources = [outcome.source for outcome in outcomes]
    return next((source for source in sources if source != "local"), "local")

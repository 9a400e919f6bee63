"""The router: stages in order, the first confident one decides, and each that was tried is kept with its scores."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from time import perf_counter
from uuid import UUID

import msgspec
import structlog
from cachetools import LRUCache

from frontdesk.agents.models import Agent, Definitions
from frontdesk.core.caches import forget
from frontdesk.core.expressions import BadExpression, Expression, compiled
from frontdesk.llm import slots
from frontdesk.llm.providers.local.smalltalk import small_talk
from frontdesk.llm.types import PendingCall
from frontdesk.supervisor import texts
from frontdesk.supervisor.asking import Verdict
from frontdesk.supervisor.clauses import clauses
from frontdesk.supervisor.models import Clarification, Decision, Intent, Likeness, RouteState, Stage, Trial
from frontdesk.supervisor.picking import picked

log = structlog.get_logger()

# Calibrated probabilities: what the classifier must reach to decide alone, for one agent and for each of several.
SURE, SURE_OF_EACH, IN_SCOPE = 0.60, 0.70, 0.50
# To leave a pending question for another agent's matter: the contact must clearly mean that one.
LEAVES = 0.80
# Two agents this close to one another, with no model to ask, are put to the contact.
CLOSE, LEAST = 0.20, 0.30
FOLLOW_UP_WORDS = 6
# A tenant's patterns look no further than this into a message.
SEARCHED = 2_000

_ELLIPTICAL = re.compile(
    r"^(?:and|or|what about|how about|why|when|how so|y|e|por qué|und|oder|warum|et|ou|pourquoi|dan|atau|kenapa|"
    r"yes|no|ok(?:ay)?|sí|ja|nein|oui|non|sim|não|ya|tidak)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")
_ONESELF = {
    "properties": {
        "name": {"type": "string", "format": "person-name"},
        "phone": {"type": "string", "format": "phone"},
    }
}


class Score(msgspec.Struct, frozen=True):
    """What the classifier says: calibrated probabilities by agent, best first, and that any of them is right."""

    probabilities: dict[str, float]
    in_scope: float
    nearest: tuple[Likeness, ...] = ()  # best first; only told, never decided by

    @property
    def best(self) -> tuple[str, float]:
        """Only of a score that has probabilities."""
        return next(iter(self.probabilities.items()))

    def is_sure(self, least: float) -> bool:
        return bool(self.probabilities) and self.best[1] >= least and self.in_scope >= IN_SCOPE


# Scores of texts, in order; None when the tenant has no classifier (too few agents have examples).
Classify = Callable[[Sequence[str]], Awaitable[list[Score] | None]]
# A model's verdict and whether the chain's first target gave it; None when no model is there or it was of no use.
Ask = Callable[[], Awaitable[tuple[Verdict, bool] | None]]


_PATTERNS = 10_000  # kept compiled, of all tenants


class Patterns:
    """Agents' regular expressions, compiled once per tenant and version."""

    def __init__(self) -> None:
        self._compiled: LRUCache[object, list[tuple[str, str, Expression]]] = LRUCache(
            _PATTERNS, lambda expressions: len(expressions) + 1
        )

    def forget(self, tenant_id: UUID) -> None:
        forget(self._compiled, tenant_id)

    def match(self, message: str, definitions: Definitions) -> tuple[str, str] | None:
        """(agent, pattern) of the first that matches, in time that grows with the message alone."""
        key = (definitions.tenant.id, definitions.tenant.version)
        if key not in self._compiled:
            self._compiled[key] = _expressions(definitions)
        text = message[:SEARCHED]
        found = ((agent, pattern) for agent, pattern, expression in self._compiled[key] if expression.search(text))
        return next(found, None)


class Route:
    """One message on its way through the stages."""

    def __init__(
        self,
        message: str,
        definitions: Definitions,
        state: RouteState,
        *,
        now: datetime,
        language: str,
        patterns: Patterns,
        classify: Classify,
        ask: Ask,
    ) -> None:
        self._message = message
        self._definitions = definitions
        self._state = state
        self._now = now
        self._language = language
        self._patterns = patterns
        self._classify = classify
        self._ask = ask
        self._parts = clauses(message)
        self._scored: tuple[Score, list[Score]] | None = None
        self._trials: list[Trial] = []
        self._began = perf_counter()

    async def decide(self) -> Decision:
        if len(self._definitions.agents) == 1:
            return self._decision(Stage.DEFAULT, "the tenant has one agent", [self._whole(next(iter(self._agents)))])
        if (picked_now := self._pick()) is not None:
            return picked_now
        for stage in (self._pending, self._courtesy, self._sticky, self._pattern, self._embedding, self._model):
            decision = await stage()
            if decision is not None:
                return decision
        whole, _ = await self._scores()
        return self._ask_back(whole) or self._default(whole)

    @property
    def _agents(self) -> dict[str, Agent]:
        return self._definitions.agents

    @property
    def _default_agent(self) -> str:
        named = self._definitions.tenant.settings.default_agent
        return named if named in self._agents else next(iter(self._agents))

    async def _scores(self) -> tuple[Score, list[Score]]:
        """Of the message, and of its parts if it has several.

        Where no stage looks at them, nothing is embedded: an answer to our question, courtesy, a pattern.
        """
        if self._scored is None:
            several = self._parts if len(self._parts) > 1 else []
            scores = await self._classify([self._message, *several]) or [Score({}, 0.0)]
            self._scored = scores[0], scores[1:]
        return self._scored

    # The stages.

    def _pick(self) -> Decision | None:
        """The answer to our own question which agent is meant."""
        asked = self._state.clarification
        if asked is None:
            return None
        names = [name for name in asked.options if name in self._agents]
        chosen = picked(self._message, names, [self._agents[name].title for name in names])
        if not chosen:
            self._try(Stage.PENDING, {}, "says something else than which agent is meant")
            return None
        intents = [Intent(names[place], 1.0, asked.query) for place in chosen]
        return self._decision(Stage.PENDING, "the contact said which is meant", intents)

    async def _pending(self) -> Decision | None:
        """A tool call waits for a value: does the message give it, or does the contact mean something else?"""
        waiting: dict[str, PendingCall] = {}
        for each in reversed(self._state.pending):
            if each.agent in self._agents:
                waiting.setdefault(each.agent, each)  # of one agent, the newest
        if not waiting:
            return None
        call = next(iter(waiting.values()))
        if slots.is_cancel(self._message):
            return self._decision(Stage.PENDING, f"gives up {call.tool}", [self._whole(call.agent)])
        # The question asked last comes first; an answer to an earlier one is understood too.
        for each in waiting.values():
            answering = [await self._answers(each, part) for part in self._parts]
            if any(answering):
                call = each
                break
        others = await self._others(call.agent, answering)
        if not others:
            reason = (
                f"answers {call.asked}" if any(answering) else f"no other agent is clearly meant than for {call.tool}"
            )
            return self._decision(Stage.PENDING, reason, [self._whole(call.agent)])
        if any(answering):
            own = " ".join(part for part, answers in zip(self._parts, answering, strict=True) if answers)
            intents = [Intent(call.agent, 1.0, own), *others]
            return self._decision(Stage.PENDING, f"answers {call.asked} and asks for more", intents)
        whole, _ = await self._scores()
        self._try(Stage.PENDING, whole.probabilities, f"another matter than {call.tool}, which goes on waiting")
        return None

    async def _others(self, agent: str, answering: list[bool]) -> list[Intent]:
        """Other agents' matters in the parts that don't answer what is pending."""
        if all(answers and not slots.is_question(part) for part, answers in zip(self._parts, answering, strict=True)):
            return []
        whole, parts = await self._scores()
        scores = parts or [whole] * len(self._parts)  # one part, or no classifier: then there is nothing to tell
        return [
            Intent(score.best[0], score.best[1], part)
            for part, score, answers in zip(self._parts, scores, answering, strict=True)
            if score.is_sure(LEAVES) and score.best[0] != agent and (not answers or slots.is_question(part))
        ]

    async def _answers(self, call: PendingCall, text: str) -> bool:
        tool = self._definitions.tools.get(call.tool)
        properties = tool.input_schema.get("properties", {}) if tool else {}
        if call.asked not in properties:
            return False
        return await asyncio.to_thread(
            slots.answers,
            properties[call.asked],
            text,
            now=self._now,
            language=self._language,
            options=call.options,
            name=call.asked,
        )

    async def _courtesy(self) -> Decision | None:
        """Hello, thanks and goodbye are nobody's matter in particular: no model is asked whose."""
        if small_talk(self._message, self._language) is None:
            return None
        return self._decision(Stage.DEFAULT, "nothing but courtesy", [self._whole(self._default_agent)])

    async def _sticky(self) -> Decision | None:
        """A short follow-up belongs to whoever answered last."""
        last = self._state.last_agent
        if last is None or last not in self._agents or len(_WORD.findall(self._message)) > FOLLOW_UP_WORDS:
            return None
        if not (_ELLIPTICAL.match(self._message.strip("¿¡ ")) or slots.refers_back(self._message)):
            return None
        whole, _ = await self._scores()
        if whole.is_sure(LEAVES) and whole.best[0] != last:
            self._try(Stage.STICKY, whole.probabilities, "short, but clearly another agent's")
            return None
        return self._decision(Stage.STICKY, "a short follow-up", [self._whole(last)])

    async def _pattern(self) -> Decision | None:
        found = self._patterns.match(self._message, self._definitions)
        if found is None:
            return None
        agent, pattern = found
        return self._decision(Stage.PATTERN, f"matches {pattern}", [self._whole(agent)])

    async def _embedding(self) -> Decision | None:
        whole, parts = await self._scores()
        if not whole.probabilities:
            self._try(Stage.EMBEDDING, {}, "no classifier: fewer than two agents have examples")
            return None
        several = self._several(parts)
        if len(several) > 1:
            return self._decision(Stage.EMBEDDING, f"{len(several)} different matters", several, whole, SURE_OF_EACH)
        if whole.is_sure(SURE):
            agent, probability = whole.best
            intents = [Intent(agent, probability, self._message)]
            return self._decision(Stage.EMBEDDING, f"like the examples of {agent}", intents, whole, SURE)
        if several:
            # "I'm stuck in traffic, where do I park?" The agent reads all of it: what else is said may matter to it.
            (intent,) = several
            intents = [msgspec.structs.replace(intent, query=self._message)]
            reason = f"a part is like the examples of {intent.agent}"
            return self._decision(Stage.EMBEDDING, reason, intents, whole, SURE_OF_EACH)
        in_scope = "" if whole.in_scope >= IN_SCOPE else f", in scope {whole.in_scope:.2f} < {IN_SCOPE}"
        reason = f"best {whole.best[1]:.2f}, sure from {SURE}{in_scope}"
        self._try(Stage.EMBEDDING, whole.probabilities, reason, whole, SURE)
        return None

    def _several(self, parts: list[Score]) -> list[Intent]:
        """One intent per agent, when the parts clearly belong to different ones; neighbours of one agent together.

        A part that is nobody's clearly ("Hi there", "my number is …") goes with the one before it, or else after it.
        """
        groups: list[tuple[str, float, list[str]]] = []
        loose: list[str] = []
        for part, score in zip(self._parts, parts, strict=False):
            if not score.is_sure(SURE_OF_EACH) or _tells_of_oneself(part, self._now, self._language):
                (groups[-1][2] if groups else loose).append(part)
                continue
            agent, probability = score.best
            at = next((place for place, group in enumerate(groups) if group[0] == agent), None)
            if at is None:
                groups.append((agent, probability, [*loose, part]))
                loose = []
            else:
                groups[at][2].append(part)
        return [Intent(agent, probability, " ".join(texts_)) for agent, probability, texts_ in groups]

    async def _model(self) -> Decision | None:
        answer = await self._ask()
        if answer is None:
            return None
        verdict, is_first = answer
        stage = Stage.LLM if is_first else Stage.FALLBACK_LLM
        if verdict.unclear and verdict.question:
            options = tuple(named.agent for named in verdict.intents) or tuple(self._agents)
            return self._clarify(stage, "the model finds it unclear", verdict.question, options)
        if not verdict.intents:
            self._try(stage, {}, "the model named no agent of the tenant")
            return None
        intents = [Intent(named.agent, named.confidence, named.query or self._message) for named in verdict.intents]
        if len(intents) == 1:
            intents = [msgspec.structs.replace(intents[0], query=self._message)]
        return self._decision(stage, "said by the model", intents)

    def _ask_back(self, whole: Score) -> Decision | None:
        ranked = list(whole.probabilities.items())
        if len(ranked) < 2 or whole.in_scope < IN_SCOPE or self._state.clarification is not None:
            return None  # never two questions in a row about who is meant
        (first, best), (second, next_best) = ranked[:2]
        if best - next_best > CLOSE or next_best < LEAST:
            return None
        titles = [self._agents[first].title, self._agents[second].title]
        reason = f"{first} and {second} are close: {best:.2f}, {next_best:.2f}"
        return self._clarify(Stage.EMBEDDING, reason, texts.which(titles, self._language), (first, second))

    def _default(self, whole: Score) -> Decision:
        agent = self._default_agent
        confidence = whole.probabilities.get(agent, 0.0)
        self._try(Stage.DEFAULT, whole.probabilities, "no stage was sure")
        intents = (Intent(agent, confidence, self._message),)
        trials = tuple(self._trials)
        return Decision(Stage.DEFAULT, "no stage was sure", intents, trials, language=self._language)

    # What they share.

    def _whole(self, agent: str) -> Intent:
        return Intent(agent, 1.0, self._message)

    def _try(
        self,
        stage: Stage,
        scores: dict[str, float],
        reason: str,
        whole: Score | None = None,
        least: float | None = None,
    ) -> None:
        now = perf_counter()
        took_ms = round((now - self._began) * 1000, 3)
        self._began = now
        if whole is None:
            self._trials.append(Trial(stage, dict(scores), reason, took_ms))
        else:
            in_scope = round(whole.in_scope, 4)
            self._trials.append(Trial(stage, dict(scores), reason, took_ms, least, in_scope, whole.nearest))

    def _decision(
        self,
        stage: Stage,
        reason: str,
        intents: Sequence[Intent],
        whole: Score | None = None,
        least: float | None = None,
    ) -> Decision:
        """`whole` and `least`: what the classifier said, and what it had to reach."""
        scores = whole.probabilities if whole else {intent.agent: intent.confidence for intent in intents}
        self._try(stage, scores, reason, whole, least)
        return Decision(stage, reason, tuple(intents), tuple(self._trials), language=self._language)

    def _clarify(self, stage: Stage, reason: str, question: str, options: tuple[str, ...]) -> Decision:
        self._try(stage, {}, reason)
        return Decision(
            stage=stage,
            reason=reason,
            trials=tuple(self._trials),
            clarify=question,
            options=tuple(self._agents[name].title for name in options),
            clarification=Clarification(self._message, options),
            language=self._language,
        )


def _expressions(definitions: Definitions) -> list[tuple[str, str, Expression]]:
    """(agent, pattern, expression), in order."""
    expressions = []
    for agent in definitions.agents.values():
        for pattern in agent.patterns:
            try:
                expressions.append((agent.name, pattern, compiled(pattern)))
            except BadExpression:  # applied before such patterns were refused
                log.warning("pattern.refused", tenant=definitions.tenant.slug, agent=agent.name)
    return expressions


def _tells_of_oneself(text: str, now: datetime, language: str) -> bool:
    """A name or telephone number given: it serves a wish, and is none."""
    if not any(map(str.isalpha, text)):
        return True
    return not slots.is_question(text) and bool(slots.extract(_ONESELF, text, now=now, language=language))

"""What people said of decisions, as new examples for the agents: proposed, and measured before and after.

A contact's words are nobody's instructions: what becomes an example is masked, bounded and compared first, and a human
reads it as a diff before it is applied.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import numpy as np

from frontdesk.agents.models import Definitions
from frontdesk.apply.personal import masked, tells_who
from frontdesk.apply.plan import OnProgress, Progress
from frontdesk.conversations.feedback import Decisions, Judged, Verdict
from frontdesk.embedding.types import Embedder, Vectors
from frontdesk.supervisor.classifier import Classifier
from frontdesk.supervisor.explaining import decision_of
from frontdesk.supervisor.fit import Example, fit
from frontdesk.supervisor.models import Alarm, Decision, Stage
from frontdesk.supervisor.replaying import Replay
from frontdesk.supervisor.supervisor import examples_of

# Two texts of which one adds nothing to the other, by the cosine of their embeddings.
SAME = 0.95
# A confirmed message teaches nothing when the classifier was as sure as this.
SURE_ALREADY = 0.90
FOLDS = 5
MOST_JUDGED, MOST_PROPOSED, MOST_CHARACTERS = 2_000, 500, 500
MOST_DOUBTFUL = 10
_ORDER = 20_261_121  # of the folds: the same each time


class Because(StrEnum):
    CORRECTED = "corrected"  # somebody named the agent whose matter it was
    CONFIRMED = "confirmed"  # somebody said that the agent was right


@dataclass(frozen=True, slots=True)
class Proposal:
    """An example to be added. `was`: who answered then."""

    text: str
    agent: str
    because: Because
    was: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A judged message that becomes no example, and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Share:
    """How many of `count` went to the right agent, without the additions and with them."""

    count: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Doubtful:
    """An example that looks like another agent's to a classifier that has not seen it."""

    text: str
    agent: str
    taken_for: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A recent message that would be routed otherwise. `was`: stored with it, by `stage`; the others are replayed."""

    text: str
    stage: str
    was: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lesson:
    """Everything that `frontdesk train` has to show."""

    judged: int
    proposals: tuple[Proposal, ...]
    left_out: tuple[LeftOut, ...]
    examples: Share  # the agents' examples, each by a classifier that has not seen it
    messages: Share  # the same of judged messages whose agent is known
    doubtful: tuple[Doubtful, ...]
    replayed: int
    moved: tuple[Moved, ...]


class Trainer:
    """Learns from a tenant's verdicts. Reads the database, writes nothing."""

    def __init__(
        self,
        decisions: Decisions,
        embedder: Embedder,
        language: Callable[[str, Sequence[str]], str],
        now: datetime,
        on_progress: OnProgress,
    ) -> None:
        self._decisions = decisions
        self._embedder = embedder
        self._language = language
        self._now = now
        self._on_progress = on_progress

    async def learn(self, definitions: Definitions, recent: int) -> Lesson:
        """`definitions`: as the files say; `recent`: how many of the last messages are routed again."""
        tenant_id, languages = definitions.tenant.id, definitions.tenant.settings.languages
        judged = await self._decisions.judged(tenant_id, MOST_JUDGED)
        proposals, unfit, known = proposals_of(judged, set(definitions.agents))
        left_out = [each if self._tells(each.text, languages) is None else replace(each, text="…") for each in unfit]
        fit_to_show: list[Proposal] = []
        for each in proposals:
            if (who := self._tells(each.text, languages)) is None:
                fit_to_show.append(each)
            else:
                left_out.append(LeftOut("…", f"tells {who}: write an example like it by hand"))
        examples = list(dict.fromkeys(examples_of(definitions)))
        vectors = await self._embedded([text for text, _ in examples], "existing examples")
        own = await self._embedded([each.text for each in fit_to_show], "judged messages")
        proposals, same = distinct(fit_to_show, own, examples, vectors)
        left_out += same
        shares = await self._measured(examples, vectors, proposals, known)
        replayed, moved = await self._moved(definitions, examples, vectors, proposals, recent)
        return Lesson(len(judged), tuple(proposals), tuple(left_out), *shares, replayed, moved)

    async def _measured(
        self, examples: list[Example], vectors: Vectors, proposals: list[Proposal], known: list[Example]
    ) -> tuple[Share, Share, tuple[Doubtful, ...]]:
        """By cross-validation: each text by classifiers that have seen neither it nor, `before`, any proposal."""
        added: list[Example] = [(each.text, each.agent) for each in proposals]
        own = await self._embedded([text for text, _ in added], "proposals")
        known = [each for each in known if each not in set(added)]
        others = await self._embedded([text for text, _ in known], "judged messages")
        texts = [*examples, *added, *known]
        everything = np.concatenate([vectors, own, others])
        folds = _folds(len(texts))
        learnt, proposed = len(examples), len(examples) + len(added)
        right: dict[str, np.ndarray] = {"before": np.zeros(len(texts), bool), "after": np.zeros(len(texts), bool)}
        taken_for: dict[int, str] = {}
        rounds = [(fold, when) for fold in range(FOLDS) for when in ("before", "after") if added or when == "before"]
        for number, (fold, when) in enumerate(rounds):
            self._on_progress(Progress("measured", number, len(rounds), f"{when}, part {fold + 1} of {FOLDS}"))
            seen = np.flatnonzero(folds != fold)
            seen = seen[seen < (learnt if when == "before" else proposed)]
            asked = np.flatnonzero(folds == fold)
            best = await _best(texts, everything, seen, asked, self._embedder)
            for place, label in zip(asked, best, strict=True):
                right[when][place] = label == texts[place][1]
                if when == "before" and place < learnt and label != texts[place][1]:
                    taken_for[int(place)] = label
        self._on_progress(Progress("measured", len(rounds), len(rounds), ""))
        if not added:
            right["after"] = right["before"]
        doubtful = tuple(Doubtful(*examples[place], label) for place, label in sorted(taken_for.items()))
        return (
            _share(right, slice(0, learnt)),
            _share(right, slice(learnt, None)),
            doubtful[:MOST_DOUBTFUL],
        )

    async def _moved(
        self,
        definitions: Definitions,
        examples: list[Example],
        vectors: Vectors,
        proposals: list[Proposal],
        recent: int,
    ) -> tuple[int, tuple[Moved, ...]]:
        """(how many were replayed, those that would be routed otherwise)"""
        added: list[Example] = [(each.text, each.agent) for each in proposals]
        if not added:
            return 0, ()
        own = await self._embedded([text for text, _ in added], "proposals")
        self._on_progress(Progress("fitted", 0, 2, "with the examples as they are"))
        before = await _fitted(examples, vectors, self._embedder)
        self._on_progress(Progress("fitted", 1, 2, "with the additions"))
        after = await _fitted([*examples, *added], np.concatenate([vectors, own]), self._embedder)
        self._on_progress(Progress("fitted", 2, 2, ""))
        turns = [turn for turn in await self._decisions.recent(definitions.tenant.id, recent) if _is_routed(turn)]
        replay = Replay(definitions, self._embedder, self._language, self._now)
        moved = []
        for number, turn in enumerate(turns):
            self._on_progress(Progress("replayed", number, len(turns), ""))
            first, second = [_agents(await replay.decided(turn.text, each)) for each in (before, after)]
            if first != second:
                who = self._tells(turn.text, definitions.tenant.settings.languages)
                text = masked(turn.text) if who is None else f"… (tells {who})"
                moved.append(Moved(text, turn.stage or "", turn.agents, first, second))
        self._on_progress(Progress("replayed", len(turns), len(turns), ""))
        return len(turns), tuple(moved)

    def _tells(self, text: str, languages: Sequence[str]) -> str | None:
        return tells_who(text, self._now, self._language(text, languages))

    async def _embedded(self, texts: Sequence[str], what: str) -> Vectors:
        self._on_progress(Progress("embedded", 0, len(texts), what))
        vectors = await self._embedder.embed(texts) if texts else np.zeros((0, 384), np.float32)
        self._on_progress(Progress("embedded", len(texts), len(texts), what))
        return vectors


def proposals_of(judged: Sequence[Judged], agents: set[str]) -> tuple[list[Proposal], list[LeftOut], list[Example]]:
    """(what may become examples, what may not, every judged text whose agent is known): masked, corrections first."""
    proposals: list[Proposal] = []
    left_out: list[LeftOut] = []
    known: list[Example] = []
    for turn in judged:
        text = masked(turn.text)
        decision = decision_of(turn.decision)
        meant = _meant(turn, decision, agents)
        if isinstance(meant, str):
            left_out.append(LeftOut(text, meant))
            continue
        for part, agent, because in meant:
            shown = masked(part)
            known.append((shown, agent))
            if (reason := _unfit(shown, because, turn, decision)) is not None:
                left_out.append(LeftOut(shown, reason))
            else:
                proposals.append(Proposal(shown, agent, because, turn.agents))
    proposals.sort(key=lambda each: each.because is Because.CONFIRMED)
    return proposals, left_out, list(dict.fromkeys(known))


def distinct(
    proposals: Sequence[Proposal], own: Vectors, examples: Sequence[Example], vectors: Vectors
) -> tuple[list[Proposal], list[LeftOut]]:
    """Without those that say what an example, or a proposal before them, says already.

    `own` are the proposals' embeddings, `vectors` the examples'.
    """
    known = np.concatenate([vectors, np.zeros_like(own)])
    labels = [agent for _, agent in examples]
    kept: list[Proposal] = []
    left_out: list[LeftOut] = []
    for each, vector in zip(proposals, own, strict=True):
        cosines = known[: len(labels)] @ vector
        nearest = int(cosines.argmax()) if len(cosines) else -1
        if nearest >= 0 and cosines[nearest] >= SAME:
            is_own = labels[nearest] == each.agent
            reason = "an example says it already" if is_own else f"an example of {labels[nearest]} says the same"
            left_out.append(LeftOut(each.text, reason))
        elif len(kept) == MOST_PROPOSED:
            left_out.append(LeftOut(each.text, f"more than {MOST_PROPOSED} at once: apply these first"))
        else:
            known[len(labels)] = vector
            labels.append(each.agent)
            kept.append(each)
    return kept, left_out


def _meant(turn: Judged, decision: Decision | Alarm | None, agents: set[str]) -> list[tuple[str, str, Because]] | str:
    """(text, agent, why) of each matter in a message, or the reason why it is not known."""
    if decision is None:
        return "its decision can't be read any more"
    if isinstance(decision, Alarm):
        return "the guard decided: by its phrases, not by examples"
    verdicts = {each.verdict for each in turn.judgements}
    named = {each.agent for each in turn.judgements if each.agent is not None}
    if len(verdicts) > 1 or len(named) > 1:
        return "people disagree about it"
    if verdicts == {Verdict.WRONG}:
        if not named:
            return "nobody said whose matter it was"
        [agent] = named
        if agent not in agents:
            return f"there is no agent {agent} any more"
        if turn.agents == (agent,):
            return f"{agent} is named, and {agent} answered"
        return [(turn.text, agent, Because.CORRECTED)]
    if decision.clarify is not None:
        return "it was asked back, and nobody said what was meant"
    if any(intent.agent not in agents for intent in decision.intents):
        return "an agent that answered is no more"
    parts = [(intent.query, intent.agent) for intent in decision.intents]
    if len(parts) == 1:
        parts = [(turn.text, parts[0][1])]
    return [(text, agent, Because.CONFIRMED) for text, agent in parts]


def _unfit(text: str, because: Because, turn: Judged, decision: Decision | Alarm | None) -> str | None:
    """Why a text whose agent is known makes no example; None when it may."""
    if len(text.split()) < 2:
        return "one word says too little by itself"
    if len(text) > MOST_CHARACTERS:
        return f"it is longer than {MOST_CHARACTERS} characters"
    if turn.stage in (Stage.PENDING, Stage.STICKY) and because is Because.CONFIRMED:
        return "it means something only after what was said before"
    if because is Because.CORRECTED or not isinstance(decision, Decision):
        return None
    if turn.stage == Stage.PATTERN:
        return "a pattern answers it already"
    if turn.stage == Stage.DEFAULT and all(trial.stage is not Stage.EMBEDDING for trial in decision.trials):
        return "it is nothing but courtesy"
    if turn.stage == Stage.EMBEDDING and min(intent.confidence for intent in decision.intents) >= SURE_ALREADY:
        return "the classifier was sure already"
    return None


def _is_routed(turn: Judged) -> bool:
    """Whether what decided it was said in this message alone."""
    return isinstance(decision_of(turn.decision), Decision) and turn.stage not in (Stage.PENDING, Stage.STICKY)


def _agents(decision: Decision) -> tuple[str, ...]:
    return ("asks back",) if decision.clarify is not None else tuple(intent.agent for intent in decision.intents)


async def _fitted(examples: Sequence[Example], vectors: Vectors, embedder: Embedder) -> Classifier | None:
    """None where there are no agents to be told apart."""
    if len({agent for _, agent in examples}) < 2:
        return None
    return Classifier.load(await fit(examples, vectors, embedder))


async def _best(
    texts: Sequence[Example], vectors: Vectors, seen: np.ndarray, asked: np.ndarray, embedder: Embedder
) -> list[str]:
    """The likeliest agent of each of `asked`, by a classifier of `seen`; empty where it can tell none."""
    classifier = await _fitted([texts[place] for place in seen], vectors[seen], embedder)
    if classifier is None or not len(asked):
        return [""] * len(asked)
    scored = classifier.score([texts[place][0] for place in asked], vectors[asked])
    return [next(iter(each.probabilities), "") for each in scored]


def _folds(count: int) -> np.ndarray:
    places = list(range(count))
    random.Random(_ORDER).shuffle(places)
    folds = np.zeros(count, np.int64)
    folds[places] = np.arange(count) % FOLDS
    return folds


def _share(right: dict[str, np.ndarray], part: slice) -> Share:
    before, after = right["before"][part], right["after"][part]
    return Share(len(before), int(before.sum()), int(after.sum()))

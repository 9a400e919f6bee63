"""A stored decision as people read it: every stage in order, what it looked at, and what came of it."""

from enum import StrEnum
from typing import Any  # the stored decision is JSON

import msgspec

from frontdesk.supervisor.models import Alarm, Decision, Likeness, Stage, Trial


class Outcome(StrEnum):
    DECIDED = "decided"
    UNDECIDED = "undecided"  # it had something to say, and was not sure, or something spoke against it
    PASSED = "passed"  # it looked and found nothing
    NOT_REACHED = "not_reached"


class StageSeen(msgspec.Struct, frozen=True):
    """One stage of one decision. `scores` are probabilities by agent, best first, and of the first stage by the kind of
    danger; `least` is what decides alone."""

    stage: Stage
    outcome: Outcome
    looked_at: str
    reason: str = ""
    scores: dict[str, float] = {}
    least: float | None = None
    in_scope: float | None = None
    nearest: tuple[Likeness, ...] = ()
    duration_ms: float | None = None


# In the order in which they are asked. FALLBACK_LLM is the same question, answered by another target of the chain.
_LOOKED_AT = {
    Stage.EMERGENCY: "the words, by local rules in every language they may be in",
    Stage.HUMAN: "the words: is a person explicitly asked for?",
    Stage.PENDING: "the question that was open: is this its answer?",
    Stage.STICKY: "whether it is a short follow-up to the agent that answered last",
    Stage.PATTERN: "the agents' regular expressions",
    Stage.EMBEDDING: "likeness to the agents' examples, by meaning and spelling",
    Stage.LLM: "the tenant's quick model, asked which agents are meant",
    Stage.FALLBACK_LLM: "another model of the chain, as the first one did not answer",
    Stage.DEFAULT: "who answers when nobody is sure",
}
_FOUND_NOTHING = {
    Stage.EMERGENCY: "no emergency",
    Stage.HUMAN: "no person was asked for",
    Stage.PENDING: "no question was open",
    Stage.STICKY: "no short follow-up",
    Stage.PATTERN: "none matches",
    Stage.EMBEDDING: "nothing to compare with",
    Stage.LLM: "no model is configured, or none said anything of use",
}


def decision_of(stored: Any) -> Decision | Alarm | None:
    """From its JSON; None for a turn without one, and for one that can't be read."""
    if not isinstance(stored, dict):
        return None
    try:
        return msgspec.convert(stored, Alarm) if "kind" in stored else msgspec.convert(stored, Decision)
    except msgspec.ValidationError:
        return None


def stages_of(decision: Decision | Alarm | None) -> tuple[StageSeen, ...]:
    """Every stage in order; empty where no decision was made."""
    if decision is None:
        return ()
    if isinstance(decision, Alarm):
        return tuple(_of_alarm(stage, decision) for stage in _shown(decision.stage))
    order = _shown(decision.stage)
    decided_at = order.index(decision.stage)
    tried = {trial.stage for trial in decision.trials}
    # The default is also what answers mere courtesy, and the only agent of a tenant: then nothing else was asked.
    is_last_resort = decision.stage is not Stage.DEFAULT or Stage.EMBEDDING in tried
    # What came near an emergency decided nothing, also where nothing else was tried.
    decider = next((trial for trial in decision.trials[-1:] if trial.stage is not Stage.EMERGENCY), None)
    seen: list[StageSeen] = []
    for place, stage in enumerate(order):
        trials = [trial for trial in decision.trials if trial.stage is stage]
        if trials:
            seen += [_of_trial(trial, is_decider=trial is decider) for trial in trials]
        elif stage in (Stage.EMERGENCY, Stage.HUMAN) or (is_last_resort and place < decided_at):
            seen.append(_passed(stage))
        elif stage is Stage.LLM and decision.clarify is not None:
            seen.append(_passed(stage))  # before the contact, the model is asked
        else:
            seen.append(StageSeen(stage, Outcome.NOT_REACHED, _LOOKED_AT[stage]))
    return tuple(seen)


def _shown(decided: Stage) -> list[Stage]:
    return [stage for stage in _LOOKED_AT if stage is not Stage.FALLBACK_LLM or stage is decided]


def _passed(stage: Stage) -> StageSeen:
    return StageSeen(stage, Outcome.PASSED, _LOOKED_AT[stage], _FOUND_NOTHING.get(stage, ""))


def _of_alarm(stage: Stage, alarm: Alarm) -> StageSeen:
    if stage is alarm.stage:
        return StageSeen(stage, Outcome.DECIDED, _LOOKED_AT[stage], f"{alarm.reason} (read as `{alarm.language}`)")
    if stage is Stage.EMERGENCY:
        return _passed(stage)
    return StageSeen(stage, Outcome.NOT_REACHED, _LOOKED_AT[stage])


def _of_trial(trial: Trial, *, is_decider: bool) -> StageSeen:
    return StageSeen(
        stage=trial.stage,
        outcome=Outcome.DECIDED if is_decider else Outcome.UNDECIDED,
        looked_at=_LOOKED_AT[trial.stage],
        reason=trial.reason,
        scores=dict(sorted(trial.scores.items(), key=lambda item: -item[1])),
        least=trial.least,
        in_scope=trial.in_scope,
        nearest=trial.nearest,
        duration_ms=trial.duration_ms,
    )

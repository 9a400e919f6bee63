"""A stored decision as stages: what was tried, what passed, what was never reached."""

import msgspec
import pytest

from frontdesk.supervisor.explaining import Outcome, StageSeen, decision_of, stages_of
from frontdesk.supervisor.models import Alarm, Clarification, Decision, Intent, Stage, Trial


def outcomes(decision: Decision | Alarm) -> dict[Stage, list[Outcome]]:
    found: dict[Stage, list[Outcome]] = {}
    for seen in stages_of(decision_of(msgspec.to_builtins(decision))):
        found.setdefault(seen.stage, []).append(seen.outcome)
    return found


def decision(stage: Stage, *tried: Stage, clarify: str | None = None) -> Decision:
    trials = tuple(Trial(each, {}, "why", 0.1) for each in (*tried, stage))
    clarification = Clarification("?", ("a", "b")) if clarify else None
    return Decision(stage, "why", (Intent("a", 0.9, "?"),), trials, clarify=clarify, clarification=clarification)


def test_the_last_resort_was_reached_through_every_stage() -> None:
    found = outcomes(decision(Stage.DEFAULT, Stage.EMBEDDING))
    assert found[Stage.EMBEDDING] == [Outcome.UNDECIDED]
    assert found[Stage.LLM] == found[Stage.STICKY] == [Outcome.PASSED]
    assert found[Stage.DEFAULT] == [Outcome.DECIDED]


def test_a_question_back_comes_after_the_model() -> None:
    found = outcomes(decision(Stage.EMBEDDING, Stage.EMBEDDING, clarify="Which?"))
    assert found[Stage.EMBEDDING] == [Outcome.UNDECIDED, Outcome.DECIDED]
    assert found[Stage.LLM] == [Outcome.PASSED]
    assert found[Stage.DEFAULT] == [Outcome.NOT_REACHED]


def test_another_target_of_the_chain_is_shown_only_where_it_answered() -> None:
    assert Stage.FALLBACK_LLM not in outcomes(decision(Stage.LLM, Stage.EMBEDDING))
    found = outcomes(decision(Stage.FALLBACK_LLM, Stage.EMBEDDING))
    assert (found[Stage.LLM], found[Stage.FALLBACK_LLM]) == ([Outcome.PASSED], [Outcome.DECIDED])


def test_what_came_near_an_emergency_decided_nothing() -> None:
    near = Trial(Stage.EMERGENCY, {"cardiac": 0.3}, "cardiac: chest pain, but past", 0.1, least=0.6)
    for trials in ((near,), (near, Trial(Stage.DEFAULT, {}, "why", 0.1))):
        found = stages_of(Decision(Stage.DEFAULT, "why", (), trials))
        assert found[0] == StageSeen(
            Stage.EMERGENCY, Outcome.UNDECIDED, found[0].looked_at, near.reason, {"cardiac": 0.3}, 0.6, duration_ms=0.1
        )
        assert [seen.stage for seen in found if seen.outcome is Outcome.DECIDED] == [Stage.DEFAULT][: len(trials) - 1]


def test_a_wish_for_a_person_was_no_emergency() -> None:
    found = outcomes(Alarm(Stage.HUMAN, "human", "en", "asks for a person"))
    assert found.pop(Stage.EMERGENCY) == [Outcome.PASSED]
    assert found.pop(Stage.HUMAN) == [Outcome.DECIDED]
    assert set(map(tuple, found.values())) == {(Outcome.NOT_REACHED,)}


@pytest.mark.parametrize(
    "stored", [None, [], {}, {"kind": "x"}, {"stage": "unheard of", "reason": ""}, {"damaged": "X"}]
)
def test_what_is_no_decision_has_no_stages(stored: object) -> None:
    assert stages_of(decision_of(stored)) == ()

"""What people said of decisions, as proposals: which may be examples, which may not, and why."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from frontdesk.apply.personal import masked, tells_who
from frontdesk.apply.training import Because, proposals_of
from frontdesk.conversations.feedback import Judged, Judgement, Verdict
from frontdesk.supervisor.models import Alarm, Clarification, Decision, Intent, Stage, Trial

NOW = datetime(2026, 11, 21, tzinfo=UTC)
AGENTS = {"billing", "info"}


def right(author: str = "ann") -> Judgement:
    return Judgement(author, Verdict.RIGHT, None, NOW)


def wrong(agent: str | None = None, author: str = "ann") -> Judgement:
    return Judgement(author, Verdict.WRONG, agent, NOW)


def turn(
    text: str, *judgements: Judgement, stage: Stage = Stage.LLM, intents: tuple[Intent, ...] = (), **more: Any
) -> Judged:
    intents = intents or (Intent("info", 0.5, text),)
    decision = Decision(stage, "why", intents, (Trial(Stage.EMBEDDING, {}, "", 1), Trial(stage, {}, "", 1)), **more)
    agents = tuple(intent.agent for intent in intents)
    return Judged(UUID(int=1), text, stage, agents, msgspec.to_builtins(decision), judgements)


def test_a_correction_and_a_confirmation_are_examples_of_the_agent_that_is_right() -> None:
    judged = [turn("is the car park free", right()), turn("what is a cancelled visit", wrong("billing"))]
    proposals, left_out, known = proposals_of(judged, AGENTS)
    assert [(each.text, each.agent, each.because, each.was) for each in proposals] == [
        ("what is a cancelled visit", "billing", Because.CORRECTED, ("info",)),  # corrections come first
        ("is the car park free", "info", Because.CONFIRMED, ("info",)),
    ]
    assert left_out == [] and len(known) == 2


def test_each_matter_of_a_confirmed_message_is_an_example_of_its_own() -> None:
    intents = (Intent("info", 0.8, "where do I park"), Intent("billing", 0.7, "what does it cost"))
    proposals, _, _ = proposals_of([turn("where do I park, what does it cost", right(), intents=intents)], AGENTS)
    assert {(each.text, each.agent) for each in proposals} == {
        ("where do I park", "info"),
        ("what does it cost", "billing"),
    }


@pytest.mark.parametrize(
    ("judged", "reason"),
    [
        (turn("where do I park", right(), wrong("billing", "bob")), "people disagree"),
        (turn("where do I park", wrong("billing"), wrong("info", "bob")), "people disagree"),
        (turn("where do I park", wrong()), "nobody said whose"),
        (turn("where do I park", wrong("sales")), "no agent sales any more"),
        (turn("where do I park", wrong("info")), "info answered"),
        (turn("and tomorrow then", right(), stage=Stage.STICKY), "after what was said before"),
        (turn("at ten please", right(), stage=Stage.PENDING), "after what was said before"),
        (turn("book an appointment", right(), stage=Stage.PATTERN), "a pattern answers"),
        (turn("parking", wrong("billing")), "one word"),
        (turn("park " * 200, wrong("billing")), "longer than"),
        (
            turn("where to park", right(), stage=Stage.EMBEDDING, intents=(Intent("info", 0.97, "where to park"),)),
            "sure already",
        ),
        (
            turn("where do I park", right(), clarify="Which?", clarification=Clarification("?", ("info", "billing"))),
            "asked back",
        ),
        (Judged(UUID(int=1), "help", "emergency", (), msgspec.to_builtins(Alarm(Stage.EMERGENCY, "fire", "en", "")),
                (wrong("info"),)), "the guard decided"),
        (Judged(UUID(int=1), "help me", "llm", (), {"damaged": "X"}, (wrong("info"),)), "can't be read"),
    ],
)  # fmt: skip
def test_what_becomes_no_example_is_told_with_the_reason(judged: Judged, reason: str) -> None:
    proposals, [left_out], _ = proposals_of([judged], AGENTS)
    assert proposals == []
    assert reason in left_out.reason


def test_a_correction_counts_also_where_the_message_was_taken_for_a_follow_up() -> None:
    proposals, _, _ = proposals_of([turn("and what does it cost", wrong("billing"), stage=Stage.STICKY)], AGENTS)
    assert [each.agent for each in proposals] == ["billing"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Write to ann.lee+x@mail.example.com please", "Write to name@example.org please"),
        ("see https://evil.example/path?q=1 now", "see https://example.org now"),
        ("I lost invoice LC-204518", "I lost invoice LC-000000"),
        ("born 12.03.1984 in Cork", "born 00.00.0000 in Cork"),
        ("Can I come at 10:30 on 24 May?", "Can I come at 10:30 on 24 May?"),
        ("Do you have discounts? Call me at +353 1 234 5678.", "Do you have discounts?"),
        ("one\n  two\x1b[2J\u202ethree\x00", "one two [2J three"),
        ("where is\uffff it now", "where is it now"),  # YAML takes no noncharacters: one would refuse the whole file
        ("می\u200cخواهم وقت بگیرم", "می\u200cخواهم وقت بگیرم"),
    ],
)
def test_values_are_masked_and_marks_taken_out(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    ("text", "language", "who"),
    [
        ("my name is Joe Miller and I want a card", "en", "somebody's name"),
        ("ich heiße Peter Müller und brauche einen Termin", "de", "somebody's name"),
        ("pick me up at 12 Baker Street", "en", "an address"),
        ("ich wohne Hauptstraße 12", "de", "an address"),
        ("where can I park", "en", None),
        ("I'm with HealthNet, do I have to pay?", "en", None),
    ],
)
def test_what_tells_who_somebody_is_is_found(text: str, language: str, who: str | None) -> None:
    assert tells_who(text, NOW, language) == who

"""The router's stages: which of them decides, on what, and what it hands to the agents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest

from frontdesk.agents.models import Agent, Definitions, Tenant, TenantSettings
from frontdesk.llm.types import PendingCall
from frontdesk.supervisor.asking import Named, Verdict
from frontdesk.supervisor.models import Clarification, Decision, RouteState, Stage
from frontdesk.supervisor.router import SEARCHED, Patterns, Route, Score
from frontdesk.tools.types import ToolDefinition, ToolKind

NOW = datetime(2026, 11, 18, 10, 0, tzinfo=ZoneInfo("Europe/Berlin"))  # a Wednesday
BOOKING = ToolDefinition(
    "book",
    ToolKind.PYTHON,
    "Books.",
    {
        "type": "object",
        "properties": {
            "date": {"type": "string", "format": "date"},
            "time": {"type": "string", "format": "time"},
            "name": {"type": "string", "format": "person-name"},
        },
    },
)
REFUND = ToolDefinition(
    "refund",
    ToolKind.PYTHON,
    "Refunds.",
    {"type": "object", "properties": {"invoice": {"type": "string", "pattern": "^LC-[0-9]{6}$"}}},
)
DEFINITIONS = Definitions(
    tenant=Tenant(UUID(int=1), "acme", "Acme", 1, TenantSettings(languages=("en", "es"), default_agent="info")),
    agents={
        "info": Agent("info", "General information", "Answers questions."),
        "booking": Agent("booking", "Appointments", "Books.", patterns=(r"(?i)^book me\b",)),
        "billing": Agent("billing", "Billing", "Bills."),
    },
    tools={"book": BOOKING, "refund": REFUND},
    prompts={},
    aliases={},
)
DATE_ASKED = PendingCall("booking", "book", {}, "date", "Which day?")
TIME_OFFERED = PendingCall("booking", "book", {}, "time", "09:00 or 14:30?", ("09:00", "14:30"))
INVOICE_ASKED = PendingCall("billing", "refund", {}, "invoice", "Which invoice?")

UNSURE = Score({"info": 0.4, "booking": 0.32, "billing": 0.28}, 0.4)


def sure(agent: str, probability: float = 0.9) -> Score:
    rest = (1 - probability) / 2
    others = {name: rest for name in DEFINITIONS.agents if name != agent}
    return Score({agent: probability, **others}, 0.9)


async def route(
    message: str,
    scores: Mapping[str, Score] | None = None,
    state: RouteState = RouteState(),
    verdict: tuple[Verdict, bool] | None = None,
    definitions: Definitions = DEFINITIONS,
    has_classifier: bool = True,
    scored: list[str] | None = None,
) -> Decision:
    """`scores`: what the classifier says of each text; it is unsure of all others. `scored` gets what it was asked."""

    async def classify(texts: Sequence[str]) -> list[Score] | None:
        if scored is not None:
            scored.extend(texts)
        if not has_classifier:
            return None
        return [(scores or {}).get(text, UNSURE) for text in texts]

    async def ask() -> tuple[Verdict, bool] | None:
        return verdict

    return await Route(
        message, definitions, state, now=NOW, language="en", patterns=Patterns(), classify=classify, ask=ask
    ).decide()


def chosen(decision: Decision) -> list[tuple[str, str]]:
    return [(intent.agent, intent.query) for intent in decision.intents]


async def test_a_sure_classifier_decides_alone() -> None:
    decision = await route("Where can I park?", {"Where can I park?": sure("info")})
    assert (decision.stage, chosen(decision)) == (Stage.EMBEDDING, [("info", "Where can I park?")])
    assert decision.trials[-1].scores["info"] == pytest.approx(0.9)


async def test_different_matters_go_to_different_agents_each_with_its_part() -> None:
    message = "I would like to book a visit and what does it cost without insurance"
    parts = {"I would like to book a visit": sure("booking"), "what does it cost without insurance": sure("billing")}
    decision = await route(message, {message: sure("booking"), **parts})
    assert chosen(decision) == [("booking", "I would like to book a visit"),
                                ("billing", "what does it cost without insurance")]  # fmt: skip


async def test_the_sure_part_of_an_unsure_message_decides_and_the_agent_reads_all_of_it() -> None:
    message = "This traffic is killing me, where do I park?"
    decision = await route(message, {"where do I park?": sure("info")})
    assert (decision.stage, chosen(decision)) == (Stage.EMBEDDING, [("info", message)])


async def test_a_name_or_number_given_is_no_matter_of_its_own() -> None:
    message = "My number is 020 555 0188, I would like to book a visit"
    decision = await route(
        message,
        {"My number is 020 555 0188": sure("info"), "I would like to book a visit": sure("booking"), message: UNSURE},
    )
    assert chosen(decision) == [("booking", message)]


async def test_figures_alone_are_no_matter_either() -> None:
    message = "I would like to book a visit, 020 555 0188"
    decision = await route(message, {message: sure("booking"), "020 555 0188": sure("info")})
    assert chosen(decision) == [("booking", message)]


async def test_a_pattern_is_not_looked_for_beyond_what_is_searched() -> None:
    agents = {**DEFINITIONS.agents, "booking": Agent("booking", "Appointments", "Books.", patterns=("book me",))}
    definitions = msgspec.structs.replace(DEFINITIONS, agents=agents)
    near, far = "x" * (SEARCHED - 7) + "book me", "x" * (SEARCHED - 6) + "book me"
    assert (await route(near, definitions=definitions)).stage is Stage.PATTERN
    assert (await route(far, definitions=definitions)).stage is not Stage.PATTERN


async def test_a_pattern_that_backtracks_for_ever_elsewhere_is_searched_at_once() -> None:
    agents = {**DEFINITIONS.agents, "booking": Agent("booking", "Appointments", "Books.", patterns=("(x+x+)+y",))}
    definitions = msgspec.structs.replace(DEFINITIONS, agents=agents)
    assert (await route("x" * SEARCHED, definitions=definitions)).stage is not Stage.PATTERN
    assert (await route("x" * (SEARCHED - 1) + "y", definitions=definitions)).stage is Stage.PATTERN


async def test_a_pattern_that_was_applied_before_it_was_refused_is_left_out() -> None:
    agents = {**DEFINITIONS.agents, "booking": Agent("booking", "", "", patterns=("(?=b)book", "me in"))}
    definitions = msgspec.structs.replace(DEFINITIONS, agents=agents)
    assert (await route("book me in", definitions=definitions)).reason == "matches me in"


async def test_a_pattern_goes_before_the_classifier() -> None:
    decision = await route("Book me in", {"Book me in": sure("info")})
    assert (decision.stage, chosen(decision)) == (Stage.PATTERN, [("booking", "Book me in")])


@pytest.mark.parametrize("message", ["hello", "Thanks a lot!", "gracias"])
async def test_courtesy_goes_to_the_default_agent_and_asks_no_model(message: str) -> None:
    verdict = (Verdict((Named("billing"),)), True)
    decision = await route(message, {message: sure("booking", 0.5)}, verdict=verdict)
    assert (decision.stage, chosen(decision)) == (Stage.DEFAULT, [("info", message)])


# What is pending


@pytest.mark.parametrize(
    ("call", "message"),
    [(DATE_ASKED, "next Friday"), (DATE_ASKED, "hm"), (TIME_OFFERED, "the second one"), (TIME_OFFERED, "14:30")],
)
async def test_an_answer_goes_to_whoever_asked(call: PendingCall, message: str) -> None:
    decision = await route(message, {message: sure("info", 0.7)}, RouteState((call,)))
    assert (decision.stage, chosen(decision)) == (Stage.PENDING, [("booking", message)])


async def test_an_answer_to_an_earlier_question_is_understood_too() -> None:
    state = RouteState((INVOICE_ASKED, TIME_OFFERED))
    assert chosen(await route("LC-204518", {}, state)) == [("billing", "LC-204518")]
    assert chosen(await route("09:00", {}, state)) == [("booking", "09:00")]
    assert chosen(await route("hm", {}, state)) == [("booking", "hm")]


async def test_another_matter_leaves_what_is_pending() -> None:
    question = "What are your visiting hours?"
    decision = await route(question, {question: sure("info")}, RouteState((DATE_ASKED,)))
    assert (decision.stage, chosen(decision)) == (Stage.EMBEDDING, [("info", question)])
    assert decision.trials[0].stage is Stage.PENDING


async def test_an_answer_with_a_question_beside_it_goes_to_both() -> None:
    message = "Friday would be good, what does a visit cost?"
    decision = await route(message, {"what does a visit cost?": sure("billing")}, RouteState((DATE_ASKED,)))
    assert chosen(decision) == [("booking", "Friday would be good"), ("billing", "what does a visit cost?")]


@pytest.mark.parametrize("message", ["See you Friday and what does it cost without insurance", "Friday", "No idea yet"])
async def test_without_a_classifier_whoever_asked_gets_the_message(message: str) -> None:
    decision = await route(message, state=RouteState(pending=(DATE_ASKED,)), has_classifier=False)
    assert (decision.stage, chosen(decision)) == (Stage.PENDING, [("booking", message)])


async def test_giving_up_goes_to_whoever_asked() -> None:
    decision = await route("never mind", {"never mind": sure("info")}, RouteState((DATE_ASKED,)))
    assert chosen(decision) == [("booking", "never mind")]


async def test_a_call_of_an_agent_that_is_gone_waits_for_nobody() -> None:
    gone = PendingCall("gone", "book", {}, "date", "Which day?")
    assert (await route("next Friday", {}, RouteState((gone,)))).stage is Stage.DEFAULT


@pytest.mark.parametrize(
    ("message", "pending", "stage"),
    [
        ("thank you!", (), Stage.DEFAULT),
        ("book me in", (), Stage.PATTERN),
        ("next Friday", (DATE_ASKED,), Stage.PENDING),
        ("forget it", (DATE_ASKED,), Stage.PENDING),
    ],
)
async def test_where_no_score_is_looked_at_none_is_made(
    message: str, pending: tuple[PendingCall, ...], stage: Stage
) -> None:
    scored: list[str] = []
    decision = await route(message, state=RouteState(pending=pending), scored=scored)
    assert (decision.stage, scored) == (stage, [])


@pytest.mark.parametrize("message", ["What about Friday?", "I would like a refund please"])
async def test_what_may_be_another_matter_is_scored_once(message: str) -> None:
    scored: list[str] = []
    await route(message, state=RouteState(pending=(DATE_ASKED,)), scored=scored)
    assert scored == [message]


async def test_a_short_follow_up_belongs_to_whoever_answered_last() -> None:
    decision = await route("and on Sundays?", {}, RouteState(last_agent="billing"))
    assert (decision.stage, chosen(decision)) == (Stage.STICKY, [("billing", "and on Sundays?")])
    clear = await route("and on Sundays?", {"and on Sundays?": sure("info")}, RouteState(last_agent="billing"))
    assert chosen(clear) == [("info", "and on Sundays?")]


# What is unclear


async def test_two_close_agents_are_put_to_the_contact_and_the_pick_goes_on_with_the_message() -> None:
    close = Score({"billing": 0.45, "booking": 0.4, "info": 0.15}, 0.8)
    asked = await route("the fee for my visit", {"the fee for my visit": close})
    assert asked.clarify == "Just to be sure: is this about Billing or Appointments?"
    assert asked.clarification == Clarification("the fee for my visit", ("billing", "booking"))
    picked = await route("the second one", {}, RouteState(clarification=asked.clarification))
    assert (picked.stage, chosen(picked)) == (Stage.PENDING, [("booking", "the fee for my visit")])
    both = await route("both please", {}, RouteState(clarification=asked.clarification))
    assert [intent.agent for intent in both.intents] == ["billing", "booking"]


async def test_it_never_asks_twice_in_a_row() -> None:
    close = Score({"billing": 0.45, "booking": 0.4, "info": 0.15}, 0.8)
    state = RouteState(clarification=Clarification("the fee", ("billing", "booking")))
    decision = await route("I really could not say", {"I really could not say": close}, state)
    assert (decision.clarify, decision.stage) == (None, Stage.DEFAULT)


async def test_a_new_question_instead_of_a_pick_is_answered() -> None:
    state = RouteState(clarification=Clarification("the fee", ("billing", "booking")))
    question = "Where can I park my car today?"
    assert chosen(await route(question, {question: sure("info")}, state)) == [("info", question)]


@pytest.mark.parametrize(("is_first", "stage"), [(True, Stage.LLM), (False, Stage.FALLBACK_LLM)])
async def test_a_model_decides_what_the_classifier_can_not(is_first: bool, stage: Stage) -> None:
    verdict = Verdict((Named("billing", "a part", 0.8),))
    decision = await route("the thing from last week", {}, verdict=(verdict, is_first))
    assert (decision.stage, chosen(decision)) == (stage, [("billing", "the thing from last week")])


async def test_a_model_may_name_several_or_ask_back() -> None:
    several = Verdict((Named("billing", "the bill"), Named("booking", "the visit")))
    assert chosen(await route("x y z", {}, verdict=(several, True))) == [
        ("billing", "the bill"),
        ("booking", "the visit"),
    ]
    unclear = Verdict((Named("billing"),), unclear=True, question="The bill?")
    asked = await route("x y z", {}, verdict=(unclear, True))
    assert (asked.clarify, asked.options) == ("The bill?", ("Billing",))


@pytest.mark.parametrize("verdict", [None, (Verdict(), True)])
async def test_when_nobody_knows_the_default_agent_answers(verdict: tuple[Verdict, bool] | None) -> None:
    decision = await route("the thing from last week", {}, verdict=verdict)
    assert (decision.stage, chosen(decision)) == (Stage.DEFAULT, [("info", "the thing from last week")])
    assert decision.reason == "no stage was sure"


async def test_a_tenant_with_one_agent_needs_no_stage() -> None:
    alone = Definitions(DEFINITIONS.tenant, {"booking": DEFINITIONS.agents["booking"]}, {}, {}, {})
    assert chosen(await route("anything", {}, definitions=alone)) == [("booking", "anything")]

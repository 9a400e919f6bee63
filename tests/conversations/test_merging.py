"""Several agents' answers become one: order, citations, one question, and what is heard on the way."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.agents.models import AgentOutcome
from frontdesk.conversations.live import Happening, TurnLive
from frontdesk.conversations.merging import Voices, in_order, merge
from frontdesk.knowledge.models import Citation
from frontdesk.llm.types import Restart, TextDelta
from frontdesk.tools.types import Need


def cited(number: int) -> Citation:
    return Citation("a.md", "A", UUID(int=number), 0, 5, f"quote {number}")


def answering(agent: str, text: str = "So it is.") -> AgentOutcome:
    return AgentOutcome(agent, text, "local")


def asking(agent: str, question: str, before: str = "") -> AgentOutcome:
    return AgentOutcome(agent, f"{before}{question}", "local", needs=(Need("value", question),))


def heard(live: TurnLive) -> str:
    text = ""
    for happening in live.happenings:
        text = "" if isinstance(happening, Restart) else text + (
            happening.text if isinstance(happening, TextDelta) else ""
        )  # fmt: skip
    return text


def test_each_passage_is_cited_once_and_markers_follow() -> None:
    merged = merge([("One [1]. Two [2].", [cited(1), cited(2)]), ("Two again [1], three [2].", [cited(2), cited(3)])])
    assert merged.text == "One [1]. Two [2].\n\nTwo again [2], three [3]."
    assert merged.citations == (cited(1), cited(2), cited(3))


def test_answers_come_before_the_question() -> None:
    outcomes = [asking("booking", "Which day?"), answering("info"), answering("billing")]
    assert [outcome.agent for outcome in in_order(outcomes)] == ["info", "billing", "booking"]


def test_of_two_questions_the_one_named_first_is_asked_and_the_other_kept_for_later() -> None:
    outcomes = [asking("booking", "Which day?"), asking("billing", "Which invoice?", "I can send it.\n\n")]
    ordered = in_order(outcomes)
    assert [(outcome.agent, outcome.text) for outcome in ordered] == [
        ("billing", "I can send it."), ("booking", "Which day?"),
    ]  # fmt: skip
    assert merge([(outcome.text, ()) for outcome in ordered]).text == "I can send it.\n\nWhich day?"


outcomes_of_any_kind = st.lists(
    st.builds(answering, st.sampled_from("abc"), st.text(min_size=1, max_size=5))
    | st.builds(asking, st.sampled_from("def"), st.text(min_size=1, max_size=5).map(lambda text: text + "?")),
    min_size=1,
    max_size=4,
)


@given(outcomes_of_any_kind)
def test_nobody_is_lost_and_whoever_asks_is_last(outcomes: list[AgentOutcome]) -> None:
    ordered = in_order(outcomes)
    assert sorted(outcome.agent for outcome in ordered) == sorted(outcome.agent for outcome in outcomes)
    assert [outcome for outcome in ordered if not outcome.needs] == [each for each in outcomes if not each.needs]
    if first := next((outcome for outcome in outcomes if outcome.needs), None):
        assert ordered[-1] == first


happenings = st.lists(
    st.tuples(st.integers(0, 2), st.text(max_size=4).map(TextDelta) | st.just(Restart())), max_size=12
)


@given(happenings, st.text(min_size=1, max_size=12))
def test_whatever_was_heard_on_the_way_the_whole_is_heard_in_the_end(
    said: list[tuple[int, Happening]], text: str
) -> None:
    live = TurnLive(1)
    voices = Voices(live)
    for place, happening in said:
        voices.speaks(place, happening)
    voices.say_rest(text)
    assert heard(live) == text


def test_what_was_heard_is_not_said_again_when_the_answer_goes_on_from_it() -> None:
    live = TurnLive(1)
    voices = Voices(live)
    voices.speaks(0, TextDelta("From two"))
    voices.speaks(1, TextDelta("Which day?"))
    voices.say_rest("From two to four.\n\nWhich day?")
    assert live.happenings == [TextDelta("From two"), TextDelta(" to four.\n\nWhich day?")]

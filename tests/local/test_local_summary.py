"""Incremental extractive summaries."""

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.llm.providers.local import summarise
from frontdesk.llm.types import Message, Role


def said(*texts: str) -> list[Message]:
    """The contact begins; then they take turns."""
    return [Message(Role.USER if at % 2 == 0 else Role.ASSISTANT, text) for at, text in enumerate(texts)]


TALK = said(
    "Hi! My name is Anna Schmidt.",
    "Hello! What can I do for you?",
    "I need an appointment on Friday 27 November. I am allergic to penicillin.",
    "You are booked for 14:30 with Dr. Ruiz. [1] Anything else?",
    "Thanks!",
)


def test_facts_stay_and_small_talk_goes() -> None:
    assert summarise("", TALK).splitlines() == [
        "- Contact: My name is Anna Schmidt.",
        "- Contact: I need an appointment on Friday 27 November.",
        "- Contact: I am allergic to penicillin.",
        "- Desk: You are booked for 14:30 with Dr. Ruiz.",
    ]


def test_an_old_summary_is_carried_on() -> None:
    first = summarise("", TALK)
    second = summarise(first, said("Please move it to 16:00."))
    assert second.splitlines() == [*first.splitlines(), "- Contact: Please move it to 16:00."]


def test_under_pressure_the_facts_stay_longest() -> None:
    chatter = said("It is really quite nice weather out there lately", "Indeed it is rather pleasant these weeks")
    kept = summarise(summarise("", TALK), chatter * 3, limit=180)
    assert "14:30" in kept
    assert "weather" not in kept


def test_nothing_new_changes_nothing() -> None:
    first = summarise("", TALK)
    assert summarise(first, []) == first
    assert summarise("", []) == ""


MESSAGES = st.lists(st.builds(Message, st.sampled_from(Role), st.text(max_size=300)), max_size=12)


@given(st.text(max_size=500), MESSAGES, st.integers(0, 600))
def test_a_summary_is_bounded_and_invents_no_word(old: str, messages: list[Message], limit: int) -> None:
    summary = summarise(old, messages, limit=limit)
    assert len(summary) <= limit
    source = " ".join([old, "- Contact: - Desk: ", *(message.text for message in messages)])
    assert all(word in source for word in summary.split())

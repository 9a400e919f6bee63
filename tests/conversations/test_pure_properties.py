"""Properties of the parts of a turn that need no database."""

import re

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.agents.models import AgentOutcome
from frontdesk.channels.http import parse_event_id
from frontdesk.conversations.live import TurnLive
from frontdesk.conversations.merging import Voices, merge
from frontdesk.conversations.pending import MOST_CALLS, Waiting
from frontdesk.conversations.service import Place
from frontdesk.core.errors import Invalid
from frontdesk.core.ids import new_id
from frontdesk.knowledge.models import Citation
from frontdesk.llm.types import PendingCall, Restart, TextDelta

DOCUMENT = new_id()


def citation(quote: str) -> Citation:
    return Citation("a.md", "A", DOCUMENT, 0, len(quote), quote)


quotes = st.lists(st.sampled_from("abcdef"), unique=True, max_size=5)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, list[Citation]]:
    """A text that says of each of its markers what it should point to: `a[1]`."""
    own = draw(quotes)
    cited = draw(st.lists(st.integers(0, len(own) - 1), max_size=6)) if own else []
    return " ".join(f"{own[place]}[{place + 1}]" for place in cited), [citation(quote) for quote in own]


@given(st.lists(answers(), max_size=4))
def test_every_marker_of_a_merged_answer_points_to_the_passage_it_pointed_to(
    parts: list[tuple[str, list[Citation]]],
) -> None:
    merged = merge(parts)
    pointed = [(quote, merged.citations[int(number) - 1].quote) for quote, number in _markers(merged.text)]
    assert all(quote == said for quote, said in pointed)
    assert [quote for quote, _ in pointed] == [quote for text, _ in parts for quote, _ in _markers(text)]


@given(st.lists(answers(), max_size=4))
def test_a_merged_answer_names_each_passage_once(parts: list[tuple[str, list[Citation]]]) -> None:
    merged = merge(parts)
    assert len(set(merged.citations)) == len(merged.citations)
    assert set(merged.citations) == {each for _, own in parts for each in own}


def _markers(text: str) -> list[tuple[str, str]]:
    return re.findall(r"([a-f])\[(\d+)\]", text)


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.one_of(st.text(max_size=5).map(TextDelta), st.just(Restart()))), max_size=20
    ),
    st.text(max_size=20),
)
def test_whatever_the_voices_say_a_listener_ends_with_the_merged_text(
    happenings: list[tuple[int, TextDelta | Restart]], text: str
) -> None:
    live = TurnLive(1)
    voices = Voices(live)
    for place, happening in happenings:
        voices.speaks(place, happening)
    voices.say_rest(text)
    heard = ""
    for happening in live.happenings:
        heard = "" if isinstance(happening, Restart) else heard + getattr(happening, "text", "")
    assert heard == text


calls = st.builds(
    lambda agent, tool, asked: PendingCall(agent=agent, tool=tool, arguments={}, asked=asked, question=f"{asked}?"),
    st.sampled_from("xyz"), st.sampled_from("abc"), st.sampled_from(["day", "time"]),
)  # fmt: skip


@st.composite
def outcomes(draw: st.DrawFn) -> AgentOutcome:
    agent = draw(st.sampled_from("xyz"))
    finished = tuple(draw(st.lists(st.sampled_from("abc"), unique=True)))
    pending = draw(st.none() | calls.filter(lambda call: call.agent == agent))
    return AgentOutcome(agent, "", "local", pending=pending, finished=finished)


@given(st.lists(calls, max_size=8), st.lists(outcomes(), max_size=4, unique_by=lambda outcome: outcome.agent))
def test_what_waits_after_a_turn(before: list[PendingCall], ran: list[AgentOutcome]) -> None:
    after = Waiting(tuple(before)).after(ran).calls
    assert len(after) <= MOST_CALLS
    for outcome in ran:
        own = [call for call in after if call.agent == outcome.agent]
        if outcome.pending is not None:
            assert outcome.pending in after[-len(ran) :]  # the newest questions are the last
            assert [call for call in own if call.tool == outcome.pending.tool] == [outcome.pending]
        assert not [call for call in own if call.tool in outcome.finished and call != outcome.pending]
    others = {outcome.agent for outcome in ran}
    kept = [call for call in after if call.agent not in others]
    assert kept == [call for call in before if call.agent not in others][-len(kept) or len(before) :]


@given(st.lists(calls, max_size=5))
def test_what_waits_survives_being_stored(kept: list[PendingCall]) -> None:
    waiting = Waiting(tuple(kept))
    assert Waiting.decode(waiting.encode()) == waiting


@given(st.binary(max_size=40))
def test_what_another_version_stored_is_nothing(stored: bytes) -> None:
    assert isinstance(Waiting.decode(stored), Waiting)


numbers = st.integers(0, 999_999_999)


@given(numbers, numbers, st.none() | numbers)
def test_an_event_id_says_where_a_client_is(seq: int, attempt: int, number: int | None) -> None:
    place = parse_event_id(f"{seq}-{attempt}-{'end' if number is None else number}")
    assert place == Place(seq, attempt, number or 0, ended=number is None)


@given(st.text(max_size=30))
def test_any_other_event_id_is_refused_in_a_sentence(value: str) -> None:
    try:
        place = parse_event_id(value)
    except Invalid as error:
        assert [found.field for found in error.errors] == ["Last-Event-ID"]
    else:
        assert place is None or re.fullmatch(r"\d+-\d+-(\d+|end)", value)

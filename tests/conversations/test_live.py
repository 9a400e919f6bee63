"""A running turn as those see it who are connected: nothing lost, nothing twice, whenever they come and go."""

import asyncio
import json

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.agents.live import Status
from frontdesk.channels.http import parse_event_id, said_out
from frontdesk.conversations.live import Happening, TurnLive, happenings_of
from frontdesk.conversations.models import Failure
from frontdesk.conversations.service import Place, Said
from frontdesk.llm.types import Restart, TextDelta

PAST_ANY_TEST_S = 3600.0
happenings = st.lists(
    st.one_of(
        st.text(max_size=5).map(TextDelta), st.just(Restart()), st.just(Status("I look it up", "orders", "lookup"))
    ),
    max_size=20,
)


def events_of(said: Said) -> list[tuple[str, str, dict[str, str]]]:
    """(id, name, data) as a client reads them."""
    found = []
    for event in said_out(said).decode().split("\n\n")[:-1]:
        id_, name, data = (line.partition(": ")[2] for line in event.split("\n"))
        found.append((id_, name, json.loads(data)))
    return found


def read(events: list[tuple[str, str, dict[str, str]]], text: str) -> str:
    """What stands on the client's screen after them."""
    for _, name, data in events:
        text = "" if name == "restart" else text + (data["text"] if name == "delta" else "")
    return text


@given(happenings, st.lists(st.integers(0, 20)))
def test_however_happenings_are_joined_a_client_reads_the_same(said: list[Happening], cuts: list[int]) -> None:
    text, statuses, ids = "", 0, []
    start = 0
    for end in [*sorted(cut for cut in cuts if cut <= len(said)), len(said)]:
        events = events_of(Said(Place(4, 1, end), said[start:end]))
        text, start = read(events, text), end
        statuses += sum(name == "status" for _, name, _ in events)
        ids += [place.number for id_, _, _ in events if (place := parse_event_id(id_))]
    expected = ""
    for happening in said:
        expected = "" if isinstance(happening, Restart) else expected
        expected += happening.text if isinstance(happening, TextDelta) else ""
    assert text == expected
    assert statuses == sum(isinstance(happening, Status) for happening in said)
    assert ids == sorted(set(ids))
    assert not said or ids[-1] == len(said)


@given(happenings, st.data())
def test_a_client_that_was_cut_off_after_any_event_goes_on_where_it_was(
    said: list[Happening], data: st.DataObject
) -> None:
    events = events_of(Said(Place(4, 1, len(said)), said))
    seen = data.draw(st.integers(0, len(events)))
    place = parse_event_id(events[seen - 1][0]) if seen else Place(4, 1, 0)
    assert place is not None
    rest = events_of(Said(Place(4, 1, len(said)), said[place.number :]))
    assert read(rest, read(events[:seen], "")) == read(events, "")


async def test_what_happens_while_a_reader_is_busy_comes_together() -> None:
    live = TurnLive(1)
    reader = happenings_of(live, 0, PAST_ANY_TEST_S)
    live.say(TextDelta("a"))
    assert await anext(reader) == [TextDelta("a")]
    live.say(TextDelta("b"))
    live.say(TextDelta("c"))
    live.end(Failure("GONE", "", "", ()))
    assert await anext(reader) == [TextDelta("b"), TextDelta("c")]
    assert [rest async for rest in reader] == []


async def test_a_reader_that_waits_hears_it_when_something_happens_and_when_the_turn_is_over() -> None:
    live = TurnLive(1)
    heard: list[object] = []

    async def listen() -> None:
        async for said in happenings_of(live, 0, PAST_ANY_TEST_S):
            heard.extend(said)
            spoken.set()

    spoken = asyncio.Event()
    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    live.say(TextDelta("a"))
    await spoken.wait()
    live.end(None)
    await listening
    assert heard == [TextDelta("a")]


async def test_silence_is_filled_with_heartbeats_also_after_something_was_said() -> None:
    live = TurnLive(1)
    reader = happenings_of(live, 0, 0.005)
    assert [await anext(reader), await anext(reader)] == [(), ()]
    live.say(TextDelta("a"))
    heard = [await anext(reader) for _ in range(4)]
    assert [said for said in heard if said] == [[TextDelta("a")]]
    await reader.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_those_who_leave_are_forgotten() -> None:
    live = TurnLive(1)
    listening = [asyncio.create_task(anext(happenings_of(live, 0, PAST_ANY_TEST_S))) for _ in range(3)]
    await asyncio.sleep(0)
    assert live.listeners == 3
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    assert live.listeners == 0

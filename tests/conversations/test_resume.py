"""A client whose connection is cut anywhere, and comes back with the last place that it saw."""

from contextlib import aclosing

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conversations.room import Room
from tests.crash.desk import Desk
from tests.vendors.replies import Reply

from frontdesk.conversations.models import Answer, Incoming
from frontdesk.conversations.service import Place, Said
from frontdesk.core.ids import new_id
from frontdesk.llm.types import Restart, TextDelta

chunks = st.lists(st.text("ab é🙂\n", min_size=1, max_size=4), min_size=1, max_size=12).filter(
    lambda pieces: "".join(pieces).strip()
)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(chunks, st.lists(st.integers(1, 6), max_size=6), st.sampled_from([0.0, 0.002]))
async def test_wherever_it_is_cut_nothing_is_missed_and_nothing_comes_twice(
    desk: Desk, desk_room: Room, pieces: list[str], cuts: list[int], pause_s: float
) -> None:
    desk.vendor.clear()
    desk.vendor.responder = lambda _request: Reply("".join(pieces), stream_chunks=pieces, delay_s=pause_s)
    conversations, tenant = desk_room.services.conversations, desk_room.tenant
    accepted = await conversations.accept(tenant, Incoming("ann", "hello", new_id()), "test", hears=True)
    heard, place, answer = "", Place(accepted.seq, 1, 0), None
    left = [*cuts, None]  # after so many reads the connection is cut; the last one holds
    while answer is None:
        most, reads = left.pop(0), 0
        found = await conversations.place_in(tenant.id, accepted.conversation_id, place)
        assert found == (accepted.turn_id, place)
        stream = conversations.follow(tenant.id, accepted.conversation_id, accepted.turn_id, place)
        async with aclosing(stream) as happenings:
            async for happening in happenings:
                match happening:
                    case Said():
                        assert happening.place.number > place.number
                        place = happening.place
                        for said in happening.happenings:
                            if isinstance(said, Restart):  # the answer was not what was said: it begins anew
                                heard = ""
                            elif isinstance(said, TextDelta):
                                heard += said.text
                    case Answer():
                        answer = happening
                reads += 1
                if answer is None and most is not None and reads >= most:
                    break
    # Who was away when it ended gets the whole answer at once; what was heard until then is its beginning.
    assert answer.text == "".join(pieces).strip()
    assert answer.text.startswith(heard.strip())
    if not cuts:
        assert heard in ("", answer.text)  # it was over before it was followed, or heard to the end

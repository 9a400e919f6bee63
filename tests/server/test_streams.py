"""Streamed answers: order, resume after a cut, and what a client that comes late still gets."""

import uuid

from tests.served import Served


async def test_a_stream_is_accepted_then_deltas_then_the_whole_answer(served: Served) -> None:
    events = [event async for event in served.stream("What are your visiting hours?")]
    assert events[0].event == "accepted"
    assert set(events[0].data) >= {"message_id", "seq"}
    assert events[-1].event == "answer"
    text = "".join(event.data["text"] for event in events if event.event == "delta")
    assert text == events[-1].data["text"]
    assert len({event.id for event in events}) == len(events)


async def test_a_client_that_left_in_mid_answer_gets_all_of_it_by_its_last_event_id(served: Served) -> None:
    session_id = str(uuid.uuid4())
    async for event in served.stream("How do I prepare for a blood test?", session_id):
        if event.event == "accepted":
            break  # the laptop is closed
    status, events = await served.resume(session_id, event.id)
    assert status == 200
    assert events[-1].event == "answer"
    history = await served.history(session_id)
    assert history["messages"][-1]["content"] == events[-1].data["text"]


async def test_resuming_after_the_end_has_nothing_to_say(served: Served) -> None:
    session_id = str(uuid.uuid4())
    events = [event async for event in served.stream("hello", session_id)]
    assert await served.resume(session_id, events[-1].id) == (204, [])


async def test_without_an_event_id_the_last_message_is_followed(served: Served) -> None:
    session_id = str(uuid.uuid4())
    events = [event async for event in served.stream("hello", session_id)]
    status, again = await served.resume(session_id)
    assert (status, again[-1].data) == (200, events[-1].data)
    assert again[-1].id == events[-1].id


async def test_an_id_of_another_attempt_starts_the_answer_anew_or_gives_it_whole(served: Served) -> None:
    session_id = str(uuid.uuid4())
    events = [event async for event in served.stream("Where can I park?", session_id)]
    status, again = await served.resume(session_id, "1-9-3")
    assert status == 200
    assert again[-1].data == events[-1].data


async def test_a_made_up_event_id_is_refused(served: Served) -> None:
    session_id = (await served.chat("hello"))["session_id"]
    response = await served.client.get(
        f"/api/clinic/conversations/{session_id}/stream", headers={"last-event-id": "'; drop table"}
    )
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "Last-Event-ID"


async def test_the_stream_of_an_unknown_conversation_is_not_found(served: Served) -> None:
    response = await served.client.get(f"/api/clinic/conversations/{uuid.uuid4()}/stream")
    assert response.status_code == 404

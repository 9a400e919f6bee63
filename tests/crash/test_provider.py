"""A provider that is away, slow, or half there: each turn ends in bounded time, and is answered when it is back."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from tests.crash.desk import Desk
from tests.crash.line import MODES, Line
from tests.crash.talk import WITHIN_S, Held, messages, say
from tests.served import Served, serving
from tests.vendors.server import Vendor

GATEWAY = {
    "FRONTDESK_GATEWAY__DEADLINE_S": "4",
    "FRONTDESK_GATEWAY__FIRST_TOKEN_S": "1",
    "FRONTDESK_GATEWAY__BREAKER_FAILURES": "4",
    "FRONTDESK_GATEWAY__BREAKER_OPEN_S": "2",
}
WITH_FALLBACK = """\
aliases:
  smart: {chain: [{provider: openai, model: small}, {provider: local, model: local}]}
  fast: {chain: [{provider: openai, model: small}]}
"""


@pytest.fixture
async def line(vendor: Vendor) -> AsyncIterator[Line]:
    line = Line(vendor.openai_url)
    await line.start()
    yield line
    await line.stop()


def by_line(desk: Desk, line: Line) -> Desk:
    return replace(desk, settings=GATEWAY | {"FRONTDESK_OPENAI_BASE_URL": line.url})


async def test_every_way_of_a_provider_to_be_away_ends_the_turn_and_is_over_when_it_is_back(
    desk: Desk, line: Line
) -> None:
    desk = by_line(desk, line)
    session_id = str(uuid.uuid4())
    seq = 1
    async with serving(desk.data, desk.environment) as served:
        for mode in MODES:
            await line.become(mode)
            failed = await say(served, f"note {mode} " + "x" * 1900, session_id)
            assert (mode, failed.status_code) == (mode, 500), failed.text
            assert failed.json()["error_code"].startswith("PROVIDER_"), failed.text
            message = (await messages(served, session_id, {seq}))[-1]
            assert (message["role"], message["in_reply_to"]) == ("system", [seq])
            await line.become("through")
            answered = await answered_in_the_end(served, session_id)
            assert answered.json()["degraded"] is False
            seq = answered.json()["seq"] + 1
    assert {len(keys) for keys in desk.calls().values()} == {1}


async def answered_in_the_end(served: Served, session_id: str) -> httpx.Response:
    """The breaker lets the first call through when its time is over."""
    async with asyncio.timeout(WITHIN_S):
        while (answered := await say(served, f"note {uuid.uuid4()}", session_id)).status_code != 200:
            await asyncio.sleep(0.2)
    return answered


async def test_while_a_provider_is_away_for_long_it_is_hardly_asked_and_turns_end_at_once(
    desk: Desk, line: Line
) -> None:
    desk = by_line(desk, line)
    async with serving(desk.data, desk.environment | {"FRONTDESK_GATEWAY__BREAKER_OPEN_S": "600"}) as served:
        await line.become("silent")
        asked = line.calls
        for _ in range(20):
            failed = await say(served, "note one", str(uuid.uuid4()))
            assert failed.json()["error_code"].startswith("PROVIDER_")
        assert line.calls - asked < 10  # until the breaker opens
        health = (await served.nobody.get("/health/detailed")).json()
        assert [breaker["state"] for breaker in health["providers"]["detail"]["breakers"]] == ["open"]
        assert (await served.client.get("/health/ready")).status_code == 200


async def test_where_a_fallback_is_named_it_answers_and_says_so(desk: Desk, line: Line) -> None:
    desk = by_line(replace(desk, files={"llm.yaml": WITH_FALLBACK}), line)
    async with serving(desk.data, desk.environment) as served:
        await line.become("cut")
        answered = await say(served, "note one", str(uuid.uuid4()))
        assert (answered.status_code, answered.json()["degraded"]) == (200, True)


async def test_who_waited_too_long_is_told_that_the_answer_comes_later_and_it_does(desk: Desk, vendor: Vendor) -> None:
    # One turn at a time, each of which the provider holds up until its deadline: the last ones wait longer than that
    # and a lease, which is how long a plain request does.
    turns = {"DEADLINE_S": "1", "LEASE_S": "2", "CONCURRENT": "1"}
    desk = replace(desk, settings={f"FRONTDESK_TURNS__{name}": value for name, value in turns.items()})
    held = Held(vendor)
    sessions = [str(uuid.uuid4()) for _ in range(9)]
    async with serving(desk.data, desk.environment) as served:
        told = await asyncio.gather(*(say(served, "note one", session_id) for session_id in sessions))
        late = [session_id for session_id, response in zip(sessions, told, strict=True) if response.status_code == 504]
        assert {response.status_code for response in told} == {500, 504}
        error = next(response.json() for response in told if response.status_code == 504)
        assert error["error_code"] == "ANSWER_LATE"
        held.let_go()
        ends = [(await messages(served, session_id, {1}))[-1] for session_id in late]
        assert "assistant" in {end["role"] for end in ends}
        assert {tuple(end["in_reply_to"]) for end in ends} == {(1,)}

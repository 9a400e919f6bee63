"""What processes tell one another: what any implementation does, and that a loss is noticed and heals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
import pytest
from tests.redis_server import RedisServer
from tests.shared.waiting import until

from frontdesk.conversations.elsewhere import Echo, Told
from frontdesk.core.ids import new_id
from frontdesk.db.cipher import Cipher
from frontdesk.llm.types import TextDelta
from frontdesk.shared.fanout import Fanout, MemoryFanout, RedisFanout
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.redis import RedisLink

ONE, OTHER = new_id(), new_id()


class Ear:
    def __init__(self) -> None:
        self.heard: list[tuple[UUID, bytes]] = []
        self.lost = 0

    def hear(self, tenant_id: UUID, message: bytes) -> None:
        self.heard.append((tenant_id, message))

    def miss(self) -> None:
        self.lost += 1


@asynccontextmanager
async def hearing(fanout: Fanout, ear: Ear, topic: str) -> AsyncIterator[None]:
    """Listens for certain: a message has come through."""
    fanout.listen(topic, ear.hear)
    running = asyncio.create_task(fanout.run(ear.miss))

    async def has_heard() -> bool:
        return await fanout.publish(ONE, topic, b"first") and bool(ear.heard)

    try:
        await until(has_heard)
        ear.heard.clear()
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(params=["memory", "redis"])
def pair(request: pytest.FixtureRequest, metrics: SharedMetrics, cipher: Cipher) -> tuple[Fanout, Fanout]:
    """As of two processes; in memory there is but one."""
    if request.param == "memory":
        fanout = MemoryFanout()
        return fanout, fanout
    link = request.getfixturevalue("link")
    return RedisFanout(link, cipher, metrics), RedisFanout(link, cipher, metrics)


async def test_what_one_says_the_other_hears_in_order_and_whole(pair: tuple[Fanout, Fanout]) -> None:
    here, there = pair
    ear, messages = Ear(), [b"%d\x00\xff" % number for number in range(200)] + [bytes(500_000)]
    async with hearing(there, ear, "turns"):
        for message in messages:
            assert await here.publish(OTHER, "turns", message)

        async def all_heard() -> bool:
            return len([one for one in ear.heard if one[0] == OTHER]) == len(messages)

        await until(all_heard)
    assert [message for tenant, message in ear.heard if tenant == OTHER] == messages


async def test_topics_are_apart_and_silence_is_known(pair: tuple[Fanout, Fanout]) -> None:
    here, there = pair
    ear = Ear()
    async with hearing(there, ear, "turns"):
        await here.publish(ONE, "else", b"not for you")
        await here.publish(ONE, "turns", b"for you")

        async def has_come() -> bool:
            return (ONE, b"for you") in ear.heard

        await until(has_come)
    assert (ONE, b"not for you") not in ear.heard


async def test_other_keys_and_rubbish_are_not_heard(link: RedisLink, cipher: Cipher, metrics: SharedMetrics) -> None:
    fanout, ear = RedisFanout(link, cipher, metrics), Ear()
    async with hearing(fanout, ear, "turns"):
        await RedisFanout(link, Cipher([bytes(32)]), metrics).publish(ONE, "turns", b"forged")
        for rubbish in (b"", b"short", ONE.bytes, OTHER.bytes + cipher.seal(ONE, b"another tenant's")):
            await link.client.publish("frontdesk:turns", rubbish)
        await fanout.publish(ONE, "turns", b"true")

        async def has_come() -> bool:
            return (ONE, b"true") in ear.heard

        await until(has_come)
    assert {message for _, message in ear.heard} <= {b"first", b"true"}


async def test_what_another_version_says_is_dropped_by_itself(
    link: RedisLink, cipher: Cipher, metrics: SharedMetrics
) -> None:
    fanout, ear, echo = RedisFanout(link, cipher, metrics), Ear(), Echo()

    def hear(tenant_id: UUID, message: bytes) -> None:
        if message != b"first":
            echo.hear(msgspec.json.decode(message, type=Told))
        ear.hear(tenant_id, message)

    told = Told(UUID(int=1), 1, 0, ())
    fanout.listen("turns", hear)
    async with hearing(fanout, ear, "others"):
        for kind in ("unheard-of", "text"):
            strange = msgspec.structs.replace(told, happenings=((kind, {"strange": 1}),))
            await fanout.publish(ONE, "turns", msgspec.json.encode(strange))
        await fanout.publish(ONE, "turns", b"{}")
        understood = msgspec.json.encode(msgspec.structs.replace(told, happenings=(("text", {"text": "Yes."}),)))
        await fanout.publish(ONE, "turns", understood)

        async def has_come() -> bool:
            return (ONE, understood) in ear.heard

        await until(has_come)
    assert {message for _, message in ear.heard} <= {b"first", understood}
    assert ear.lost == 0  # the connection was kept
    assert echo.happenings == [TextDelta("Yes.")]


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_lost_redis_is_told_to_those_who_listen_and_heals(
    redis_server: RedisServer, link: RedisLink, cipher: Cipher, metrics: SharedMetrics, how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("frontdesk.shared.fanout.QUIET_S", 0.2)
    fanout, ear = RedisFanout(link, cipher, metrics), Ear()
    async with hearing(fanout, ear, "turns"):
        lost = ear.lost
        if how == "killed":
            await redis_server.kill()
        else:
            redis_server.freeze()

        async def is_told() -> bool:
            return ear.lost > lost

        await until(is_told)
        assert not await fanout.publish(ONE, "turns", b"to nobody")
        if how == "killed":
            await redis_server.start()
        else:
            redis_server.thaw()

        async def is_heard_again() -> bool:
            return await fanout.publish(ONE, "turns", b"again") and (ONE, b"again") in ear.heard

        await until(is_heard_again)

"""Two servers on one database and one Redis: what one writes is read at the other, as it is written."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.conftest import HANG_S
from tests.conversations.room import Room, room
from tests.crash.desk import Desk
from tests.redis_server import RedisServer
from tests.vendors.replies import Reply

from frontdesk.conversations.live import Outcome
from frontdesk.conversations.models import Accepted, Answer, Incoming
from frontdesk.conversations.service import Place, Said
from frontdesk.core.ids import new_id
from frontdesk.llm.types import TextDelta

WORDS = " ".join(str(number) for number in range(60))


@asynccontextmanager
async def two_rooms(desk: Desk, database_url: str, redis: RedisServer) -> AsyncIterator[tuple[Room, Room]]:
    async with (
        room(desk, database_url, FRONTDESK_REDIS_URL=redis.url) as here,
        room(desk, database_url, FRONTDESK_REDIS_URL=redis.url) as there,
    ):
        yield here, there


async def streamed(where: Room, text: str) -> Accepted:
    """A message whose sender wants the answer as it is written."""
    incoming = Incoming("ann", text, new_id())
    return await where.services.conversations.accept(where.tenant, incoming, "test", hears=True)


class Follower:
    """Reads a turn at one server, until its end."""

    def __init__(self, where: Room, accepted: Accepted) -> None:
        self.pieces: list[str] = []
        self.places: list[int] = []
        self.outcome: Outcome | None = None
        self.has_begun = asyncio.Event()
        self.task = asyncio.create_task(self._read(where, accepted))

    async def _read(self, where: Room, accepted: Accepted) -> None:
        place = Place(accepted.seq, 1, 0)
        ids = (where.tenant.id, accepted.conversation_id, accepted.turn_id)
        async for follow in where.services.conversations.follow(*ids, place):
            match follow:
                case Said():
                    self.places.append(follow.place.number)
                    self.pieces += [each.text for each in follow.happenings if isinstance(each, TextDelta)]
                    if self.pieces:
                        self.has_begun.set()
                case None:
                    pass
                case outcome:
                    self.outcome = outcome

    async def ended(self) -> None:
        async with asyncio.timeout(HANG_S):
            await self.task


async def test_a_turn_is_read_at_another_server_as_it_is_written(
    desk: Desk, database_url: str, redis_server: RedisServer
) -> None:
    desk.vendor.responder = lambda _request: Reply(WORDS, delay_s=0.05)
    async with two_rooms(desk, database_url, redis_server) as (here, there):
        accepted = await streamed(here, "Count, please.")
        first, second = Follower(there, accepted), Follower(there, accepted)
        async with asyncio.timeout(HANG_S):
            await first.has_begun.wait()
        assert here.services.live.get(accepted.turn_id) is not None  # it is still being written
        late = Follower(there, accepted)
        for follower in (first, second, late):
            await follower.ended()
            assert isinstance(follower.outcome, Answer)
            assert "".join(follower.pieces) == follower.outcome.text == WORDS
            assert follower.places == sorted(follower.places)
        assert len(first.pieces) > 10


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_without_redis_the_answer_comes_by_the_log_and_redis_heals_it(
    desk: Desk, database_url: str, redis_server: RedisServer, how: str
) -> None:
    desk.vendor.responder = lambda _request: Reply(WORDS, delay_s=0.1)
    async with two_rooms(desk, database_url, redis_server) as (here, there):
        accepted = await streamed(here, "Count, please.")
        follower = Follower(there, accepted)
        async with asyncio.timeout(HANG_S):
            await follower.has_begun.wait()
        if how == "killed":
            await redis_server.kill()
        else:
            redis_server.freeze()
        await follower.ended()
        assert isinstance(follower.outcome, Answer)
        assert WORDS.startswith("".join(follower.pieces))
        if how == "killed":
            await redis_server.start()
        else:
            redis_server.thaw()
        # The next ones are read as they are written again.
        async with asyncio.timeout(HANG_S):
            while True:
                accepted = await streamed(here, "Again, please.")
                follower = Follower(there, accepted)
                await follower.ended()
                assert isinstance(follower.outcome, Answer)
                if len(follower.pieces) > 10:
                    break
        assert "".join(follower.pieces) == WORDS


async def test_a_turn_that_goes_to_another_server_is_read_on(
    desk: Desk, database_url: str, redis_server: RedisServer
) -> None:
    """Asked for before it has begun: the server that takes it over has heard the question."""
    desk.vendor.responder = lambda _request: Reply(WORDS, delay_s=0.05)
    async with two_rooms(desk, database_url, redis_server) as (here, there):
        accepted = await here.left_by_a_dead_worker("Count, please.", new_id())
        followers = [Follower(where, accepted) for where in (here, there)]
        for follower in followers:
            await follower.ended()
            assert isinstance(follower.outcome, Answer)
            assert "".join(follower.pieces) == WORDS

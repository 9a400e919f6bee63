"""Turns at once over two servers that share a Redis, and what happens to the limit when one of them is killed."""

import asyncio

from tests.conftest import HANG_S
from tests.crash.bells import bells
from tests.crash.conftest import desk, place
from tests.crash.desk import Desk
from tests.quotas.test_served_limits import external, post, with_tenant
from tests.redis_server import RedisServer
from tests.served import Served, serving
from tests.vendors.replies import Reply

__all__ = ["bells", "desk", "place"]

LIMIT = 4


class Talk:
    """Messages that are answered for as long as the test wants."""

    def __init__(self) -> None:
        self._asked: list[asyncio.Task[int]] = []

    async def begin(self, served: Served, users: list[str]) -> list[int]:
        """The statuses of those that were refused, once the others run."""
        before = await running(served)
        asked = [asyncio.create_task(self._status(served, user)) for user in users]
        self._asked += asked
        async with asyncio.timeout(HANG_S):
            while sum(task.done() for task in asked) + await running(served) - before < len(asked):
                await asyncio.sleep(0.05)
        return [task.result() for task in asked if task.done()]

    async def _status(self, served: Served, user: str) -> int:
        return (await post(served, "note one", user=user)).status_code

    async def stop(self) -> None:
        for task in self._asked:
            task.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)


async def running(served: Served) -> int:
    return int((await served.nobody.get("/health/detailed")).json()["turns"]["detail"]["running"])


async def test_turns_at_once_count_over_servers_and_those_of_a_killed_one_no_longer(
    desk: Desk, database_url: str, redis_server: RedisServer
) -> None:
    desk = with_tenant(desk, f"limits: {{concurrent_turns: {LIMIT}}}\n")
    desk.vendor.responder = lambda _request: Reply("Noted.", stall_after=0)
    # Turns of the killed one stay its own for as long as the test lasts: only their count runs out.
    environment = desk.environment | external(
        database_url, FRONTDESK_REDIS_URL=redis_server.url, FRONTDESK_TURNS__LEASE_S="300",
        FRONTDESK_GATEWAY__DEADLINE_S="600", FRONTDESK_TURNS__DEADLINE_S="600", FRONTDESK_TURNS__STOP_S="1",
    )  # fmt: skip
    talk = Talk()
    async with serving(desk.data, environment) as here, serving(desk.place / "other", environment) as there:
        try:
            assert await talk.begin(here, ["a", "b", "c"]) == []
            assert await talk.begin(there, ["d", "e", "f"]) == [429, 429]
            assert await talk.begin(here, ["g"]) == [429]
            await here.kill()
            assert await talk.begin(there, ["h"]) == [429]
            async with asyncio.timeout(HANG_S):
                while await talk.begin(there, ["i"]) != []:
                    await asyncio.sleep(0.2)
            assert await talk.begin(there, ["j", "k", "l"]) == [429]
        finally:
            await talk.stop()

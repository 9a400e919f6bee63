"""Redis killed, frozen and started again under a server that answers: nobody is refused, and it heals by itself."""

import asyncio
from collections import Counter

from tests.conftest import HANG_S
from tests.crash.bells import bells
from tests.crash.conftest import desk, place
from tests.crash.desk import SLUG, Desk
from tests.quotas.test_served_limits import external
from tests.redis_server import RedisServer
from tests.served import Served, serving

__all__ = ["bells", "desk", "place"]

WRITERS = 4


class Load:
    """Contacts who write one message after the other, until they are told to stop."""

    def __init__(self, served: Served) -> None:
        self.statuses: Counter[int] = Counter()
        self._served = served
        self._is_over = False
        self._writers = [asyncio.create_task(self._write(f"user{number}")) for number in range(WRITERS)]

    async def _write(self, user: str) -> None:
        while not self._is_over:
            answer = await self._served.nobody.post(f"/api/{SLUG}/chat", json={"user_id": user, "message": "hello"})
            self.statuses[answer.status_code] += 1

    async def more(self, messages: int = 20) -> None:
        wanted = self.statuses.total() + messages
        async with asyncio.timeout(HANG_S):
            while self.statuses.total() < wanted:
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._is_over = True
        async with asyncio.timeout(HANG_S):
            await asyncio.gather(*self._writers)


async def shown(served: Served, status: str, up: float) -> None:
    """Health and metrics say so, and the server stays ready."""
    async with asyncio.timeout(HANG_S):
        while True:
            health = (await served.nobody.get("/health/detailed")).json()["redis"]["status"]
            metrics = (await served.nobody.get("/metrics")).text
            if health == status and f"frontdesk_redis_up {up}" in metrics:
                break
            await asyncio.sleep(0.05)
    assert (await served.nobody.get("/health/ready")).status_code == 200


async def test_answers_go_on_without_redis_and_it_is_used_again(
    desk: Desk, database_url: str, redis_server: RedisServer
) -> None:
    environment = desk.environment | external(database_url, FRONTDESK_REDIS_URL=redis_server.url)
    async with serving(desk.data, environment) as served:
        await shown(served, "ok", 1.0)
        load = Load(served)
        await load.more()
        for how in ("killed", "frozen"):
            if how == "killed":
                await redis_server.kill()
            else:
                redis_server.freeze()
            await load.more()
            await shown(served, "failed", 0.0)
            if how == "killed":
                await redis_server.start()
            else:
                redis_server.thaw()
            await shown(served, "ok", 1.0)
            await load.more()
        await load.stop()
        assert set(load.statuses) == {200}
        assert b"frontdesk:limit:" in await redis_server.everything()


async def test_the_start_does_not_need_redis(desk: Desk, database_url: str, redis_server: RedisServer) -> None:
    await redis_server.kill()
    environment = desk.environment | external(database_url, FRONTDESK_REDIS_URL=redis_server.url)
    async with serving(desk.data, environment) as served:
        assert any("Redis is not reachable" in line for line in served.said)
        answer = await served.nobody.post(f"/api/{SLUG}/chat", json={"user_id": "ann", "message": "hello"})
        assert answer.status_code == 200
        await redis_server.start()
        await shown(served, "ok", 1.0)

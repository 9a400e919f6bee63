"""The kill tests themselves: servers that are killed at random moments of a load, and the report."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from tests.crash.desk import Desk
from tests.crash.load import Load, cut_rings, settled, violations
from tests.crash.postgres import Postgres
from tests.served import Served, serving

CONVERSATIONS = 9
MOST_BETWEEN = 6  # acknowledged messages between a start and its kill


@dataclass
class Report:
    """`tries`: requests with a message. `repeated`: calls that came a second time to a tool which may repeat them,
    under their key. `unknown`: calls that were cut, and were not repeated, of the tool which may not."""

    kills: int
    acknowledged: int
    tries: int
    repeated: int
    unknown: int
    took_s: float
    violations: list[str]


class Pod:
    """A server that is there again after each kill. Its clients see it go and come."""

    def __init__(self, desk: Desk, data: Path) -> None:
        self._desk = desk
        self._data = data
        self.served: Served
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        self._stack = AsyncExitStack()
        self.served = await self._stack.enter_async_context(serving(self._data, self._desk.environment))

    async def kill(self) -> None:
        await self.served.kill()
        await self._stack.aclose()

    async def stop(self) -> int:
        code = await self.served.stop()
        await self._stack.aclose()
        return code


async def embedded_survives(desk: Desk, kills: int, seed: int) -> Report:
    """One server with its own PostgreSQL, killed and started again."""
    begun = monotonic()
    moments = random.Random(seed)
    pod = Pod(desk, desk.data)
    await pod.start()
    load = Load(lambda: pod.served, CONVERSATIONS)
    async with under(load):
        for number in range(kills):
            tell(load, number, kills)
            await load.more(moments.randint(1, MOST_BETWEEN))
            await pod.kill()
            await pod.start()
        await load.more(1)
    histories = await settled(pod.served, load)
    return await reported(desk, load, histories, [pod], kills, begun)


async def two_on_one_database_survive(desk: Desk, kills: int, seed: int) -> Report:
    """Two servers on one external PostgreSQL; the one that is not killed goes on with the other's turns."""
    begun = monotonic()
    moments = random.Random(seed)
    pods = [Pod(desk, desk.data / "a"), Pod(desk, desk.data / "b")]
    await pods[0].start()
    await pods[1].start()
    load = Load(lambda: moments.choice(pods).served, CONVERSATIONS)
    async with under(load):
        for number in range(kills):
            tell(load, number, kills)
            pod = pods[number % 2]
            await load.more(moments.randint(1, MOST_BETWEEN))
            await pod.kill()
            await load.more(1)  # the other one answers meanwhile
            await pod.start()
        await load.more(1)
    histories = await settled(pods[0].served, load)
    return await reported(desk, load, histories, pods, kills, begun)


async def database_gone(desk: Desk, postgres: Postgres, times: int, seed: int) -> Report:
    """One server; its external PostgreSQL is stopped, killed, and started again, in every way in turn."""
    begun = monotonic()
    moments = random.Random(seed)
    pod = Pod(desk, desk.data)
    await pod.start()
    load = Load(lambda: pod.served, CONVERSATIONS)
    async with under(load):
        for number in range(times):
            tell(load, number, times)
            await load.more(moments.randint(1, MOST_BETWEEN))
            await postgres.ways_to_go[number % len(postgres.ways_to_go)]()
            await asyncio.sleep(moments.random())
            await postgres.start()
        await load.more(1)
    histories = await settled(pod.served, load)
    return await reported(desk, load, histories, [pod], times, begun)


def tell(load: Load, number: int, kills: int) -> None:
    if number and number % 10 == 0:
        print(f"{number} of {kills}: {len(load.acknowledged)} acknowledged", flush=True)


async def reported(
    desk: Desk, load: Load, histories: dict[str, list[dict[str, Any]]], pods: list[Pod], kills: int, begun: float
) -> Report:
    """What is found when everything is over, and the servers are stopped."""
    found = violations(load, histories, desk)
    for pod in pods:
        if await pod.stop() != 0:
            found.append("the last stop was not clean")
    repeated = sum(sum(keys.values()) - len(keys) for keys in desk.bells.of("/posts").values())
    took_s = monotonic() - begun
    return Report(kills, len(load.acknowledged), load.tries, repeated, cut_rings(histories), took_s, found)


@asynccontextmanager
async def under(load: Load) -> AsyncIterator[None]:
    """The load runs while the context lasts; at its end every message that was begun is acknowledged."""
    async with asyncio.TaskGroup() as group:  # a client that breaks ends the test
        group.create_task(load.run())
        yield
        load.stopping.set()

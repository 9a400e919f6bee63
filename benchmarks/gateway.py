"""What the gateway adds to a call: beside a direct call to the same model, plain and streamed, in the same process.

The gateway is a part of the server, called as the agents call it: chain, deadline, breaker, allowance, ledger row,
prices, metrics. Where `FLOORS` has its `floor`, that bare proxy is measured in the same run: it is a hop by HTTP more.
"""

import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any  # results are JSON
from uuid import uuid4

import aiohttp
import orjson
import uvloop
from prometheus_client import CollectorRegistry
from tests.alone import alone

from benchmarks import servers
from benchmarks.load import percentile
from benchmarks.machine import machine
from benchmarks.postgres import postgres
from benchmarks.processes import NotStarted
from benchmarks.report import Steps, arguments, table, write
from frontdesk.core.clock import SystemClock
from frontdesk.llm.gateway import Call, Gateway, GatewayLimits
from frontdesk.llm.metrics import LLMMetrics
from frontdesk.llm.prices import Prices
from frontdesk.llm.providers.openai import OpenAIProvider
from frontdesk.llm.types import Alias, LLMRequest, Message, Restart, Role, Target, TextDelta

SYSTEM, USER = "You are a shop assistant. Answer briefly and politely.", "Where is my order A-1001?"
LENGTHS = (50, 200, 800, 3200)
Ask = Callable[[str], Awaitable[int]]  # the model's name in, the number of pieces out


class Direct:
    """What the shortest program would do: one request, the text out of the answer."""

    def __init__(self, http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
        self._http = http
        self._url = f"{url}/v1/chat/completions"
        self._headers = {"content-type": "application/json"} | headers

    async def plain(self, model: str) -> int:
        async with self._http.post(self._url, data=_body(model), headers=self._headers) as response:
            return len(orjson.loads(await response.read())["choices"][0]["message"]["content"].split())

    async def streamed(self, model: str) -> int:
        """Each event is read and decoded, and no more."""
        pieces = 0
        async with self._http.post(self._url, data=_body(model, stream=True), headers=self._headers) as response:
            async for line in response.content:
                if line.startswith(b"data: {"):
                    pieces += any(choice["delta"].get("content") for choice in orjson.loads(line[6:])["choices"])
        return pieces


class Ours:
    """As an agent's loop calls it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._tenant = uuid4()

    async def plain(self, model: str) -> int:
        response = await self._gateway.generate(self._call(model), _request())
        return len(response.text.split())

    async def streamed(self, model: str) -> int:
        heard: list[TextDelta | Restart] = []
        await self._gateway.generate(self._call(model), _request(), heard.append)
        return sum(len(delta.text.split()) for delta in heard if isinstance(delta, TextDelta))  # some come together

    def _call(self, model: str) -> Call:
        alias = Alias("smart", (Target("mock", model),))
        return Call(self._tenant, alias, "agent", requests_per_minute=10_000_000, tokens_per_minute=10**10, rows=[])


async def main() -> None:
    parser = arguments("gateway", __doc__ or "")
    parser.add_argument("--calls", type=int, default=3000, help="plain calls of each kind")
    parser.add_argument("--repeat", type=int, default=5, help="rounds; medians are reported")
    given, where = parser.parse_args(), machine()
    with tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as place:
        folder = Path(place)
        with servers.model(folder) as model, Steps() as progress:
            async with askers(model.url) as (direct, ours):
                plain = await plain_calls({"direct": direct.plain, "gateway": ours.plain}, given, progress)
                streamed = await streams({"direct": direct.streamed, "gateway": ours.streamed}, given, progress)
            floor = await beside_floor(folder, model.url, given, progress)
    results = {
        "calls": given.calls, "repeat": given.repeat, "plain": plain, "streamed": streamed, "floor": floor,
        "added_p50_ms": plain["gateway"]["p50_ms"] - plain["direct"]["p50_ms"],
        "added_us_per_token": {length: round(us(streamed, length), 2) for length in LENGTHS},
        "added_us_per_further_token": further_us(streamed),
    }  # fmt: skip
    write("gateway", given.out, where, results, "What the gateway adds to a call", report(results))


@asynccontextmanager
async def askers(url: str) -> AsyncIterator[tuple[Direct, Ours]]:
    async with aiohttp.ClientSession() as http:
        provider = OpenAIProvider(http, None, name="mock", base_url=f"{url}/v1")
        limits, prices = GatewayLimits(), Prices({}, free=[])
        gateway = Gateway(
            {"mock": provider}, SystemClock(), limits, prices, LLMMetrics(CollectorRegistry()), **alone(SystemClock())
        )
        yield Direct(http, url, {}), Ours(gateway)


async def plain_calls(asks: dict[str, Ask], given: Any, progress: Steps) -> dict[str, dict[str, float]]:
    """In turns, so that the machine's other load falls on all alike."""
    each = given.calls // given.repeat
    step = progress.add_task(f"plain calls: {', '.join(asks)}", total=given.repeat)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in asks}
    for ask in asks.values():
        await timed(ask, "mock", 50)
    for _ in range(given.repeat):
        for name, ask in asks.items():
            found[name].append(await timed(ask, "mock", each))
        progress.advance(step)
    return medians(found)


async def streams(asks: dict[str, Ask], given: Any, progress: Steps) -> dict[str, dict[str, dict[str, float]]]:
    """By the answer's length in tokens: a cost per token that grows with it would show here."""
    results = {}
    for length in LENGTHS:
        step = progress.add_task(f"streams of {length} tokens: {', '.join(asks)}", total=given.repeat)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in asks}
        for _ in range(given.repeat):
            for name, ask in asks.items():
                found[name].append(await timed(ask, f"mock-{length}", max(8, 20_000 // length // given.repeat), length))
            progress.advance(step)
        results[str(length)] = medians(found)
    return results


async def timed(ask: Ask, model: str, calls: int, expected: int = 50) -> dict[str, float]:
    """One after the other: latency by the wall, CPU of this process (the client's side) by its own clock."""
    latencies: list[float] = []
    cpu = time.process_time()
    for _ in range(calls):
        began = time.perf_counter()
        pieces = await ask(model)
        latencies.append(time.perf_counter() - began)
        assert pieces == expected, f"{pieces} pieces of {expected}"
    return {
        "cpu_ms": (time.process_time() - cpu) / calls * 1e3,
        "p50_ms": percentile(latencies, 0.5) * 1e3,
        "p99_ms": percentile(latencies, 0.99) * 1e3,
    }


def medians(found: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        for name, rounds in found.items()
    }


async def beside_floor(folder: Path, model_url: str, given: Any, progress: Steps) -> dict[str, Any]:
    """The bare proxy, asked by the same client as the model itself."""
    try:
        with postgres(folder / "postgres") as database, servers.floor("floor", folder, database.url, model_url) as at:
            async with aiohttp.ClientSession() as http:
                through = Direct(http, at.url, {"authorization": "Bearer sk-bench"})
                direct = Direct(http, model_url, {})
                plain = await plain_calls({"direct": direct.plain, "floor": through.plain}, given, progress)
        return {"plain": plain, "added_p50_ms": plain["floor"]["p50_ms"] - plain["direct"]["p50_ms"]}
    except NotStarted as reason:
        return {"missing": str(reason)}


def us(streamed: dict[str, dict[str, dict[str, float]]], length: int) -> float:
    """Added CPU of a whole streamed call, by its tokens."""
    of = streamed[str(length)]
    return (of["gateway"]["cpu_ms"] - of["direct"]["cpu_ms"]) / length * 1e3


def report(results: dict[str, Any]) -> str:
    plain, streamed, floor = results["plain"], results["streamed"], results["floor"]
    rows = [[name, of["p50_ms"], of["p99_ms"], of["cpu_ms"]] for name, of in plain.items()]
    rows.append(["**added by the gateway**", *(plain["gateway"][key] - plain["direct"][key] for key in _KEYS)])
    if "plain" in floor:
        rows.append(["added by `floor`, a bare proxy", *(floor["plain"]["floor"][key] - floor["plain"]["direct"][key]
                                                          for key in _KEYS[:2]), None])  # fmt: skip
    lengths = [
        [length, of["direct"]["cpu_ms"], of["gateway"]["cpu_ms"], us(streamed, int(length)),
         of["direct"]["p50_ms"], of["gateway"]["p50_ms"]]
        for length, of in streamed.items()
    ]  # fmt: skip
    if "missing" in floor:
        beside = f"`floor` was left out: {floor['missing']}."
    else:
        beside = (
            "`floor` answers over HTTP, one hop more than a call inside the server, and checks key and model only; "
            f"it adds {floor['added_p50_ms']:.2f} ms."
        )
    return "\n\n".join((
        "The model answers at once; calls go one after the other, kinds in turns, medians of "
        f"{results['repeat']} rounds. Both sides use aiohttp and read every event: directly line by line, as "
        "one would write it, in the gateway those together that came together: a token may add less than nothing.",
        f"**The gateway adds {results['added_p50_ms']:.2f} ms to a plain call at the median.** {beside}",
        table(["plain call", "p50 ms", "p99 ms", "CPU ms of the client"], rows),
        f"**Each streamed token costs {further_us(streamed):.1f} µs of CPU more than read directly**, beside what the "
        "call itself costs; the same by the length of the answer, the call's cost spread over its tokens:",
        table(["tokens", "direct CPU ms", "gateway CPU ms", "added µs a token", "direct p50", "gateway p50"], lengths),
    ))  # fmt: skip


def further_us(streamed: dict[str, dict[str, dict[str, float]]]) -> float:
    """Added CPU of one more token, by the longest and the shortest answers."""
    short, long = (
        streamed[str(length)]["gateway"]["cpu_ms"] - streamed[str(length)]["direct"]["cpu_ms"]
        for length in (LENGTHS[0], LENGTHS[-1])
    )
    return (long - short) / (LENGTHS[-1] - LENGTHS[0]) * 1e3


_KEYS = ("p50_ms", "p99_ms", "cpu_ms")


def _request() -> LLMRequest:
    return LLMRequest("", (Message(Role.SYSTEM, SYSTEM), Message(Role.USER, USER)))


def _body(model: str, *, stream: bool = False) -> bytes:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": USER}]
    more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    return orjson.dumps({"model": model, "messages": messages} | more)


if __name__ == "__main__":
    uvloop.run(main())

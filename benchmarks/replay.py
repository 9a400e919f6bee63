"""Real people's words through the whole server: what users said in 160 dialogues and 200 talks with doctors.

Each dialogue is a conversation with the clinic over HTTP, one message after the answer to the last, 16 dialogues at a
time, with the local model. Afterwards the API is asked what it has kept: every message there and in order, numbered
without a gap, and each answered exactly once. The dialogues are of other services: whether answers are right is not
measured here (`evals/`), that every turn ends well is.
"""

import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any  # answers are JSON
from uuid import uuid4

import aiohttp
import uvloop
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks import servers
from benchmarks.load import percentile
from benchmarks.machine import machine
from benchmarks.processes import rss_mib
from benchmarks.report import arguments, table, write

DATA = Path(os.environ.get("DATA", "../shared/data"))
AT_ONCE = 16
MTS_DIALOGUES = 200
MOST_CHARACTERS = 2000


def sgd(data: Path) -> Iterator[list[str]]:
    """The users' turns of each dialogue, in order."""
    for line in (data / "sgd" / "dialogues.jsonl").read_text().splitlines():
        yield [turn["text"] for turn in json.loads(line)["turns"] if turn["speaker"] == "USER"]


def mts(data: Path, number: int) -> Iterator[list[str]]:
    """What patients (and who came with them) say, of the first dialogues in which they say something."""
    for line in (data / "mts_dialog" / "mts_dialog.jsonl").read_text().splitlines():
        said = [part.partition(":") for part in json.loads(line)["dialogue"].splitlines()]
        words = [text.strip()[:MOST_CHARACTERS] for speaker, _, text in said if speaker.strip() in _PATIENTS]
        if number and any(words):
            number -= 1
            yield [text for text in words if text]


_PATIENTS = {"Patient", "Guest_family"}


class Seen:
    """What the client saw; `faults` is what must not be."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.states: Counter[str] = Counter()
        self.stages: Counter[str] = Counter()
        self.agents: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.faults: list[str] = []


class Desk:
    """A clinic, by its public API."""

    def __init__(self, http: aiohttp.ClientSession, url: str, tenant: str = "clinic") -> None:
        self._http = http
        self._url = f"{url}/api/{tenant}"

    async def converse(self, user: str, session: str, messages: Sequence[str], seen: Seen) -> None:
        answered: set[int] = set()
        for number, message in enumerate(messages):
            answer = await self._said(user, message, session, f"{session}-{number}", seen)
            if answer is None:
                continue
            covered = set(answer["in_reply_to"])
            if covered & answered:
                seen.faults.append(f"{session}: {sorted(covered & answered)} answered twice")
            answered |= covered
        seen.faults += [f"{session}: {fault}" for fault in kept_wrongly(await self._history(session), messages)]

    async def _said(self, user: str, message: str, session: str, key: str, seen: Seen) -> dict[str, Any] | None:
        """The answer; None for an explicit failure, which is counted."""
        body = {"user_id": user, "message": message, "session_id": session}
        began = time.perf_counter()
        async with self._http.post(f"{self._url}/chat", json=body, headers={"Idempotency-Key": key}) as response:
            answer: dict[str, Any] = await response.json()
        seen.latencies.append(time.perf_counter() - began)
        if response.status != 200:
            seen.errors[f"{response.status} {answer.get('error_code')}"] += 1
            return None
        seen.states[answer["state"]] += 1
        seen.stages[answer["routing"]["stage"]] += 1
        seen.agents.update(answer["agents"] or ["(none)"])
        if not answer["text"].strip():
            seen.faults.append(f"{answer['session_id']}: an empty answer")
        return answer

    async def _history(self, session: str) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        while True:
            after = messages[-1]["seq"] if messages else 0
            async with self._http.get(f"{self._url}/conversations/{session}", params={"after": after}) as response:
                page = (await response.json())["messages"]
            messages += page
            if len(page) < 200:
                return messages


def kept_wrongly(kept: Sequence[dict[str, Any]], sent: Sequence[str]) -> Iterator[str]:
    """Everything that is not as it was acknowledged."""
    if [message["seq"] for message in kept] != list(range(1, len(kept) + 1)):
        yield f"numbers with gaps: {[message['seq'] for message in kept]}"
    of_user = [message for message in kept if message["role"] == "user"]
    if [message["content"] for message in of_user] != list(sent):
        yield f"{len(of_user)} messages kept of {len(sent)} sent, or in another order"
    replies = Counter(seq for message in kept if message["role"] != "user" for seq in message["in_reply_to"])
    for message in of_user:
        if replies[message["seq"]] != 1:
            yield f"message {message['seq']} has {replies[message['seq']]} answers"
    for message in kept:
        if message["role"] != "user" and any(seq >= message["seq"] for seq in message["in_reply_to"]):
            yield f"answer {message['seq']} stands before what it answers"


async def main() -> None:
    parser = arguments("replay", __doc__ or "")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with sgd/ and mts_dialog/")
    parser.add_argument("--dialogues", type=int, default=None, help="only so many of each kind")
    parser.add_argument("--server-log", type=Path, default=None, help="keep the server's log there")
    given, where = parser.parse_args(), machine()
    dialogues = {
        "sgd": list(sgd(given.data))[: given.dialogues],
        "mts_dialog": list(mts(given.data, MTS_DIALOGUES))[: given.dialogues],
    }
    queue = [(name, number, words) for name, of in dialogues.items() for number, words in enumerate(of)]
    seen = Seen()
    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory(prefix="frontdesk-replay-") as place, bar:
        with servers.frontdesk(Path(place), env="production") as at:
            before = rss_mib(at.pid, alone=True)  # its children are the database
            progress = bar.add_task("dialogues", total=len(queue))
            began = time.perf_counter()
            timeout, limit = aiohttp.ClientTimeout(total=180), aiohttp.TCPConnector(limit=AT_ONCE)
            async with aiohttp.ClientSession(timeout=timeout, connector=limit) as http:
                desk = Desk(http, at.url)
                places = asyncio.Semaphore(AT_ONCE)

                async def one(name: str, number: int, words: list[str]) -> None:
                    async with places:
                        await desk.converse(f"{name}-{number}", str(uuid4()), words, seen)
                        bar.advance(progress)

                async with asyncio.TaskGroup() as group:
                    for each in queue:
                        group.create_task(one(*each))
            wall_s = time.perf_counter() - began
            after = rss_mib(at.pid, alone=True)  # its children are the database
        if given.server_log:
            given.server_log.write_bytes((Path(place) / "frontdesk.log").read_bytes())
    turns = sum(len(words) for _, _, words in queue)
    results: dict[str, Any] = {
        "dialogues": {name: len(of) for name, of in dialogues.items()}, "at_once": AT_ONCE, "turns": turns,
        "answered": sum(seen.states.values()), "wall_s": wall_s, "turns_per_s": turns / wall_s,
        "p50_ms": percentile(seen.latencies, 0.50) * 1e3, "p95_ms": percentile(seen.latencies, 0.95) * 1e3,
        "p99_ms": percentile(seen.latencies, 0.99) * 1e3, "max_ms": max(seen.latencies) * 1e3,
        "states": dict(seen.states), "stages": dict(seen.stages), "agents": dict(seen.agents),
        "errors": dict(seen.errors), "faults": seen.faults[:20], "faults_count": len(seen.faults),
        "server_rss_mib": {"before": before, "after": after},
    }  # fmt: skip
    write("replay", given.out, where, results, "Real dialogues through the server", report(results))
    if seen.faults or seen.errors:
        raise SystemExit(1)


def report(results: dict[str, Any]) -> str:
    def counted(key: str) -> str:
        found = sorted(results[key].items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {count}" for name, count in found) or "none"

    faults = results["faults_count"]
    rows = [
        ["turns", results["turns"]],
        ["ended with an answer", results["answered"]],
        ["explicit failures and refusals", counted("errors")],
        ["**lost, out of order, answered twice or not**", f"**{faults}**"],
        ["turns/s", results["turns_per_s"]],
        ["p50 / p95 / p99 / longest, ms", " / ".join(f"{results[key]:.0f}" for key in _TIMES)],
        ["states", counted("states")],
        ["decided by", counted("stages")],
        ["answered by", counted("agents")],
        ["server's resident memory before / after, MiB",
         f"{results['server_rss_mib']['before']:.0f} / {results['server_rss_mib']['after']:.0f}"],
    ]  # fmt: skip
    told = "".join(f"\n- {fault}" for fault in results["faults"])
    return (
        f"What users said in {results['dialogues']['sgd']} dialogues of SGD and patients in "
        f"{results['dialogues']['mts_dialog']} of MTS-Dialog, to the clinic, {results['at_once']} dialogues at a time, "
        f"with the local model and the embedded database.\n\n{table(['', ''], rows)}{told}"
    )


_TIMES = ("p50_ms", "p95_ms", "p99_ms", "max_ms")


if __name__ == "__main__":
    uvloop.run(main())

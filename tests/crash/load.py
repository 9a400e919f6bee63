"""Clients that know how to use the API, and the checker that knows only what they were told."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from tests.conftest import HANG_S
from tests.crash.desk import SLUG, TOOLS, Desk
from tests.served import Served, events_of

# Everything that a client meets while a server dies under it.
GONE = (httpx.TransportError, httpx.StreamError, ValueError, KeyError)

Current = Callable[[], Served]
# Says a message in one of the API's ways; empty when it must be tried again.
Way = Callable[[httpx.AsyncClient, str, dict[str, str], dict[str, str]], Awaitable[tuple[int, ...]]]


@dataclass
class Acknowledged:
    """`seqs`: the message is one of these; an answer names all that it covers."""

    session_id: str
    seqs: tuple[int, ...]
    text: str


@dataclass
class Load:
    """Concurrent conversations, one message after the other, each repeated under its key until it is acknowledged."""

    current: Current
    conversations: int
    acknowledged: list[Acknowledged] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)  # messages by session
    tries: int = 0
    wrong: list[str] = field(default_factory=list)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _progress: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until `stopping` is set; then each client finishes the message that it is at."""
        # One client for all servers: it outlives them.
        limits = httpx.Limits(max_connections=100)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client, asyncio.TaskGroup() as group:
            for number in range(self.conversations):
                group.create_task(self._converse(client, number))

    async def more(self, count: int) -> None:
        """Waits until `count` more messages are acknowledged."""
        wanted = len(self.acknowledged) + count
        while len(self.acknowledged) < wanted:
            self._progress.clear()
            await self._progress.wait()

    async def _converse(self, client: httpx.AsyncClient, number: int) -> None:
        session_id = str(uuid.uuid4())
        ways, words = (self._plain, self._stream, self._accept_only), tuple(TOOLS)
        place = number
        while not self.stopping.is_set():
            text = f"{words[(number + place) % len(words)]} {number}-{place} {uuid.uuid4()}"
            self.sent[session_id] += 1
            await self._say(client, ways[place % 3], session_id, text, f"user-{number}")
            place += 1

    async def _say(self, client: httpx.AsyncClient, way: Way, session_id: str, text: str, user: str) -> None:
        body = {"user_id": user, "message": text, "session_id": session_id}
        key = {"idempotency-key": str(uuid.uuid4())}
        seqs: tuple[int, ...] = ()
        while not seqs:
            self.tries += 1
            try:
                async with asyncio.timeout(30):
                    seqs = await way(client, f"{self.current().url}/api/{SLUG}", body, key)
            except (*GONE, TimeoutError):
                await asyncio.sleep(0.2)  # it is being started again
        self.acknowledged.append(Acknowledged(session_id, seqs, text))
        self._progress.set()

    async def _plain(
        self, client: httpx.AsyncClient, url: str, body: dict[str, str], key: dict[str, str]
    ) -> tuple[int, ...]:
        response = await client.post(f"{url}/chat", json=body, headers=key)
        if not self._is_fine(response, 200):
            return ()
        return tuple(response.json()["in_reply_to"])

    async def _accept_only(
        self, client: httpx.AsyncClient, url: str, body: dict[str, str], key: dict[str, str]
    ) -> tuple[int, ...]:
        response = await client.post(f"{url}/messages", json=body, headers=key)
        return (response.json()["seq"],) if self._is_fine(response, 202) else ()

    async def _stream(
        self, client: httpx.AsyncClient, url: str, body: dict[str, str], key: dict[str, str]
    ) -> tuple[int, ...]:
        headers = key | {"accept": "text/event-stream"}
        seqs: tuple[int, ...] = ()
        try:
            async with client.stream("POST", f"{url}/chat", json=body, headers=headers) as response:
                if response.status_code != 200:
                    await response.aread()
                    self._is_fine(response, 200)
                    return ()
                async for event in events_of(response):
                    if event.event == "accepted":
                        seqs = (event.data["seq"],)  # acknowledged, whatever becomes of the stream
                    elif event.event == "error":
                        self.wrong.append(f"the stream said {event.data}")
        except GONE:
            if not seqs:
                raise
        return seqs

    def _is_fine(self, response: httpx.Response, status: int) -> bool:
        if response.status_code == status:
            return True
        body = response.json()
        if response.status_code != 503 or body["retry_after"] is None:
            self.wrong.append(f"{response.status_code} {body}")
        return False


async def settled(served: Served, load: Load, timeout_s: float = HANG_S) -> dict[str, list[dict[str, Any]]]:
    """Every conversation's messages, once all that was acknowledged is covered."""
    seqs: dict[str, set[int]] = {}
    for kept in load.acknowledged:
        seqs.setdefault(kept.session_id, set()).update(kept.seqs)
    histories: dict[str, list[dict[str, Any]]] = {}
    async with asyncio.timeout(timeout_s):
        for session_id, wanted in seqs.items():
            while True:
                messages = await whole_history(served, session_id)
                users = {message["seq"] for message in messages if message["role"] == "user"}
                covered = {seq for message in messages for seq in message["in_reply_to"]}
                if wanted | users <= covered:
                    histories[session_id] = messages
                    break
                await asyncio.sleep(0.1)
    return histories


async def whole_history(served: Served, session_id: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    while True:
        after = messages[-1]["seq"] if messages else 0
        response = await served.client.get(f"/api/{SLUG}/conversations/{session_id}", params={"after": after})
        response.raise_for_status()
        page = response.json()["messages"]
        if not page:
            return messages
        messages += page


def violations(load: Load, histories: dict[str, list[dict[str, Any]]], desk: Desk) -> list[str]:
    """What the promise of delivery forbids and yet happened, in sentences; empty when all is well."""
    found = list(load.wrong)
    for kept in load.acknowledged:
        of_these = [m for m in histories.get(kept.session_id, ()) if m["seq"] in kept.seqs and m["role"] == "user"]
        if kept.text not in {message["content"] for message in of_these}:
            found.append(f"lost: {kept}")
    for session_id, messages in histories.items():
        if [message["seq"] for message in messages] != list(range(1, len(messages) + 1)):
            found.append(f"gap in seq: {session_id}")
        users = [message for message in messages if message["role"] == "user"]
        if len(users) != load.sent[session_id] or len({message["content"] for message in users}) != len(users):
            found.append(f"{len(users)} messages kept of {load.sent[session_id]} that were sent: {session_id}")
        covered = Counter(seq for message in messages for seq in message["in_reply_to"])
        for message in users:
            if covered[message["seq"]] != 1:
                found.append(f"covered {covered[message['seq']]} times: {session_id} {message['seq']}")
        for message in messages:
            if message["role"] == "system" and "failed" not in message["metadata"]:
                found.append(f"ended without an answer or a failure: {session_id} {message['seq']}")
    failed = [m["metadata"] for messages in histories.values() for m in messages if "failed" in m["metadata"]]
    found += [f"failed: {metadata}" for metadata in failed]
    done = desk.calls()
    found += [f"done {len(keys)} times: {text}" for text, keys in done.items() if len(keys) != 1]
    found += [
        f"rung {times} times: {text}"
        for text, keys in desk.bells.of("/rings").items()
        if (times := sum(keys.values())) != 1
    ]
    for messages in histories.values():
        for text, used in answered(messages):
            if text not in done and (TOOLS["ring"], "error") not in used:
                found.append(f"answered but not done: {text}")
    return found


def answered(messages: list[dict[str, Any]]) -> Iterator[tuple[str, set[tuple[str, str]]]]:
    """Each of the contact's texts, with the tools and their status that the answer to it names."""
    texts = {message["seq"]: message["content"] for message in messages if message["role"] == "user"}
    for message in messages:
        used = {(use["name"], use["status"]) for use in message["metadata"].get("tools", ())}
        for seq in message["in_reply_to"]:
            yield texts[seq], used


def cut_rings(histories: dict[str, list[dict[str, Any]]]) -> int:
    """Rings of which the contact was told that nobody knows whether they rang: a kill fell into the call."""
    return sum(
        (TOOLS["ring"], "error") in used and text.startswith("ring")
        for messages in histories.values()
        for text, used in answered(messages)
    )

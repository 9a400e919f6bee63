"""A real `frontdesk serve` in a process of its own, and a client that speaks to it as any other would."""

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import HANG_S
from tests.identities import api_key, bearing, database_of, key_of_everything
from tests.prepared import prepare

# Tests write faster than any contact.
UNHURRIED = {f"FRONTDESK_LIMITS__{name}MESSAGES_PER_MINUTE": "1000000" for name in ("", "KEY_", "CONTACT_", "ADDRESS_")}
READY = re.compile(r"Ready in [\d.]+ s: (http://\S+)")


@dataclass
class ServerSentEvent:
    id: str
    event: str
    data: Any


@dataclass
class Served:
    """A running server. `kill` is kill -9; `stop` is SIGTERM and a clean end.

    `key`: an API key of its first tenant, the clinic as a rule, that may all that a key can.
    """

    url: str
    data: Path
    process: asyncio.subprocess.Process
    said: list[str]
    environment: Mapping[str, str]
    key: str
    client: httpx.AsyncClient  # with the key
    nobody: httpx.AsyncClient  # without
    reading: "asyncio.Task[None]" = field(repr=False)

    async def bearing_key(self, tenant: str, *scopes: str) -> dict[str, str]:
        """The header with a new API key of the tenant; without scopes it may all that a key can."""
        async with database_of(self.data, self.environment) as database:
            return bearing(await api_key(database, tenant, *scopes))

    async def chat(self, message: str, session_id: str | None = None, user: str = "ann", **more: Any) -> dict[str, Any]:
        response = await self.post_chat(message, session_id, user, **more)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def post_chat(
        self,
        message: str,
        session_id: str | None = None,
        user: str = "ann",
        *,
        path: str = "/api/clinic/chat",
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        body = {"user_id": user, "message": message} | more
        if session_id:
            body["session_id"] = session_id
        return await self.client.post(path, json=body, headers=dict(headers or {}))

    async def say_all(self, *messages: str, user: str = "ann") -> list[dict[str, Any]]:
        """One conversation; the answers in order."""
        answers: list[dict[str, Any]] = []
        for message in messages:
            answers.append(await self.chat(message, answers[0]["session_id"] if answers else None, user))
        return answers

    async def say_all_in(self, session_id: str, *messages: str, user: str = "ann") -> list[dict[str, Any]]:
        """The same in a conversation that is there already."""
        return [await self.chat(message, session_id, user) for message in messages]

    async def stream(
        self, message: str, session_id: str | None = None, user: str = "ann", **more: Any
    ) -> AsyncIterator[ServerSentEvent]:
        body = {"user_id": user, "message": message} | more
        if session_id:
            body["session_id"] = session_id
        request = self.client.build_request(
            "POST", "/api/clinic/chat", json=body, headers={"accept": "text/event-stream"}
        )
        response = await self.client.send(request, stream=True)
        assert response.status_code == 200
        async for event in events_of(response):
            yield event

    async def resume(self, session_id: str, last_event_id: str | None = None) -> tuple[int, list[ServerSentEvent]]:
        headers = {"last-event-id": last_event_id} if last_event_id else {}
        request = self.client.build_request("GET", f"/api/clinic/conversations/{session_id}/stream", headers=headers)
        response = await self.client.send(request, stream=True)
        return response.status_code, [event async for event in events_of(response)]

    async def history(self, session_id: str, after: int = 0) -> dict[str, Any]:
        response = await self.client.get(f"/api/clinic/conversations/{session_id}", params={"after": after})
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def answered(self, session_id: str, seqs: set[int], timeout_s: float = HANG_S) -> dict[str, Any]:
        """The history once each of the contact's messages `seqs` is covered by an answer or an explicit failure."""
        async with asyncio.timeout(timeout_s):
            while True:
                history = await self.history(session_id)
                covered = {seq for message in history["messages"] for seq in message["in_reply_to"]}
                if seqs <= covered:
                    return history
                await asyncio.sleep(0.05)

    async def said_line(self, words: str, timeout_s: float = HANG_S) -> str:
        """The first line of its output that has these words, once it is there."""
        async with asyncio.timeout(timeout_s):
            while True:
                if line := next((line for line in self.said if words in line), None):
                    return line
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


async def events_of(response: httpx.Response) -> AsyncIterator[ServerSentEvent]:
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield ServerSentEvent(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
            fields = {}
        else:
            fields = {}
    await response.aclose()


@asynccontextmanager
async def serving(
    data: Path, environment: Mapping[str, str] | None = None, port: int = 0, *, from_nothing: bool = False
) -> AsyncIterator[Served]:
    """Starts a server, on a free port unless one is named; at the end it is stopped, or was killed by the test.

    `from_nothing`: its first start makes everything itself.
    """
    if not from_nothing:
        await prepare(data, environment or {})
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FRONTDESK_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "frontdesk", "serve", "--port", str(port), "--data", str(data),
        env=clean | UNHURRIED | dict(environment or {}),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said: list[str] = []
    ready = asyncio.get_running_loop().create_future()

    async def read() -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            said.append(line.decode(errors="replace").rstrip())
            if (found := READY.search(said[-1])) and not ready.done():
                ready.set_result(found[1])
        if not ready.done():
            ready.set_exception(RuntimeError("the server did not start:\n" + "\n".join(said)))

    reading = asyncio.create_task(read())
    try:
        try:
            async with asyncio.timeout(HANG_S):
                url = await ready
        except TimeoutError as error:
            raise RuntimeError("the server was not ready in time:\n" + "\n".join(said)) from error
        key = await key_of_everything(data, environment or {})
        limits = httpx.Limits(max_connections=200)
        async with (
            httpx.AsyncClient(base_url=url, timeout=HANG_S, limits=limits, headers=bearing(key)) as client,
            httpx.AsyncClient(base_url=url, timeout=HANG_S, limits=limits) as nobody,
        ):
            served = Served(url, data, process, said, environment or {}, key, client, nobody, reading)
            yield served
            await served.stop()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await reading


@pytest.fixture(scope="session")
async def served() -> AsyncIterator[Served]:
    """One server with the clinic for all tests that leave it as they found it."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-served-") as folder:
        async with serving(Path(folder)) as running:
            yield running

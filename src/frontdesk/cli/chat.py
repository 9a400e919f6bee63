"""`frontdesk chat`: talks to a running server from the terminal, by the same public API that the page uses."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any  # events' data is JSON
from uuid import UUID

import aiohttp
from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.markup import escape
from rich.text import Text

from frontdesk.cli.explain import explain
from frontdesk.cli.replies import Refused, credential, no_server, printable, refusal
from frontdesk.cli.sse import Event, StreamBroken, events
from frontdesk.core.errors import Unavailable
from frontdesk.core.ids import new_id
from frontdesk.core.json import dumps

RETRIES = 8
WAIT_AT_MOST_S = 5.0
# Above the heartbeat's 15 s: a silence beyond it is a lost connection.
SILENCE_S = 40.0

HELP = "[dim]/new begins a new conversation, /why explains the last answer, /quit (or Ctrl-D) ends.[/]"

# A question is lost or answered, never half of it: what is thrown at a reconnection.
_LOST = (aiohttp.ClientError, TimeoutError, StreamBroken)


class Desk:
    """One contact's conversation with one tenant, over HTTP."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, tenant: str, user: str, wait: Callable[[float], Awaitable[None]]
    ) -> None:
        self._http = http
        self._base = f"{url.rstrip('/')}/api/{tenant}"
        self._user = user
        self._wait = wait
        self._session_id: str | None = None
        self.answered: str | None = None  # the last answer's message_id

    def begin_anew(self) -> None:
        self._session_id = None

    async def say(self, message: str) -> AsyncGenerator[Event, None]:
        """Events up to the answer or the error, each once, across lost connections.

        Raises Refused when the server does not take the message, Unavailable when it can't be reached.
        """
        # Sent again after a lost connection, the same key makes it the same message.
        key, last_id, failures = str(new_id()), "", 0
        while True:
            try:
                stream = self._resumed(last_id) if last_id else self._posted(message, key)
                async with stream as response:
                    async for event in events(response.content.iter_any()):
                        failures = 0
                        last_id = event.id or last_id
                        self._session_id = event.data.get("session_id") or self._session_id
                        if event.name == "answer":
                            self.answered = event.data.get("message_id")
                        yield event
                        if event.name in ("answer", "error"):
                            return
                raise StreamBroken("the stream ended before the answer")
            except _LOST as error:
                failures += 1
                if failures > RETRIES or (not last_id and isinstance(error, aiohttp.ClientConnectorError)):
                    raise Unavailable(f"No answer from {self._base}.") from error
                yield Event(last_id, "lost", {"failures": failures})
                await self._wait(min(0.25 * 2**failures, WAIT_AT_MOST_S))

    @asynccontextmanager
    async def _posted(self, message: str, key: str) -> AsyncIterator[aiohttp.ClientResponse]:
        body: dict[str, Any] = {"user_id": self._user, "message": message, "channel": "cli"}
        if self._session_id is not None:
            body["session_id"] = self._session_id
        headers = {"content-type": "application/json", "accept": "text/event-stream", "idempotency-key": key}
        async with self._http.post(f"{self._base}/chat", data=dumps(body), headers=headers) as response:
            yield await _accepted(response)

    @asynccontextmanager
    async def _resumed(self, last_id: str) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self._base}/conversations/{self._session_id}/stream"
        headers = {"accept": "text/event-stream", "last-event-id": last_id}
        async with self._http.get(url, headers=headers) as response:
            yield await _accepted(response)


async def _accepted(response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    """Raises Refused with the server's sentence; an overloaded server is a lost connection."""
    if response.status == 503:
        raise aiohttp.ClientConnectionError("the server is not ready")
    if response.status >= 400:
        raise await refusal(response)
    if response.status == 204:
        raise Refused("The server has nothing more to tell about this message.")
    if response.content_type != "text/event-stream":
        raise Refused(f"{response.url} is not a frontdesk server, or one of another version.")
    return response


async def chat(url: str, tenant: str, user: str, console: Console, *, key: str = "") -> int:
    """Until the end of the input; the exit code. One message only when the input is not a terminal's."""
    timeout = aiohttp.ClientTimeout(total=None, connect=5.0, sock_read=SILENCE_S)
    async with aiohttp.ClientSession(timeout=timeout, headers=credential(key)) as http:
        desk = Desk(http, url, tenant, user, asyncio.sleep)
        if not sys.stdin.isatty():
            message = (await asyncio.to_thread(sys.stdin.read)).strip()
            return await _told(desk, message, url, console) if message else 0
        console.print(f"[bold]{escape(tenant)}[/] at {escape(url)}. {HELP}", highlight=False)
        while (message := await asyncio.to_thread(_asked, console)) is not None:
            if message == "/new":
                desk.begin_anew()
                console.print("[dim]A new conversation.[/]")
            elif message == "/why":
                await _explained(desk.answered, url, tenant, console, key)
            elif message and (code := await _told(desk, message, url, console)):
                return code
    return 0


def _asked(console: Console) -> str | None:
    """None at the end."""
    try:
        message = console.input("\n[bold cyan]you[/] ").strip()
    except (EOFError, KeyboardInterrupt):
        return None
    return None if message in ("/quit", "/exit") else message


async def _explained(message_id: str | None, url: str, tenant: str, console: Console, key: str) -> None:
    if message_id is None:
        console.print("[dim]Nothing has been answered yet.[/]")
    else:
        await explain(url, tenant, UUID(message_id), console, key=key)


async def _told(desk: Desk, message: str, url: str, console: Console) -> int:
    try:
        async with aclosing(desk.say(message)) as happenings:
            await show_answer(happenings, console)
    except Refused as error:
        console.print(f"[red]{escape(error.detail)}[/]", highlight=False)
    except Unavailable:
        console.print(no_server(url), highlight=False)
        return 1
    return 0


async def show_answer(happenings: AsyncIterator[Event], console: Console) -> None:
    """The answer as it is being written, what happens meanwhile, and at the end who said it and on what it rests."""
    text, status = "", ""
    with Live(console=console, refresh_per_second=12, transient=True) as live:
        async for event in happenings:
            match event.name:
                case "delta":
                    text, status = text + printable(event.data.get("text", "")), ""
                case "restart":
                    text = ""
                case "status":
                    status = printable(event.data.get("text", ""))
                case "lost":
                    status = "connection lost, trying again"
                case "answer" | "error":
                    break
            live.update(_drawn(text, status))
        else:
            return
    if event.name == "error":
        console.print(f"[red]{escape(str(event.data.get('detail', 'The turn failed.')))}[/]", highlight=False)
    else:
        show_whole(event.data, console)


def _drawn(text: str, status: str) -> Markdown | Text:
    if status:
        return Text(f"{text}\n… {status}" if text else f"… {status}", style="dim")
    return Markdown(text)


def show_whole(answer: dict[str, Any], console: Console) -> None:
    if answer.get("emergency"):
        console.print("[bold white on red] EMERGENCY [/]")
    console.print(Markdown(printable(answer.get("text", ""))))
    for number, citation in enumerate(answer.get("citations", ()), start=1):
        place = f"{citation['document']}, characters {citation['start']}-{citation['end']}"
        console.print(Text(printable(f"[{number}] {citation['title']} ({place})"), style="dim"))
    console.print(Text(printable(_by_whom(answer)), style="dim italic"))


def _by_whom(answer: dict[str, Any]) -> str:
    """`appointments · book_appointment ok · local · 0.4 s`"""
    parts = [
        ", ".join(answer.get("agents", ())),
        *(f"{tool['name']} {tool['status']}" for tool in answer.get("tools", ())),
    ]
    parts += [str(answer.get("source", "")), "degraded" if answer.get("degraded") else ""]
    parts += [
        "a human was asked for" if answer.get("escalated") else "",
        f"{answer.get('duration_ms', 0) / 1000:.1f} s",
    ]
    return " · ".join(part for part in parts if part)

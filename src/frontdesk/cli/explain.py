"""`frontdesk explain MESSAGE_ID`: why a message was answered as it was, by the public API of a running server."""

from typing import Any  # the API's bodies are JSON
from urllib.parse import quote
from uuid import UUID

import aiohttp
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from frontdesk.cli.replies import Refused, credential, no_server, printable, refusal
from frontdesk.core.json import dumps, dumps_text

BAR = 20  # characters of a full one
_WAIT = aiohttp.ClientTimeout(total=30.0, connect=5.0)
_LOST = (aiohttp.ClientError, TimeoutError)

_MARKS = {
    "decided": ("●", "bold green", "decided"),
    "undecided": ("◐", "yellow", "not sure"),
    "passed": ("○", "dim", "found nothing"),
    "not_reached": ("·", "dim", "not reached"),
}


async def explain(
    url: str,
    tenant: str,
    message_id: UUID,
    console: Console,
    *,
    key: str = "",
    as_json: bool = False,
    verdict: dict[str, str] | None = None,
) -> int:
    """The exit code. `key`: an API key or a token, empty for none. `verdict`, where one is given, is the body of a
    feedback, said first."""
    base = f"{url.rstrip('/')}/api/{quote(tenant, safe='')}/messages/{message_id}"
    try:
        async with aiohttp.ClientSession(timeout=_WAIT, headers=credential(key)) as http:
            if verdict is not None:
                await _judge(http, base, verdict)
            found = await _explanation(http, base)
    except Refused as error:
        console.print(f"[red]{escape(error.detail)}[/]", highlight=False)
        return 1
    except _LOST:
        console.print(no_server(url), highlight=False)
        return 1
    if as_json:
        console.out(dumps_text(found), highlight=False)
    else:
        console.print(drawn(found), highlight=False)
    return 0


async def _judge(http: aiohttp.ClientSession, base: str, verdict: dict[str, str]) -> None:
    headers = {"content-type": "application/json"}
    async with http.put(f"{base}/feedback", data=dumps(verdict), headers=headers) as response:
        if response.status >= 400:
            raise await refusal(response)


async def _explanation(http: aiohttp.ClientSession, base: str) -> dict[str, Any]:
    async with http.get(f"{base}/explanation") as response:
        if response.status >= 400:
            raise await refusal(response)
        found = await response.json(content_type=None)
    if not isinstance(found, dict) or "stages" not in found:
        raise Refused(f"{base} is not a frontdesk server, or one of another version.")
    return found


def drawn(found: dict[str, Any]) -> RenderableType:
    """Of the API's explanation: what was said, every stage, the steps, and the verdicts."""
    parts: list[RenderableType] = [_said(found), Text()]
    parts += [_stage(stage) for stage in found["stages"]]
    if not found["stages"]:
        parts.append(Text("No decision is kept of this message: it failed before one, or was erased.", style="yellow"))
    if found["steps"]:
        parts += [Text(), _steps(found["steps"])]
    return Group(*parts, Text(), _verdicts(found))


def _said(found: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for message in found["messages"]:
        table.add_row("contact" if message["role"] == "user" else "answer", _short(message["content"], 300))
    decision = found.get("decision") or {}
    table.add_row("answered by", _plain(", ".join(found["agents"]) or "nobody in particular"))
    intents = decision.get("intents") or ()
    for intent in intents if len(intents) > 1 else ():
        table.add_row("", Text.assemble(f"{printable(intent['agent'])}: ", _short(intent["query"], 100)))
    if clarify := decision.get("clarify"):
        table.add_row("asked back", _plain(clarify))
    if language := decision.get("language"):
        table.add_row("language", _plain(language))
    table.add_row("turn", _plain(_turn(found)))
    return table


def _turn(found: dict[str, Any]) -> str:
    attempts = f", attempt {found['attempt']}" if found["attempt"] > 1 else ""
    failed = f", {found['error_code']}" if found["error_code"] else ""
    return f"{found['state']}{failed}{attempts}, accepted {found['created_at']}, session {found['session_id']}"


def _stage(stage: dict[str, Any]) -> RenderableType:
    mark, style, outcome = _MARKS.get(stage["outcome"], ("?", "dim", printable(stage["outcome"])))
    is_quiet = stage["outcome"] in ("passed", "not_reached")
    line = Text.assemble((f"{mark} {stage['stage']:<12}", style), (f"{outcome}", style))
    reason = stage["reason"] if stage["outcome"] != "not_reached" else ""
    if reason:
        line.append(f": {printable(reason)}", style="dim" if is_quiet else "")
    if stage.get("duration_ms") is not None:
        line.append(f"  {stage['duration_ms']:.1f} ms", style="dim")
    if is_quiet:
        return line
    parts: list[RenderableType] = [line, _indented(Text(f"looked at {printable(stage['looked_at'])}", style="dim"))]
    if stage["scores"]:
        parts.append(_indented(_scores(stage)))
    if stage["nearest"]:
        parts.append(_indented(_nearest(stage["nearest"])))
    return Group(*parts)


def _scores(stage: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 1))
    least = stage["least"]
    for agent, score in stage["scores"].items():
        is_enough = least is None or score >= least
        table.add_row(_plain(agent), _bar(score, least, "green" if is_enough else "yellow"), f"{score:.2f}")
    if least is not None:
        table.add_row("", Text(f"{' ' * round(least * BAR)}^ sure from {least:.2f}", style="dim"), "")
    if stage["in_scope"] is not None:
        table.add_row(
            Text("anybody's matter", style="dim"), _bar(stage["in_scope"], 0.5, "cyan"), f"{stage['in_scope']:.2f}"
        )
    return table


def _bar(share: float, least: float | None, style: str) -> Text:
    filled = round(max(0.0, min(1.0, share)) * BAR)
    bar = Text("█" * filled, style=style)
    bar.append("░" * (BAR - filled), style="dim")
    if least is not None and filled < round(least * BAR) < BAR:
        bar.stylize("bold", round(least * BAR), round(least * BAR) + 1)
    return bar


def _nearest(nearest: list[dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 1))
    for place, like in enumerate(nearest):
        head = Text("most like" if place == 0 else "", style="dim")
        table.add_row(head, f"{like['cosine']:.2f}", _plain(like["agent"] or "nobody's"), _short(like["example"], 100))
    return table


def _steps(steps: list[dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row(Text("steps", style="dim"), "", "", "", "")
    for step in steps:
        style = "" if step["status"] in ("ok", "needs") else "yellow"
        names = [_plain(step[field]) for field in ("agent", "kind", "name")]
        table.add_row(*names, Text(printable(step["status"]), style=style), f"{step['duration_ms']} ms")
    return table


def _verdicts(found: dict[str, Any]) -> RenderableType:
    if not found["feedback"]:
        message_id = found["messages"][0]["message_id"] if found["messages"] else "MESSAGE_ID"
        how = f"frontdesk explain {message_id} --right  (or --wrong --agent NAME)"
        return Text(f"Nobody has judged this yet:\n{how}", style="dim", no_wrap=True, overflow="ignore")
    table = Table.grid(padding=(0, 2))
    for given in found["feedback"]:
        thumb = Text("right", style="green") if given["verdict"] == "right" else Text("wrong", style="red")
        whose = f"should have been {given['agent']}" if given["agent"] else ""
        table.add_row(
            thumb, _plain(whose), _plain(f"says {given['user_id']}"), Text(printable(given["given_at"]), style="dim")
        )
    return table


def _indented(inner: RenderableType) -> Padding:
    return Padding(inner, (0, 0, 0, 2))


def _plain(text: object) -> Text:
    """What a table shows as it stands: a bare string would be read as markup."""
    return Text(printable(text))


def _short(text: str, most: int) -> Text:
    """One line of it."""
    line = " ".join(printable(text).split())
    return Text(line if len(line) <= most else f"{line[: most - 1]}…")

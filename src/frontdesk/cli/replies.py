"""What commands that talk to a running server have in common: its refusals, its absence, its texts made safe."""

import re

import aiohttp
from rich.markup import escape

from frontdesk.core.errors import FrontdeskError
from frontdesk.core.json import loads

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Refused(FrontdeskError):
    """The server's own error; the sentence is its `detail`."""


async def refusal(response: aiohttp.ClientResponse) -> Refused:
    """Of an answer with a status of 400 or above."""
    try:
        detail = str(loads(await response.read())["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"The server answered {response.status}."
    return Refused(detail)


def credential(key: str) -> dict[str, str]:
    """The header that says who calls; empty for nobody."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def no_server(url: str) -> str:
    """rich's markup."""
    return (
        f"[red]No frontdesk server answers at {escape(url)}.[/] Start one with [bold]frontdesk serve[/] "
        "(or [bold]make serve[/]), or name another address with [bold]--url[/]."
    )


def printable(text: object) -> str:
    """Without the control characters by which a text could command the terminal."""
    return _CONTROLS.sub("", str(text))

"""Runs attacks against a server's application, and says of each what went wrong."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.attacks.kinds import KINDS, Attempt, Cast
from tests.attacks.table import Operation, Request
from tests.attacks.world import Grounds

NO_LONGER = (
    "revoked", "expired", "expired token", "signed out", "issuer's, expired", "issuer's, not yet good",
    "issuer's, for another", "issuer's, for nobody", "issuer's, of no user",
)  # fmt: skip


@dataclass
class Outcome:
    count: int = 0
    routes: set[str] = field(default_factory=set)
    findings: list[str] = field(default_factory=list)


async def attacked(grounds: Grounds, apps: dict[bool, Any], cast: Cast, table: list[Operation], kind: str) -> Outcome:
    """Every route, by one kind of attack. `apps`: by whether they ask nobody on their machine who he is."""
    outcome = Outcome()
    clients = {is_open: grounds.client(app=app) for is_open, app in apps.items()}
    before = await grounds.digest(cast.victim)
    for operation in table:
        for attempt in KINDS[kind](cast, operation):
            client = clients[attempt.is_open]
            if attempt.address != client._transport.client:  # type: ignore[attr-defined]
                client = grounds.client(attempt.address, apps[attempt.is_open])
            response = await sent(client, attempt.request)
            wrong = faults(cast, attempt, response)
            after = await grounds.digest(cast.victim)
            if after != before:
                wrong.append(f"changed {', '.join(name for name in after if after[name] != before.get(name))}")
                before = after
            outcome.count += 1
            outcome.routes.add(operation.name)
            outcome.findings += [f"{operation.name} ({attempt.note or kind}): {each}" for each in wrong]
    return outcome


async def sent(client: httpx.AsyncClient, request: Request) -> httpx.Response:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in request.headers.items()]
    return await client.request(
        request.method, request.url, params=dict(request.query), headers=headers,
        **({"json": request.json} if request.json is not None else {"content": request.content}),  # type: ignore[arg-type]
    )  # fmt: skip


def faults(cast: Cast, attempt: Attempt, response: httpx.Response) -> list[str]:
    wrong = []
    if response.status_code not in attempt.statuses:
        wrong.append(f"answered {response.status_code}, not {sorted(attempt.statuses)}: {response.text[:200]}")
    elif attempt.codes and (code := response.json().get("error_code")) not in attempt.codes:
        wrong.append(f"answered {code}, not {sorted(attempt.codes)}")
    if attempt.request.headers.get("authorization") not in own_credentials(cast):
        shown = response.text.lower().replace(str(attempt.request.query).lower(), "")
        if cast.victim.canary.lower() in shown and cast.victim.canary.lower() not in sent_words(attempt):
            wrong.append(f"shows what is the victim's: {response.text[:200]}")
    return wrong


def own_credentials(cast: Cast) -> set[str]:
    return {f"Bearer {key}" for name, key in cast.victim.keys.items() if name not in NO_LONGER}


def sent_words(attempt: Attempt) -> str:
    """What the attacker said himself may come back to him."""
    request = attempt.request
    return f"{request.url} {dict(request.query)} {request.json}".lower()

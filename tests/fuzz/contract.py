"""Schemathesis against a real server: every documented route with what its schema allows, and with what it doesn't."""

import asyncio
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.command import run
from tests.conftest import HANG_S
from tests.identities import api_key, database_of
from tests.served import Served

from frontdesk.core.ids import new_id
from frontdesk.identity.permissions import SCOPES, Permission, Role

# Who may not is refused; and so may be what a schema can't say: a context nested too deep or with a NUL character
# somewhere, a session that was cleared, a cursor that is not ours; of definitions that they fit together, and whose
# ETag is sent. Everything else that the schema allows must be accepted.
REFUSALS = """
[[operations]]
include-path-regex = "^/api/admin/keys"
checks.positive_data_acceptance.expected-statuses = ["2xx", "403", "404", "422"]

[[operations]]
include-method = "POST"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "410", "422", "429"]

[[operations]]
include-method = "GET"
include-path-regex = "sessions$"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "422", "429"]

[[operations]]
include-path-regex = "^/api/auth/sessions"
checks.allow_header_conformance.enabled = false  # they fit /api/{tenant}/sessions as well, of a tenant that can't be

[[operations]]
include-method = ["PUT", "PATCH", "DELETE"]
include-path-regex = "^/api/admin/"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "412", "422", "428", "401", "403", "429"]
checks.negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "409", "412", "415", "422", "428"]
"""
# A session that one family of routes made is erased by the other (`/session/…`), which this check takes for a loss.
LEFT_OUT = ("--exclude-checks", "ensure_resource_availability")
BROKEN = re.compile(r"\brequest\.failed\b|\[(?:error|critical)\s*\]|Traceback")


@dataclass(frozen=True)
class Found:
    """`report` is what Schemathesis printed, `broken` the server's own lines about what it didn't foresee."""

    passed: bool
    cases: int
    report: str
    broken: list[str]


async def signed_in(served: Served, role: Role, *, is_operator: bool = False) -> str:
    """The token of somebody new with the role: invited by command, and come by the link."""
    email = f"{role}-{new_id().hex}@example.org"
    printed = await asyncio.to_thread(
        run, "staff", "invite", email, "--role", role.value, "--data", str(served.data), "--tenant", "clinic"
    )
    body = {"token": printed.stdout.strip().partition("#token=")[2], "name": "Sam", "password": "as long as it takes"}
    accepted = await served.nobody.post("/api/auth/accept", json=body)
    assert accepted.status_code == 200, f"{accepted.text} {printed.stdout} {printed.stderr}"
    if is_operator:
        words = ("staff", "role", email, role.value, "--operator", "--data", str(served.data), "--tenant", "clinic")
        done = await asyncio.to_thread(run, *words)
        assert done.returncode == 0, done.stderr
    return str(accepted.json()["access_token"])


async def check_contract(
    served: Served, folder: Path, *amount: str, headers: tuple[str, ...] = (), credential: str | None = None
) -> Found:
    """`amount`: how much, in the words of `st run`. `credential`: who calls; left out, a key of everything but keys,
    as it would revoke its own."""
    if credential is None:
        async with database_of(served.data, {}) as database:
            credential = await api_key(database, "clinic", *(SCOPES - {Permission.KEYS_WRITE}))
    answer = await served.chat("What are your visiting hours?", user="0")
    explained = await served.client.get(f"/api/clinic/messages/{answer['message_id']}/explanation")
    assert explained.status_code == 200
    config = folder / "schemathesis.toml"
    config.write_text(_config(answer))
    sent = [f"Authorization: Bearer {credential}", *headers]
    if credential.startswith("fd_"):
        sent.append(f"X-API-Key: {credential}")  # else one is made up where the schema says that a key will do
    arguments = [word for header in sent for word in ("--header", header)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run",
        f"{served.url}/openapi.json", *amount, *arguments, *LEFT_OUT, "--continue-on-failure", "--warnings", "off",
        "--request-timeout", str(HANG_S),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=folder,
    )  # fmt: skip
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    report = said.decode(errors="replace")
    counted = re.search(r"(\d+) generated", report)
    return Found(
        process.returncode == 0, int(counted[1]) if counted else 0, report, list(filter(BROKEN.search, served.said))
    )


def _config(answer: dict[str, object]) -> str:
    """Ids of things that are there, where no link leads to them."""
    citations = answer["citations"]
    assert isinstance(citations, list)
    return (
        "[parameters]\n"
        '"path.tenant" = "clinic"\n'
        f'"path.conversation_id" = {json.dumps(answer["session_id"])}\n'
        f'"path.passage_id" = {json.dumps(citations[0]["passage_id"])}\n'
        f"{REFUSALS}"
    )

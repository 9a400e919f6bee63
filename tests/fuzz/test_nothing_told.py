"""Secrets and contacts' words are planted, everything is made to fail, and every output is searched for them."""

import base64
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from tests.conftest import of_database
from tests.crash.bells import Bells, bells
from tests.crash.desk import FILES, Desk
from tests.served import Served, serving
from tests.vendors.replies import Reply, ToolUse, VendorRequest
from tests.vendors.server import Vendor

from frontdesk.core.ids import new_id

__all__ = ["bells"]

PROVIDER_KEY = "sk-plantedproviderkey0001"
TOOL_SECRET = "plantedtoolsecret0002"
DATABASE_PASSWORD = "plantedpassword0003"
ENCRYPTION_KEY = base64.b64encode(b"plantedencryptionkey-0004-32byte").decode()
WORDS = "plantedwords0005"  # what a contact says
CONTEXT = "plantedcontext0006"
SECRETS = (PROVIDER_KEY, TOOL_SECRET, DATABASE_PASSWORD, ENCRYPTION_KEY, "plantedencryptionkey")
PLANTED = (*SECRETS, WORDS, CONTEXT)

BREAKS = """\
import asyncio


class Broken(Exception):
    pass


async def raises(arguments, context):
    told = f"{arguments['text']} {context}"
    try:
        raise Broken(told)
    except Broken as error:
        raise ValueError(told) from error


async def refused(arguments, context):
    await context.records.insert("refused", arguments["text"], {"text": arguments["text"]})


async def hangs(arguments, context):
    await asyncio.sleep(600)


async def shapeless(arguments, context):
    return {"text": object(), "of": arguments["text"]}
"""
TOOLS = ("raises", "refused", "hangs", "shapeless", "sends")
SCHEMA = "input_schema: {type: object, required: [text], properties: {text: {type: string, maxLength: 60}}}\n"


def files(service: str) -> dict[str, str]:
    found = {
        f"tools/{name}.yaml": (
            f"description: Breaks.\npython: {{file: tools/breaks.py, function: {name}}}\ntimeout_s: 0.5\n{SCHEMA}"
        )
        for name in TOOLS[:-1]
    }
    found["tools/sends.yaml"] = (
        f'description: Sends.\nhttp:\n  method: POST\n  url: "{service}/{{text}}"\n'
        f'  headers: {{Authorization: "Bearer ${{secret:PLANTED}}"}}\n{SCHEMA}'
    )
    found["tools/breaks.py"] = BREAKS
    found["tenant.yaml"] = FILES["tenant.yaml"] + "secrets:\n  PLANTED: {env: PLANTED_SECRET}\n"
    found["agents/clerk.yaml"] = FILES["agents/clerk.yaml"].replace("tools: [", f"tools: [{', '.join(TOOLS)}, ")
    return found


def repeats(request: VendorRequest) -> str:
    """What a talkative vendor says in its errors: the key, and what it was asked."""
    return f"Incorrect key {PROVIDER_KEY} for {json.dumps(request.body)[:5000]}"


def failing(request: VendorRequest) -> Reply:
    """Fails as the contact's last word asks."""
    kind = request.user.split()[-1]
    told = repeats(request)
    if kind in TOOLS:
        said = f"{WORDS}/../x" if kind == "sends" else f"{WORDS} {new_id()}"
        return Reply("Done.") if request.results else Reply(tool_calls=[ToolUse(kind, {"text": said})])
    replies = {
        "refused-key": Reply(status=401, code="invalid_api_key", message=told),
        "overloaded": Reply(status=503, code=WORDS, message=told),
        "unreadable": Reply(raw=told.encode()),
        "mid-stream": Reply("One two three", error_after=2, code=WORDS, message=told),
        "cut": Reply(WORDS, cut_after=1),
        "unknown-tool": Reply(tool_calls=[ToolUse(f"{WORDS}_tool", {"text": WORDS})]),
        "bad-arguments": Reply(tool_calls=[ToolUse("raises", {"text": WORDS * 10, WORDS: WORDS})]),
        "no-arguments": Reply(tool_calls=[ToolUse("raises", raw=f'{{"{WORDS}": ')]),
    }
    return replies[kind] if not request.results else Reply("Done.")


KINDS = (
    *TOOLS, "refused-key", "overloaded", "unreadable", "mid-stream", "cut", "unknown-tool", "bad-arguments",
    "no-arguments",
)  # fmt: skip


@pytest.fixture
async def owner(postgres: str, migrated_template: str) -> AsyncIterator[tuple[str, "asyncpg.Connection"]]:
    """A database of its own, by an address with a password, and its owner's connection."""
    name = f"t_{new_id().hex}"
    main = await asyncpg.connect(postgres)
    await main.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template} STRATEGY FILE_COPY")
    url = of_database(postgres, name)
    connection = await asyncpg.connect(url)
    try:
        yield url.replace("//postgres:@", f"//postgres:{DATABASE_PASSWORD}@", 1), connection
    finally:
        await connection.close()
        await main.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await main.close()


@pytest.mark.parametrize("env", ["development", "production"])
async def test_no_output_tells_a_secret_or_a_contacts_words(
    env: str, vendor: Vendor, bells: Bells, owner: tuple[str, "asyncpg.Connection"]
) -> None:
    url, connection = owner
    assert DATABASE_PASSWORD in url
    with tempfile.TemporaryDirectory(prefix="frontdesk-told-") as folder:
        environment = {
            "FRONTDESK_ENV": env,
            "FRONTDESK_DATABASE_URL": url,
            "FRONTDESK_ENCRYPTION_KEYS": ENCRYPTION_KEY,
            "FRONTDESK_OPENAI_API_KEY": PROVIDER_KEY,
            "FRONTDESK_GATEWAY__DEADLINE_S": "2",
            "FRONTDESK_GATEWAY__BREAKER_FAILURES": "1000000",
            "PLANTED_SECRET": TOOL_SECRET,
        }
        desk = Desk(Path(folder), vendor, bells, environment, files(bells.url))
        vendor.responder = failing
        async with serving(desk.data, desk.environment) as served:
            await connection.execute("ALTER TABLE records ADD CHECK (collection <> 'refused')")
            told = Told(served)
            for kind in KINDS:
                for accept in ("application/json", "text/event-stream"):
                    await told.post("/api/desk/chat", f"note {WORDS} {kind}", {"accept": accept})
            await refused_requests(told)
            await broken_database(told, connection)
            await told.get("/metrics", "/health/detailed", "/health/ready", "/openapi.json")
            assert await served.stop() == 0
        outputs = told.outputs | {"log": "\n".join(served.said)} | await stored(connection)
    found = [(where, planted) for where, text in outputs.items() for planted in PLANTED if planted in text]
    assert found == []
    for happened in (
        *("agent.provider_failed", "tool.failed", "tool.timed_out", "request.failed", "PROVIDER_AUTH_FAILED"),
        *("PROVIDER_OVERLOADED", "PROVIDER_NONSENSE", "PROVIDER_CONNECTION_LOST"),
    ):
        assert happened in outputs["log"], happened


class Told:
    """What the server answered, by request."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.outputs: dict[str, str] = {}

    async def post(self, path: str, message: object, headers: dict[str, str] | None = None, **fields: object) -> int:
        body = {"user_id": "ann", "message": message, "context": {"note": CONTEXT}} | fields
        response = await self.served.client.post(path, json=body, headers=headers)
        self._keep(f"POST {path} {len(self.outputs)}", response.status_code, response.text, str(response.headers))
        return response.status_code

    async def get(self, *paths: str) -> None:
        for path in paths:
            response = await self.served.nobody.get(path)
            self._keep(f"GET {path}", response.status_code, response.text, str(response.headers))

    def _keep(self, name: str, status: int, *parts: str) -> None:
        self.outputs[f"{name} {status}"] = "\n".join(parts)


async def refused_requests(told: Told) -> None:
    """A refusal names the field, not what stood in it."""
    chat = "/api/desk/chat"
    assert await told.post(chat, WORDS * 500) == 422
    assert await told.post(chat, [WORDS]) == 422
    assert await told.post(chat, WORDS, channel=WORDS.upper()) == 422
    assert await told.post(chat, WORDS, session_id=WORDS) == 422
    assert await told.post(chat, WORDS, attachments=[{WORDS: WORDS}]) == 422
    assert await told.post(chat, WORDS, context={"deep": CONTEXT, "nul": "\x00"}) == 422
    key = {"idempotency-key": "planted"}
    await told.post("/api/desk/messages", f"note {WORDS} cut", key)
    assert await told.post("/api/desk/messages", f"{WORDS} other", key) == 409
    malformed = await told.served.client.post(
        chat, content=f'{{"message": "{WORDS}'.encode(), headers={"content-type": "application/json"}
    )
    told.outputs["malformed"] = malformed.text


async def broken_database(told: Told, connection: "asyncpg.Connection") -> None:
    """PostgreSQL's own errors quote rows and values: nobody foresaw these."""
    await connection.execute("ALTER TABLE contacts ADD CHECK (external_id <> 'planted')")
    assert await told.post("/api/desk/chat", f"note {WORDS} cut", user_id="planted") == 500
    await connection.execute("ALTER TABLE messages RENAME COLUMN body TO gone")
    assert await told.post("/api/desk/chat", f"note {WORDS} cut") == 500
    await connection.execute("ALTER TABLE messages RENAME COLUMN gone TO body")


async def stored(connection: "asyncpg.Connection") -> dict[str, str]:
    """Every table as text: what is kept is sealed, also in events and dead letters."""
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = {}
    for (table,) in tables:
        rows = await connection.fetch(f"SELECT t::text, to_jsonb(t)::text AS row FROM {table} AS t")
        found[f"table {table}"] = "\n".join(str(tuple(row)) for row in rows) + " ".join(
            bytes(value).decode("latin-1")
            for row in await connection.fetch(f"SELECT * FROM {table}")
            for value in row.values()
            if isinstance(value, bytes)
        )
    return found

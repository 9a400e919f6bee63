"""Secrets of every kind are planted, used and refused, and every output is searched for them: answers, logs, metrics,
events, the audit log, exports, OpenAPI, commands, the list of processes, and the settings as they are shown."""

import asyncio
import base64
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import asyncpg
import httpx
import psutil
import pytest
from tests.command import run
from tests.crash.bells import Bells, bells
from tests.crash.desk import FILES, Desk
from tests.fuzz.test_nothing_told import owner, stored
from tests.served import serving
from tests.vendors.replies import Reply, ToolUse, VendorRequest
from tests.vendors.server import Vendor

from frontdesk.core.settings import load_settings

__all__ = ["bells", "owner"]


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


# By the variable that brings it, and what of its value is the secret.
ENVIRONMENT = {
    "FRONTDESK_OPENAI_API_KEY": "sk-canary-openai-0001",
    "ANTHROPIC_API_KEY": "sk-canary-anthropic-0002",
    "GEMINI_API_KEY": "canary-gemini-0003",
    "FRONTDESK_PROVIDERS__OURS__API_KEY": "canary-ours-0004",
    "FRONTDESK_SMTP__PASSWORD": "canary-smtp-0005",
    "CANARY_TOOL": "canary-tool-0006",
    "CANARY_KEY": "canary-own-key-0007",
    "CANARY_OIDC": "canary-unused-0008",
}
SEALING = (b"canary-sealing-first-0009-32byte", b"canary-sealing-other-0010-32byte")
PASSWORD, WRONG_PASSWORD = "canary password 0011 right", "canary password 0012 wrong"
WRONG_KEY, WRONG_TOKEN = "fd_canary0013canary0013_canary0013", "canary0014.canary0014.canary0014"
REDIS_PASSWORD = "canary-redis-0015"
EVERY = (
    *ENVIRONMENT.values(), *(encoded(key) for key in SEALING), "canary-sealing", PASSWORD, WRONG_PASSWORD,
    "canary0013", "canary0014", REDIS_PASSWORD, "plantedpassword0003",
)  # fmt: skip

TENANT_FILES = {
    "tenant.yaml": FILES["tenant.yaml"]
    + "secrets: {TOOL: {env: CANARY_TOOL}, KEY: {env: CANARY_KEY}, OIDC: {env: CANARY_OIDC}}\n",
    "llm.yaml": """\
aliases:
  smart:
    chain:
      - {provider: anthropic, model: small, secret: KEY}
      - {provider: gemini, model: small}
      - {provider: ours, model: small}
      - {provider: openai, model: small}
  fast: {chain: [{provider: openai, model: small}]}
""",
    "tools/sends.yaml": """\
description: Sends.
http:
  method: POST
  url: "BELLS/posts"
  headers: {Authorization: "Bearer ${secret:TOOL}"}
input_schema: {type: object, required: [text], properties: {text: {type: string, maxLength: 60}}}
""",
    "agents/clerk.yaml": FILES["agents/clerk.yaml"].replace("tools: [", "tools: [sends, "),
}


def repeating(request: VendorRequest) -> Reply:
    """A vendor whose errors repeat the key that it was shown; the last of the chain answers, by way of the tool."""
    key = request.headers.get("x-api-key") or request.headers.get("x-goog-api-key") or request.headers["authorization"]
    if "openai" not in key:
        return Reply(status=401, code=key, message=f"Incorrect key {key}")
    if request.results or "sends" not in request.user:
        return Reply("Done.")
    return Reply(tool_calls=[ToolUse("sends", {"text": "a"})])


# Each takes seconds; what they say does not hang on the environment.
COMMANDS = {
    "development": (("doctor",),),
    "production": (
        ("doctor",), ("tenant", "list"), ("tenant", "show", "desk"), ("key", "list", "--tenant", "desk"),
        ("staff", "list", "--tenant", "desk"), ("audit", "verify"), ("audit", "export", "desk"),
        ("audit", "export", str(UUID(int=0))), ("export", "desk", "--with-data"), ("rotate-keys",),
        ("rotate-signing-key",),
    ),
}  # fmt: skip


class Outputs:
    """What was told, by where; and what is a secret since it was given out."""

    def __init__(self) -> None:
        self.by_name: dict[str, str] = {}
        self.given: dict[str, str] = {}

    def heard(self, response: httpx.Response) -> httpx.Response:
        name = f"{response.request.method} {response.request.url.path} {response.status_code} {len(self.by_name)}"
        self.by_name[name] = f"{response.headers}\n{response.text}"
        return response

    def gave(self, name: str, response: httpx.Response) -> Any:
        """An answer whose very purpose it is to give a secret out: its text is not searched, its secrets are."""
        assert response.status_code in (200, 201), response.text
        answered = response.json()
        for field, value in answered.items():
            if isinstance(value, str) and field in ("access_token", "refresh_token", "key", "secret", "uri", "link"):
                self.given[f"{name}.{field}"] = value
        return answered

    def ran(self, name: str, done: "subprocess.CompletedProcess[str]") -> str:
        self.by_name[f"frontdesk {name}"] = f"{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def told(self, planted: Mapping[str, str]) -> list[tuple[str, str]]:
        return [
            (where, name) for where, text in self.by_name.items() for name, value in planted.items() if value in text
        ]


@pytest.mark.parametrize("env", ["development", "production"])
async def test_no_output_tells_a_secret(
    env: str, vendor: Vendor, bells: Bells, owner: tuple[str, "asyncpg.Connection"]
) -> None:
    url, connection = owner
    outputs = Outputs()
    with tempfile.TemporaryDirectory(prefix="frontdesk-untold-") as folder:
        environment = ENVIRONMENT | {
            "FRONTDESK_ENV": env,
            "FRONTDESK_DEVELOPER": "false",
            "FRONTDESK_DATABASE_URL": url,
            "FRONTDESK_ENCRYPTION_KEYS": ",".join(encoded(key) for key in SEALING),
            "FRONTDESK_ANTHROPIC_BASE_URL": vendor.url,
            "FRONTDESK_GEMINI_BASE_URL": vendor.url,
            "FRONTDESK_PROVIDERS__OURS__BASE_URL": vendor.openai_url,
            "FRONTDESK_SMTP__HOST": "127.0.0.1",
            "FRONTDESK_SMTP__PORT": "9",
            "FRONTDESK_SMTP__USER": "desk",
            "FRONTDESK_REDIS_URL": f"redis://:{REDIS_PASSWORD}@127.0.0.1:9/0",
            "FRONTDESK_GATEWAY__ATTEMPTS": "1",
        }
        desk = Desk(Path(folder), vendor, bells, environment, TENANT_FILES)
        vendor.responder = repeating
        with patch.dict("os.environ", desk.environment):
            settings = load_settings(desk.environment)
        outputs.by_name["settings"] = f"{settings!r}\n{settings}\n{settings.model_dump_json()}\n{settings.model_dump()}"
        async with serving(desk.data, desk.environment) as served:
            outputs.given["key of the test"] = served.key
            command = Commands(outputs, desk.environment | {"FRONTDESK_DATA": str(desk.data)})
            for message in ("note one", "please use sends"):
                asked = {"user_id": "ann", "message": message}
                answered = outputs.heard(await served.nobody.post("/api/desk/chat", json=asked)).json()
                why = f"/api/desk/messages/{answered['message_id']}/explanation"
                assert outputs.heard(await served.client.get(why)).status_code == 200
            await keys_used(served.client, served.nobody, outputs)
            await signed_in(served.nobody, command, outputs)
            await everything_got(served.client, served.nobody, outputs)
            await broken(served.client, connection, outputs)
            outputs.by_name["processes"] = await asyncio.to_thread(processes, served.process.pid)
            for arguments in COMMANDS[env]:
                await command.runs(*arguments, *([str(desk.place / "exported")] if arguments[0] == "export" else ()))
            assert await served.stop() == 0
        outputs.by_name["log"] = "\n".join(served.said)
        outputs.by_name |= await stored(connection)
        for path in (desk.place / "exported").rglob("*"):
            if path.is_file():
                outputs.by_name[f"exported {path.name}"] = path.read_text(errors="replace")
    planted = {value: value for value in EVERY} | outputs.given
    assert outputs.told(planted) == []
    used = "".join(str(request.headers) for request in vendor.requests)
    for key in ("FRONTDESK_OPENAI_API_KEY", "CANARY_KEY", "GEMINI_API_KEY", "FRONTDESK_PROVIDERS__OURS__API_KEY"):
        assert ENVIRONMENT[key] in used, f"{key} was never used"
    assert any(name.startswith("exported") for name in outputs.by_name) == (env == "production")
    assert "auth_failed" in outputs.by_name["table llm_calls"].lower()


class Commands:
    def __init__(self, outputs: Outputs, environment: Mapping[str, str]) -> None:
        self._outputs = outputs
        self._environment = dict(environment)

    async def link(self, *arguments: str) -> str:
        """The token of a link that a command prints: it is what the command is for."""
        done = await asyncio.to_thread(run, *arguments, **self._environment)
        found = re.search(r"#token=(\S+)", done.stdout + done.stderr)
        assert found is not None, done.stderr
        self._outputs.given[f"link of {' '.join(arguments)}"] = found[1]
        return found[1]

    async def runs(self, *arguments: str) -> str:
        done = await asyncio.to_thread(run, *arguments, **self._environment)
        return self._outputs.ran(" ".join(arguments), done)


async def keys_used(client: httpx.AsyncClient, nobody: httpx.AsyncClient, outputs: Outputs) -> None:
    """An API key that is made, used and refused, and what is no credential at all."""
    made = outputs.gave("API key", await client.post("/api/admin/keys", json={"name": "canary", "scopes": ["chat"]}))
    for key in (made["key"], f"{made['key']}x", WRONG_KEY, WRONG_TOKEN, f"Basic {WRONG_KEY}"):
        bearer = {"authorization": f"Bearer {key}"}
        outputs.heard(await nobody.get("/api/admin/keys", headers=bearer))
        outputs.heard(await nobody.get(f"/api/desk/messages/{uuid4()}/explanation", headers=bearer))
        outputs.heard(await nobody.get(f"/api/desk/{key}", headers=bearer))
    refused = await client.post("/api/admin/keys", json={"name": "canary", "scopes": [WRONG_KEY], "key": WRONG_KEY})
    assert outputs.heard(refused).status_code == 422
    assert (await client.delete(f"/api/admin/keys/{made['id']}")).status_code == 204


async def signed_in(client: httpx.AsyncClient, command: Commands, outputs: Outputs) -> None:
    """The first owner begins, is refused in every way, and gives out what there is to give."""
    token = await command.link("staff", "link", "--tenant", "desk")
    begins = {"token": token, "name": "Ann", "email": "ann@example.org", "password": PASSWORD}
    outputs.heard(await client.post("/api/auth/accept", json=begins | {"password": "short"}))
    outputs.gave("accepted", await client.post("/api/auth/accept", json=begins))
    outputs.heard(await client.post("/api/auth/accept", json=begins))
    who = {"email": "ann@example.org", "tenant": "desk"}
    outputs.heard(await client.post("/api/auth/sign-in", json=who | {"password": WRONG_PASSWORD}))
    outputs.heard(await client.post("/api/auth/sign-in", json=who | {"password": {"a": WRONG_PASSWORD}}))
    opened = outputs.gave("signed in", await client.post("/api/auth/sign-in", json=who | {"password": PASSWORD}))
    refreshed = {"refresh_token": opened["refresh_token"]}
    again = outputs.gave("refreshed", await client.post("/api/auth/refresh", json=refreshed))
    bearer = {"authorization": f"Bearer {again['access_token']}"}
    factor = {"password": PASSWORD}
    outputs.gave("factor", await client.post("/api/auth/second-factor", json=factor, headers=bearer))
    outputs.heard(await client.post("/api/auth/second-factor", json={"password": WRONG_PASSWORD}, headers=bearer))
    outputs.heard(await client.post("/api/auth/forgot", json=who))
    outputs.heard(
        await client.put("/api/auth/password", json={"current": WRONG_PASSWORD, "new": PASSWORD}, headers=bearer)
    )
    for path in ("/api/auth/me", "/api/auth/sessions", "/api/admin/staff", "/api/admin/keys", "/api/admin/audit"):
        outputs.heard(await client.get(path, headers=bearer))
    for wrong in (WRONG_KEY, WRONG_TOKEN, f"{again['access_token']}canary0014"):
        outputs.heard(await client.get("/api/auth/me", headers={"authorization": f"Bearer {wrong}"}))
    outputs.heard(await client.post("/api/auth/refresh", json=refreshed))  # a second time: it was stolen, perhaps


async def everything_got(client: httpx.AsyncClient, nobody: httpx.AsyncClient, outputs: Outputs) -> None:
    """Every route that needs no more than a tenant to be asked."""
    paths = json.loads((await nobody.get("/openapi.json")).text)["paths"]
    asked = [path.replace("{tenant}", "desk") for path, routes in paths.items() if "get" in routes]
    for path in [*asked, "/openapi.json", "/metrics", "/health/detailed", "/.well-known/jwks.json"]:
        if "{" not in path:
            for who in (client, nobody):
                outputs.heard(await who.get(path))


async def broken(client: httpx.AsyncClient, connection: "asyncpg.Connection", outputs: Outputs) -> None:
    """What nobody foresaw while a key is being looked at, and while another is made: PostgreSQL's errors quote rows."""
    await connection.execute("ALTER TABLE api_keys ADD CHECK (name <> 'refused')")
    failed = await client.post("/api/admin/keys", json={"name": "refused", "scopes": ["chat"]})
    assert outputs.heard(failed).status_code == 500
    await connection.execute("ALTER TABLE api_keys RENAME TO keys_away")
    outputs.heard(await client.get("/api/admin/keys"))
    await connection.execute("ALTER TABLE keys_away RENAME TO api_keys")


def processes(pid: int) -> str:
    """How the server and what it has started are named, to whoever lists processes."""
    server = psutil.Process(pid)
    return "\n".join(" ".join(each.cmdline()) for each in (server, *server.children(recursive=True)))

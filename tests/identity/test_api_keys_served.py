"""API keys over HTTP and by the command: made, used, listed, revoked."""

import asyncio
from uuid import uuid4

import httpx
import pytest
from tests.command import run
from tests.conftest import HANG_S
from tests.served import Served


@pytest.fixture
def bare(served: Served) -> httpx.AsyncClient:
    return served.nobody


async def test_a_key_made_by_the_api_works_until_it_is_revoked(served: Served, bare: httpx.AsyncClient) -> None:
    maker = await served.bearing_key("clinic")
    body = {"name": "shop", "scopes": ["chat", "conversations:read"], "expires_at": "2100-01-01T00:00:00Z"}
    made = await bare.post("/api/admin/keys", json=body, headers=maker)
    assert made.status_code == 201 and made.headers["cache-control"] == "no-store"
    key = made.json()
    said = {"user_id": "ann", "message": "When are visiting hours?"}
    for header in ({"authorization": f"Bearer {key['key']}"}, {"x-api-key": key["key"]}):
        answer = await bare.post("/api/clinic/chat", json=said, headers=header)
        assert answer.status_code == 200
        address = f"/api/clinic/messages/{answer.json()['message_id']}/explanation"
        assert (await bare.get(address, headers=header)).status_code == 200
        refused = await bare.get("/api/clinic/sessions", params={"user_id": "ann"}, headers=header)
        assert (refused.status_code, refused.json()["error_code"]) == (403, "FORBIDDEN")
        assert "sessions:list" in refused.json()["detail"]
    [listed] = [each for each in await keys(bare, maker) if each["id"] == key["id"]]
    assert "key" not in listed and key["key"].startswith(f"fd_{listed['prefix']}_")
    assert (await bare.delete(f"/api/admin/keys/{key['id']}", headers=maker)).status_code == 204
    assert (await bare.delete(f"/api/admin/keys/{key['id']}", headers=maker)).status_code == 204
    refused = await bare.post("/api/clinic/chat", json=said, headers={"x-api-key": key["key"]})
    assert (refused.status_code, refused.json()["error_code"]) == (401, "TOKEN_INVALID")


async def keys(client: httpx.AsyncClient, headers: dict[str, str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    cursor: dict[str, str] = {}
    while True:
        response = await client.get("/api/admin/keys", params={"limit": "2"} | cursor, headers=headers)
        assert response.status_code == 200, response.text
        found += response.json()["items"]
        if response.json()["next_cursor"] is None:
            return found
        cursor = {"cursor": response.json()["next_cursor"]}


async def test_a_key_that_is_asked_for_twice_is_made_once(served: Served, bare: httpx.AsyncClient) -> None:
    maker = await served.bearing_key("clinic")
    body, once = {"name": "once", "scopes": ["chat"]}, maker | {"idempotency-key": str(uuid4())}
    first = (await bare.post("/api/admin/keys", json=body, headers=once)).json()
    again = await bare.post("/api/admin/keys", json=body, headers=once)
    assert again.status_code == 201
    same = ("prefix", "name", "scopes", "made_by", "expires_at", "revoked_at")
    assert [again.json()[each] for each in same] == [first[each] for each in same]
    assert again.json()["key"] != first["key"]  # which is kept nowhere: it is another, in place of the first
    assert [each["name"] for each in await keys(bare, maker)].count("once") == 1
    said, used = {"user_id": "ann", "message": "hello"}, {"x-api-key": again.json()["key"]}
    assert (await bare.post("/api/clinic/chat", json=said, headers=used)).status_code == 200
    refused = await bare.post("/api/clinic/chat", json=said, headers={"x-api-key": first["key"]})
    assert (refused.status_code, refused.json()["error_code"]) == (401, "TOKEN_INVALID")
    other = await bare.post("/api/admin/keys", json=body | {"name": "other"}, headers=once)
    assert (other.status_code, other.json()["error_code"]) == (409, "IDEMPOTENCY_CONFLICT")
    assert (await bare.delete(f"/api/admin/keys/{again.json()['id']}", headers=maker)).status_code == 204
    gone = await bare.post("/api/admin/keys", json=body, headers=once)
    assert (gone.status_code, gone.json()["error_code"]) == (409, "CONFLICT")
    elsewhere = await served.bearing_key("clinic") | {"idempotency-key": once["idempotency-key"]}
    assert (await bare.post("/api/admin/keys", json=body, headers=elsewhere)).status_code == 201  # another's key


async def test_a_key_makes_no_key_that_may_more(served: Served, bare: httpx.AsyncClient) -> None:
    maker = await served.bearing_key("clinic", "keys:write", "chat")
    more = await bare.post("/api/admin/keys", json={"name": "x", "scopes": ["chat", "audit:read"]}, headers=maker)
    assert (more.status_code, more.json()["error_code"]) == (403, "FORBIDDEN")
    assert "audit:read" in more.json()["detail"]
    assert (await bare.get("/api/admin/keys", headers=maker)).status_code == 403
    unknown = await bare.post("/api/admin/keys", json={"name": "x", "scopes": ["root"]}, headers=maker)
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "scopes")
    past = {"name": "x", "scopes": ["chat"], "expires_at": "2020-01-01T00:00:00Z"}
    assert (await bare.post("/api/admin/keys", json=past, headers=maker)).status_code == 422
    assert (await bare.delete(f"/api/admin/keys/{uuid4()}", headers=maker)).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer fd_aaaaaaaaaaaa_" + "A" * 43},
        {"authorization": "Basic YW5uOmFubg=="},
        {"authorization": "Bearer"},
        {"authorization": ""},
        {"x-api-key": ""},
        {"x-api-key": "x" * 10_000},
    ],
)
async def test_a_bad_credential_is_refused_where_none_would_do(
    bare: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    body = {"user_id": "ann", "message": "Where can I park?"}
    refused = await bare.post("/api/clinic/chat", json=body, headers=headers)
    assert (refused.status_code, refused.json()["error_code"]) == (401, "TOKEN_INVALID")


async def test_the_command_makes_lists_and_revokes_keys(served: Served, bare: httpx.AsyncClient) -> None:
    data = ("--data", str(served.data))
    made = await asyncio.to_thread(run, "key", "create", "nightly", "--scope", "sessions:list", "--days", "7", *data)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    headers = {"x-api-key": key}
    assert (await bare.get("/api/clinic/sessions", params={"user_id": "ann"}, headers=headers)).status_code == 200
    listed = await asyncio.to_thread(run, "key", "list", *data, COLUMNS="200")
    assert "nightly" in listed.stdout and key[:15] in listed.stdout and key not in listed.stdout
    revoked = await asyncio.to_thread(run, "key", "revoke", key[:15], *data)
    assert revoked.returncode == 0, revoked.stderr
    async with asyncio.timeout(HANG_S):  # another process: within two seconds
        while (await bare.get("/api/admin/keys", headers=headers)).status_code != 401:
            await asyncio.sleep(0.1)
    wrong = await asyncio.to_thread(run, "key", "create", "x", "--scope", "root", *data)
    assert wrong.returncode == 1 and "scopes: must be some of" in wrong.stderr

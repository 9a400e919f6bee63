"""Operators' routes: tenants are made and listed; suspended, resumed and deleted by who has read what he changes."""

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from uuid import UUID

import httpx
from tests.apply.tenant_folder import write_folder
from tests.command import run
from tests.conftest import HANG_S
from tests.identities import database_of
from tests.served import serving

from frontdesk.core.ids import new_id
from frontdesk.tenants.store import lock_tenant

PATH = "/api/admin/tenants"


NEW = {"slug": "acme", "name": "Acme", "languages": ["es"], "owner": "Ann@acme.example"}


async def test_a_tenant_is_made_once_and_its_owner_makes_it_answer() -> None:
    with tempfile.TemporaryDirectory(prefix="frontdesk-admin-") as folder:
        async with serving(Path(folder) / "data", {"FRONTDESK_DEVELOPER": "true"}) as served:
            client = served.client
            client.headers.pop("authorization", None)
            key = {"idempotency-key": "one"}
            made = (await client.post(PATH, json=NEW, headers=key)).json()
            tenant, owner = made["tenant"], made["owner"]
            assert (tenant["slug"], tenant["state"], owner["staff"]["role"]) == ("acme", "active", "owner")
            again = await client.post(PATH, json=NEW, headers=key)
            assert again.status_code == 201
            assert again.json()["tenant"] == tenant
            for other in ({"slug": "other"}, {"name": "Other"}, {"owner": "ben@acme.example"}):
                refused = await client.post(PATH, json=NEW | other, headers=key)
                assert (refused.status_code, refused.json()["error_code"]) == (409, "IDEMPOTENCY_CONFLICT"), other
            taken = await client.post(PATH, json=NEW)
            assert (taken.status_code, taken.json()["error_code"]) == (409, "CONFLICT")
            for wrong in ({"slug": "admin"}, {"slug": "A b"}, {"owner": "nobody"}, {"languages": []}, {"more": 1}):
                assert (await client.post(PATH, json=NEW | {"slug": "new"} | wrong)).status_code == 422, wrong
            assert (await client.get("/api/new/page")).status_code == 404

            accepted = {"name": "Ann", "password": "a long enough passphrase"}
            stale, link = ({"token": each["link"].partition("#token=")[2]} for each in (owner, again.json()["owner"]))
            assert (await client.post("/api/auth/accept", json=accepted | stale)).is_error
            tokens = (await client.post("/api/auth/accept", json=accepted | link)).json()
            ann = {"authorization": f"Bearer {tokens['access_token']}"}
            third = (await client.post(PATH, json=NEW, headers=key)).json()
            assert (third["owner"]["staff"]["state"], third["owner"]["link"]) == ("active", None)
            assert (await client.get(PATH, headers=ann)).status_code == 403
            text = "# Hours\n\nThe Acme desk is open from nine until noon on Mondays.\n"
            document = {"content-type": "text/markdown"} | ann
            stored = await client.put("/api/admin/documents/hours.md", content=text, headers=document)
            assert stored.status_code < 300, stored.text
            said = {"user_id": "eve", "message": "When is the Acme desk open on Mondays?"}
            answer = (await client.post("/api/acme/chat", json=said, headers=ann)).json()
            assert "nine until noon" in answer["text"]
            settings = (await client.get("/api/admin/settings", headers=ann)).json()["settings"]
            assert (settings["languages"], settings["emergency"]["texts"]["en"][:4]) == (["es"], "If t")
            log = (await client.get("/api/admin/audit", headers=ann, params={"limit": 200})).json()["items"]
            actions = [entry["action"] for entry in log]
            assert {"tenant.added", "agent.added", "staff.invited"} <= set(actions)

            command = ("tenant", "create", "globex", "--name", "Globex", "--data", str(served.data))
            done = await asyncio.to_thread(run, *command, "--owner", "ben@globex.example")
            assert done.returncode == 0, done.stderr
            token = {"token": done.stdout.strip().partition("#token=")[2]}
            assert (await client.post("/api/auth/accept", json=accepted | token)).status_code == 200
            taken = await asyncio.to_thread(run, *command)
            assert (taken.returncode, "globex already" in taken.stderr) == (1, True), taken.stderr
            bad = await asyncio.to_thread(run, "tenant", "create", "A b", "--name", "x", "--data", str(served.data))
            assert (bad.returncode, "tenant.yaml: slug" in bad.stderr) == (1, True), bad.stderr


async def held_until_both_wait(
    data: Path, tenant_id: UUID, requests: list[Coroutine[None, None, httpx.Response]]
) -> list[httpx.Response]:
    """Their answers: nobody could change the tenant before all of them wanted to."""
    async with (
        database_of(data, {}) as database,
        asyncio.timeout(HANG_S),
        asyncio.TaskGroup() as group,
        database.scope(tenant_id) as scope,
    ):
        await lock_tenant(scope)
        asked = [group.create_task(each) for each in requests]
        while await scope.fetchval("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted") < len(asked):
            await asyncio.sleep(0.02)
    return [each.result() for each in asked]


async def test_an_operator_says_what_a_tenant_may_use() -> None:
    with tempfile.TemporaryDirectory(prefix="frontdesk-admin-") as folder:
        async with serving(Path(folder) / "data", {"FRONTDESK_DEVELOPER": "true"}) as served:
            client = served.client
            client.headers.pop("authorization", None)
            [tenant] = (await client.get(PATH)).json()["items"]
            at = f"{PATH}/{tenant['id']}/bounds"
            read = await client.get(at)
            bounds, etag = read.json()["bounds"], read.headers["etag"]
            assert set(bounds) == {"region", "permitted", "limits", "requests_per_minute", "tokens_per_minute"}
            assert etag == read.json()["etag"]
            wanted = {"limits": {"conversation_messages": 2}, "region": "eu"}
            for refused, status in (
                (await client.patch(at, json=wanted), 428),
                (await client.patch(at, json=wanted, headers={"if-match": '"old"'}), 412),
                (await client.patch(f"{PATH}/{new_id()}/bounds", json=wanted, headers={"if-match": etag}), 404),
                (await client.get(f"{PATH}/{new_id()}/bounds"), 404),
                *[
                    (await client.patch(at, json=wrong, headers={"if-match": etag}), 422)
                    for wrong in (
                        {"limits": {"conversation_messages": 0}},
                        {"limits": {"cars": 1}},
                        {"greeting": "x"},
                        {"http_allow": []},
                    )
                ],
            ):
                assert refused.status_code == status, refused.text
            said = {"user_id": "bea", "message": "When do you open?"}
            first = (await client.post("/api/clinic/chat", json=said)).json()
            done = await client.patch(at, json=wanted, headers={"if-match": etag})
            assert (done.status_code, done.json()["bounds"]["region"]) == (200, "eu")
            assert done.json()["bounds"]["limits"]["conversation_messages"] == 2
            settings = (await client.get("/api/admin/settings")).json()["settings"]
            assert settings["limits"]["conversation_messages"] == 2
            async with asyncio.timeout(HANG_S):  # a change reaches the door within two seconds
                while True:
                    full = await client.post("/api/clinic/chat", json=said | {"session_id": first["session_id"]})
                    if full.status_code == 403:
                        break
            assert full.json()["error_code"] == "QUOTA_REACHED"
            back = {"limits": None, "region": None}
            assert (await client.patch(at, json=back, headers={"if-match": "*"})).json()["bounds"] == bounds
            log = (await client.get("/api/admin/audit", params={"limit": 5})).json()["items"]
            assert [entry["action"] for entry in log if entry["target"].startswith("tenant")][:2] == [
                "tenant.changed"
            ] * 2


async def test_an_operator_suspends_resumes_and_deletes_a_tenant_that_he_has_read() -> None:
    with tempfile.TemporaryDirectory(prefix="frontdesk-admin-") as folder:
        write_folder(Path(folder) / "tenants")
        environment = {"FRONTDESK_DEVELOPER": "true", "FRONTDESK_TENANTS": f"{folder}/tenants"}
        async with serving(Path(folder) / "data", environment) as served:
            client = served.client
            client.headers.pop("authorization", None)
            listed = (await client.get(PATH, params={"limit": 1})).json()
            [tenant] = listed["items"]
            assert (tenant["slug"], tenant["state"], listed["next_cursor"]) == ("bakery", "active", "bakery")
            rest = (await client.get(PATH, params={"cursor": "bakery"})).json()
            [own] = rest["items"]
            assert (own["slug"], rest["next_cursor"]) == ("clinic", None)
            at = f"{PATH}/{tenant['id']}"
            assert (await client.get(f"{PATH}/{new_id()}")).status_code == 404

            stale = (await client.get(at)).headers["etag"]
            suspend, resume = {"state": "suspended"}, {"state": "active"}
            assert (await client.put(f"{at}/state", json=suspend)).status_code == 428
            both = await held_until_both_wait(
                served.data,
                UUID(tenant["id"]),
                [client.put(f"{at}/state", json=suspend, headers={"if-match": stale}) for _ in range(2)],
            )
            done, refused = sorted(both, key=lambda response: response.status_code)
            assert (done.status_code, done.json()["state"], refused.status_code) == (200, "suspended", 412)
            refused = await client.put(f"{at}/state", json=resume, headers={"if-match": stale})
            assert (refused.status_code, refused.json()["error_code"]) == (412, "PRECONDITION_FAILED")
            fresh = {"if-match": done.headers["etag"]}
            assert (await client.put(f"{at}/state", json={"state": "deleting"}, headers=fresh)).status_code == 422
            assert (await client.delete(at, headers={"if-match": stale})).status_code == 412
            deleted = await client.delete(at, headers=fresh)
            assert (deleted.status_code, deleted.json()["state"]) == (202, "deleting")
            for refused in (
                await client.put(f"{PATH}/{own['id']}/state", json=suspend, headers={"if-match": "*"}),
                await client.delete(f"{PATH}/{own['id']}", headers={"if-match": "*"}),
            ):
                assert (refused.status_code, refused.json()["error_code"]) == (409, "CONFLICT")
            async with asyncio.timeout(HANG_S):
                while (await client.get(at)).status_code != 404:
                    await asyncio.sleep(0.2)

"""Operators' routes: tenants are listed, suspended, resumed and deleted, by who has read what he changes."""

import asyncio
import tempfile
from pathlib import Path

from tests.apply.tenant_folder import write_folder
from tests.conftest import HANG_S
from tests.served import serving

from frontdesk.core.ids import new_id

PATH = "/api/admin/tenants"


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
            done = await client.put(f"{at}/state", json=suspend, headers={"if-match": stale})
            assert (done.status_code, done.json()["state"]) == (200, "suspended")
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

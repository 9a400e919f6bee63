"""The audit log by the API: an organisation reads its own entries, and only who may."""

from typing import Any

import httpx
import pytest
from tests.conftest import HANG_S
from tests.identities import api_key, database_of
from tests.served import Served

from frontdesk.audit import Actor, append
from frontdesk.core.ids import new_id
from frontdesk.tenants.store import create_tenant, tenant_named


async def entries(served: Served, headers: dict[str, str], **params: Any) -> list[dict[str, Any]]:
    """All pages of two."""
    found: list[dict[str, Any]] = []
    async with httpx.AsyncClient(base_url=served.url, timeout=HANG_S) as client:
        while True:
            response = await client.get("/api/admin/audit", params={"limit": 2} | params, headers=headers)
            assert response.status_code == 200, response.text
            found += response.json()["items"]
            if response.json()["next_cursor"] is None:
                return found
            params["cursor"] = response.json()["next_cursor"]


async def test_an_organisation_reads_its_own_entries_page_by_page(served: Served) -> None:
    async with database_of(served.data, {}) as database:
        tenant = await tenant_named(database, "clinic")
        assert tenant is not None
        reader = {"authorization": f"Bearer {await api_key(database, 'clinic', 'audit:read')}"}
        for n in range(5):
            async with database.scope(tenant.id) as scope:
                actor = Actor("staff", f"s-{n % 2}", "203.0.113.5")
                await append(scope, actor, "shelf.moved", f"shelf/{n}", {"at": n}, {"at": n + 1, "password": "hunter2"})
    all_of_it = await entries(served, reader)
    mine = [entry for entry in all_of_it if entry["action"] == "shelf.moved"]
    assert [entry["target"] for entry in mine] == [f"shelf/{n}" for n in (4, 3, 2, 1, 0)]
    assert [entry["number"] for entry in all_of_it] == list(range(len(all_of_it), 0, -1))
    assert mine[0]["actor"] == {"kind": "staff", "id": "s-0", "address": "203.0.113.5"}
    assert (mine[0]["before"], mine[0]["after"]) == ({"at": 4}, {"at": 5, "password": "***"})
    assert [entry["target"] for entry in await entries(served, reader, actor="s-1")] == ["shelf/3", "shelf/1"]
    assert await entries(served, reader, action="shelf.*", since=mine[1]["at"]) == mine[:2]
    assert await entries(served, reader, action="shelf.moved", until=mine[1]["at"]) == mine[2:]
    assert [entry["target"] for entry in await entries(served, reader, target="shelf/2")] == ["shelf/2"]


async def test_another_organisation_sees_none_of_it(served: Served) -> None:
    async with database_of(served.data, {}) as database:
        tenant = await tenant_named(database, "clinic")
        assert tenant is not None
        async with database.scope(new_id()) as scope:
            await create_tenant(scope, "audited", "Audited", tenant.settings)
        reader = {"authorization": f"Bearer {await api_key(database, 'audited', 'audit:read')}"}
    assert {entry["action"] for entry in await entries(served, reader)} == {"key.created"}  # its own reader's


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"action": "a\x00b"}, 422),
        ({"actor": " "}, 422),
        ({"since": "yesterday"}, 422),
        ({"since": "0001-01-01T00:00:00+14:00"}, 422),
        ({"until": "2026-01-01T00:00:00"}, 422),
        ({"cursor": "0"}, 422),
        ({"cursor": "9" * 30}, 422),
        ({"limit": "0"}, 422),
        ({"action": "%", "target": "'; DROP TABLE audit; --"}, 200),
    ],
)
async def test_what_can_not_be_asked_is_said(served: Served, params: dict[str, str], status: int) -> None:
    response = await served.client.get("/api/admin/audit", params=params)  # as the developer
    assert response.status_code == status, response.text


async def test_who_may_not_read_it_is_refused(served: Served) -> None:
    async with database_of(served.data, {}) as database:
        headers = {"authorization": f"Bearer {await api_key(database, 'clinic', 'chat')}"}
    async with httpx.AsyncClient(base_url=served.url, timeout=HANG_S) as client:
        refused = await client.get("/api/admin/audit", headers=headers)
        assert (refused.status_code, refused.json()["error_code"]) == (403, "FORBIDDEN")
        assert "audit:read" in refused.json()["detail"]

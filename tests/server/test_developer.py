"""FRONTDESK_DEVELOPER: nobody on this machine is asked who he is. Refused where that would matter."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.command import run
from tests.identities import bearing
from tests.served import Served, serving


@pytest.fixture(scope="module")
async def open_server() -> AsyncIterator[Served]:
    with tempfile.TemporaryDirectory(prefix="frontdesk-developer-") as folder:
        async with serving(Path(folder), {"FRONTDESK_DEVELOPER": "true"}) as served:
            yield served


async def test_it_is_said_loudly_at_the_start(open_server: Served) -> None:
    assert [line for line in open_server.said if "warning: FRONTDESK_DEVELOPER is set" in line]
    assert [line for line in open_server.said if "access.open" in line]


async def test_whoever_is_on_this_machine_may_do_everything(open_server: Served) -> None:
    for path in ("/api/admin/keys", "/api/clinic/sessions?user_id=ann", "/metrics"):
        assert (await open_server.nobody.get(path)).status_code == 200
    assert (await open_server.nobody.get("/page")).json()["explains"] is True


async def test_what_comes_through_a_proxy_is_asked(open_server: Served) -> None:
    for name in ("x-forwarded-for", "forwarded", "x-real-ip", "via"):
        refused = await open_server.nobody.get("/api/admin/keys", headers={name: "203.0.113.7"})
        assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED")


async def test_a_credential_that_is_not_good_is_refused_all_the_same(open_server: Served) -> None:
    refused = await open_server.nobody.get("/api/admin/keys", headers=bearing("fd_wrong"))
    assert (refused.status_code, refused.json()["error_code"]) == (401, "TOKEN_INVALID")
    weak = await open_server.bearing_key("clinic", "chat")
    assert (await open_server.nobody.get("/api/admin/keys", headers=weak)).status_code == 403


@pytest.mark.parametrize("more", [{"FRONTDESK_ENV": "production"}, {"FRONTDESK_HOST": "0.0.0.0"}])
def test_it_is_refused_in_production_and_on_addresses_that_others_reach(tmp_path: Path, more: dict[str, str]) -> None:
    done = run("serve", "--port", "0", "--data", str(tmp_path / "data"), FRONTDESK_DEVELOPER="true", **more)
    assert done.returncode == 1, done.stderr
    assert "FRONTDESK_DEVELOPER" in done.stderr or "127.0.0.1" in done.stderr
    assert not (tmp_path / "data").exists()

"""A suspended tenant lets nobody in, and what it had accepted is answered all the same."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.command import run
from tests.conftest import HANG_S
from tests.conversations.room import Room, room
from tests.crash.bells import Bells, bells
from tests.crash.desk import SLUG, Desk
from tests.served import Served, serving
from tests.vendors.server import Vendor

from frontdesk.apply import apply_folder
from frontdesk.audit import Actor
from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import Conflict, TenantNotFound
from frontdesk.core.ids import new_id
from frontdesk.server import directory
from frontdesk.server.applying import apply_services
from frontdesk.server.directory import TenantDirectory
from frontdesk.tenants import life
from frontdesk.tenants.store import State

__all__ = ["bells"]

COMMAND = Actor("command", "test")


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="frontdesk-suspension-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def desk(vendor: Vendor, bells: Bells, place: Path) -> Desk:
    return Desk(place, vendor, bells)


@pytest.fixture
async def desk_room(desk: Desk, database_url: str) -> AsyncIterator[Room]:
    async with room(desk, database_url) as open_room:
        yield open_room


@pytest.fixture
def doors(desk_room: Room, monkeypatch: pytest.MonkeyPatch) -> TenantDirectory:
    """As another server has it, which has heard of nothing."""
    monkeypatch.setattr(directory, "FRESH_S", 0.0)
    return TenantDirectory(desk_room.services.database, desk_room.services.definitions, SystemClock(), "")


async def test_nobody_is_let_in_until_it_is_resumed(desk_room: Room, doors: TenantDirectory) -> None:
    database, tenant = desk_room.services.database, desk_room.tenant
    for _ in range(2):
        assert (await life.suspend(database, tenant.id, COMMAND)).state is State.SUSPENDED
        for name in (SLUG, str(tenant.id)):
            assert (await doors.named(name)).is_suspended
    await life.resume(database, tenant.id, COMMAND)
    assert not (await doors.named(SLUG)).is_suspended


async def test_what_was_accepted_is_answered_although_the_tenant_is_suspended(desk_room: Room) -> None:
    conversation = new_id()
    accepted = await desk_room.left_by_a_dead_worker("note one", conversation)
    await life.suspend(desk_room.services.database, desk_room.tenant.id, COMMAND)
    assert (await desk_room.answer(accepted)).text


async def test_a_suspended_tenants_sessions_do_not_expire_until_it_is_resumed(desk_room: Room) -> None:
    services = desk_room.services
    conversation = new_id()
    await desk_room.chat("note one", conversation)
    await desk_room.owner.execute("UPDATE conversations SET last_activity = now() - interval '2 days'")
    await life.suspend(services.database, desk_room.tenant.id, COMMAND)
    assert await services.housekeeping.expire_sessions() == 0
    await life.resume(services.database, desk_room.tenant.id, COMMAND)
    assert await services.housekeeping.expire_sessions() == 1


async def test_the_turns_of_a_tenant_that_is_deleted_fail_explicitly(desk_room: Room, desk: Desk) -> None:
    accepted = await desk_room.left_by_a_dead_worker("note one", new_id())
    # Not yet due: nobody takes it.
    await desk_room.owner.execute("UPDATE turns SET lease_until = now() + interval '60 s'")
    await life.delete(desk_room.services.database, desk_room.tenant.id, COMMAND)
    assert await desk_room.failure(accepted) == "TURN_FAILED"


async def test_files_are_applied_to_a_suspended_tenant_which_stays_so_and_not_to_one_that_goes(
    desk_room: Room, doors: TenantDirectory, desk: Desk
) -> None:
    services, tenant = desk_room.services, desk_room.tenant
    folder = desk.place / "tenants" / SLUG
    await life.suspend(services.database, tenant.id, COMMAND)
    (folder / "prompts" / "clerk.md").write_text("Write less.\n")
    assert (await apply_folder(folder, apply_services(services))).plan.definitions
    assert (await doors.named(SLUG)).is_suspended
    await life.delete(services.database, tenant.id, COMMAND)
    for dry_run in (True, False):
        with pytest.raises(Conflict, match="is being deleted"):
            await apply_folder(folder, apply_services(services), dry_run=dry_run)
    with pytest.raises(TenantNotFound):
        await doors.named(SLUG)


async def refused(served: Served, status: int) -> dict[str, object]:
    """The first answer with this status; what others come before it."""
    async with asyncio.timeout(HANG_S):
        while True:
            response = await served.post_chat("When is rye bread baked?")
            if response.status_code == status:
                return dict(response.json())
            await asyncio.sleep(0.2)


async def test_a_running_server_notices_what_the_command_did(place: Path) -> None:
    async with serving(place / "data") as served:
        await served.chat("What are your opening hours?")
        done = await asyncio.to_thread(run, "tenant", "suspend", "clinic", "--data", str(served.data))
        assert (done.returncode, "clinic is suspended" in done.stderr) == (0, True)
        assert (await refused(served, 403))["error_code"] == "TENANT_SUSPENDED"
        for path in ("/api/clinic/page", "/page", f"/api/clinic/conversations/{new_id()}"):
            assert (await served.client.get(path)).status_code == 403
        listed = await asyncio.to_thread(run, "tenant", "list", "--data", str(served.data))
        assert "suspended" in listed.stdout
        await asyncio.to_thread(run, "tenant", "resume", "clinic", "--data", str(served.data))
        assert (await refused(served, 200))["text"]
        unknown = await asyncio.to_thread(run, "tenant", "suspend", "nobody", "--data", str(served.data))
        assert (unknown.returncode, "There is no tenant 'nobody'." in unknown.stderr) == (1, True)

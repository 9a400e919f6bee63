"""Finding tenants: what changed is seen soon, what did not is asked about for all at once."""

from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from tests.conftest import make_tenant
from tests.identities import TEST
from tests.identity.moved_clock import MovedClock

from frontdesk.agents import store as definitions_store
from frontdesk.agents.definitions import DefinitionsCache
from frontdesk.core.errors import DatabaseUnavailable, TenantNotFound
from frontdesk.core.limits import Limits
from frontdesk.db import Database
from frontdesk.server.directory import FRESH_S, TenantDirectory
from frontdesk.telemetry.metrics import Metrics
from frontdesk.tenants import life
from frontdesk.tenants import store as tenants_store


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def doors(database: Database, clock: MovedClock) -> TenantDirectory:
    definitions = DefinitionsCache(database, Metrics(CollectorRegistry()), Limits())
    return TenantDirectory(database, definitions, clock, "")


class Statements:
    """What the database is asked outside a tenant's scope."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.is_away = False
        call = Database.call

        async def counted(database: Database, query: str, *args: object) -> object:
            self.asked.append(query.split("FROM ")[1].split("(")[0])
            if self.is_away:
                raise DatabaseUnavailable("The database is not reachable.")
            return await call(database, query, *args)

        monkeypatch.setattr(Database, "call", counted)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    return Statements(monkeypatch)


async def renamed(database: Database, tenant_id: UUID, name: str) -> None:
    async with database.scope(tenant_id) as scope:
        await tenants_store.update_tenant(scope, name, {})
        await definitions_store.bump_version(scope)


async def test_many_tenants_cost_one_question_in_the_time_that_they_are_fresh(
    database: Database, doors: TenantDirectory, clock: MovedClock, statements: Statements
) -> None:
    slugs = [f"tenant-{number}" for number in range(30)]
    tenants = {slug: await make_tenant(database, slug) for slug in slugs}
    for slug in slugs:
        assert (await doors.named(slug)).id == tenants[slug]
    assert statements.asked == ["tenant_named"] * len(slugs)
    statements.asked.clear()
    for _ in range(3):
        clock.passed_s += FRESH_S
        for _ in range(2):
            for slug in slugs:
                assert (await doors.named(slug)).id == tenants[slug]
    assert statements.asked == ["tenants_changed"] * 3


async def test_those_that_changed_are_read_again_and_no_others(
    database: Database, doors: TenantDirectory, clock: MovedClock, statements: Statements
) -> None:
    acme, globex = await make_tenant(database, "acme"), await make_tenant(database, "globex")
    for name in ("acme", str(acme), "globex"):
        await doors.named(name)
    await renamed(database, acme, "Acme and Sons")
    await life.suspend(database, globex, TEST)
    clock.passed_s += FRESH_S / 2
    assert (await doors.named("acme")).name == "Acme"
    clock.passed_s += FRESH_S / 2
    assert [(await doors.named(name)).name for name in ("acme", str(acme))] == ["Acme and Sons"] * 2
    assert (await doors.named("globex")).is_suspended
    await life.resume(database, globex, TEST)
    statements.asked.clear()
    clock.passed_s += FRESH_S
    assert not (await doors.named("globex")).is_suspended
    assert (await doors.named("acme")).name == "Acme and Sons"
    assert statements.asked == ["tenants_changed", "tenant_named"]


async def test_a_name_that_another_has_taken_is_the_others(
    database: Database, doors: TenantDirectory, clock: MovedClock
) -> None:
    before = await make_tenant(database, "acme")
    await doors.named("acme")
    await life.delete(database, before, TEST)
    clock.passed_s += FRESH_S
    with pytest.raises(TenantNotFound):
        await doors.named("acme")
    async with database.scope(before) as scope:
        assert await tenants_store.bury(scope)
        await tenants_store.forget(scope)
    after = await make_tenant(database, "acme")
    assert (await doors.named("acme")).id == after
    with pytest.raises(TenantNotFound):
        await doors.named(str(before))


async def test_a_name_taken_within_a_moment_is_the_others_too(
    database: Database, doors: TenantDirectory, clock: MovedClock
) -> None:
    before = await make_tenant(database, "acme")
    await doors.named("acme")
    await life.delete(database, before, TEST)
    async with database.scope(before) as scope:
        assert await tenants_store.bury(scope)
        await tenants_store.forget(scope)
    after = await make_tenant(database, "acme")
    clock.passed_s += FRESH_S
    assert (await doors.named("acme")).id == after


async def test_without_the_database_what_is_fresh_is_found_and_nothing_else(
    database: Database, doors: TenantDirectory, clock: MovedClock, statements: Statements
) -> None:
    for slug in ("acme", "globex"):
        await make_tenant(database, slug)
        await doors.named(slug)
    statements.is_away = True
    assert (await doors.named("acme")).slug == "acme"
    clock.passed_s += FRESH_S
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            await doors.named("acme")
    statements.is_away = False
    assert (await doors.named("globex")).slug == "globex"

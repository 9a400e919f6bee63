"""Credentials of every kind for a running server, given out as they are elsewhere."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from frontdesk.audit import Actor
from frontdesk.core.clock import SystemClock
from frontdesk.db import Database
from frontdesk.identity.api_keys import ApiKeys
from frontdesk.identity.permissions import SCOPES
from frontdesk.tenants.store import tenant_named

TEST = Actor("command", "test")


@asynccontextmanager
async def database_of(data: Path, environment: Mapping[str, str]) -> AsyncIterator[Database]:
    """That of a running server: the embedded one in its data directory, or the configured one."""
    url = environment.get("FRONTDESK_DATABASE_URL")
    if url is None:
        lines = (data / "postgres" / "postmaster.pid").read_text().splitlines()
        url = f"postgresql://frontdesk_app:@/postgres?host={lines[4]}&port={lines[3]}"
    database = await Database.connect(url, max_connections=2)
    try:
        yield database
    finally:
        await database.close()


def bearing(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


async def key_of_everything(data: Path, environment: Mapping[str, str]) -> str:
    """An API key of the server's first tenant: its example, or the first of its folder of tenants."""
    tenant = environment.get("FRONTDESK_EXAMPLE", "clinic")
    if not tenant:
        tenant = min(Path(environment["FRONTDESK_TENANTS"]).glob("*/tenant.yaml")).parent.name
    async with database_of(data, environment) as database:
        return await api_key(database, tenant)


async def api_key(database: Database, tenant: str, *scopes: str) -> str:
    """A new key of the tenant; without scopes it may all that a key can."""
    found = await tenant_named(database, tenant)
    assert found is not None, f"there is no tenant {tenant}"
    keys = ApiKeys(database, SystemClock())
    _, text = await keys.create(found.id, TEST, "of a test", scopes or SCOPES, None)
    return text

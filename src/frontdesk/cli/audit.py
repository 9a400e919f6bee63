"""`frontdesk audit`: whether the audit log is what was appended, and the log as JSON lines."""

import sys
from pathlib import Path
from uuid import UUID

from rich.console import Console

from frontdesk.audit import DEPLOYMENT, chain
from frontdesk.audit.chain import ChainBroken
from frontdesk.audit.store import Head
from frontdesk.core.errors import TenantNotFound
from frontdesk.core.settings import Settings
from frontdesk.db import Database
from frontdesk.server.database import Say, opened
from frontdesk.tenants.store import tenant_named, tenants_listed

_PAGE = 200


async def verify(settings: Settings, tenant: str | None, say: Say, console: Console) -> int:
    """The exit code. Without a tenant: the deployment's own log and every tenant's."""
    async with opened(settings, say, alone=False) as open_database:
        db = open_database.database
        chosen = [(tenant, await tenant_id(db, tenant))] if tenant is not None else await _all(db)
        broken = 0
        for name, id in chosen:
            try:
                head = await chain.verify(db, id)
            except ChainBroken as error:
                console.print(f"BROKEN {name}: {error.detail}", highlight=False, markup=False)
                broken += 1
            else:
                console.print(f"ok     {name}: {_told(head)}", highlight=False, markup=False)
    return 1 if broken else 0


async def verify_file(settings: Settings, file: Path, tenant: str | None, say: Say, console: Console) -> int:
    """The exit code: an export by itself, and with a tenant also whether the database still holds all of it."""
    try:
        with file.open("rb") as lines:
            exported_of, head = chain.verify_lines(lines)
        if tenant is not None:
            async with opened(settings, say, alone=False) as open_database:
                wanted = await tenant_id(open_database.database, tenant)
                if wanted != exported_of:
                    raise ChainBroken(f"The export is of another tenant, {exported_of}.")
                await chain.verify(open_database.database, wanted, head)
    except ChainBroken as error:
        console.print(f"BROKEN {file}: {error.detail}", highlight=False, markup=False)
        return 1
    console.print(f"ok     {file}: {_told(head)}", highlight=False, markup=False)
    return 0


async def export(settings: Settings, tenant: str, say: Say) -> None:
    async with opened(settings, say, alone=False) as open_database:
        async for lines in chain.exported(open_database.database, await tenant_id(open_database.database, tenant)):
            sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()


async def tenant_id(db: Database, tenant: str) -> UUID:
    """The nil UUID names the deployment itself. Raises TenantNotFound."""
    if tenant == str(DEPLOYMENT):
        return DEPLOYMENT
    found = await tenant_named(db, tenant)
    if found is None:
        raise TenantNotFound(f"There is no tenant {tenant!r}.")
    return found.id


async def _all(db: Database) -> list[tuple[str, UUID]]:
    found = [("the deployment", DEPLOYMENT)]
    after = ""
    while page := await tenants_listed(db, after, _PAGE):
        found += [(tenant.slug, tenant.id) for tenant in page]
        after = page[-1].slug
    return found


def _told(head: Head) -> str:
    return f"{head.number} entries, the last {head.hash}" if head.number else "no entries"

"""`frontdesk key`: API keys, made and revoked by who has the data directory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from frontdesk.audit import Actor
from frontdesk.cli.audit import tenant_id
from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import NotFound
from frontdesk.core.settings import Settings
from frontdesk.db import Database
from frontdesk.identity.api_keys import ApiKeys
from frontdesk.server.database import Say, opened

_PAGE = 200
_COMMAND = Actor("command", "frontdesk key")


async def create(
    settings: Settings, tenant: str, name: str, scopes: Sequence[str], days: float | None, say: Say
) -> str:
    """The key's text. Raises TenantNotFound, Invalid."""
    clock = SystemClock()
    expires_at = clock.now() + timedelta(days=days) if days is not None else None
    async with _opened(settings, say) as (db, api_keys):
        _, text = await api_keys.create(await tenant_id(db, tenant), _COMMAND, name, scopes, expires_at)
    return text


async def show(settings: Settings, tenant: str, say: Say, console: Console) -> None:
    """Raises TenantNotFound."""
    table = Table(box=None, pad_edge=False)
    for title in ("prefix", "name", "scopes", "made", "expires", "last used", "id"):
        table.add_column(title, overflow="fold")
    async with _opened(settings, say) as (db, api_keys):
        owner, before = await tenant_id(db, tenant), None
        while page := await api_keys.listed(owner, before, _PAGE):
            before = page[-1].id
            for key in page:
                expires = "revoked" if key.revoked_at is not None else _day(key.expires_at) or "never"
                scopes = ", ".join(key.scopes)
                table.add_row(
                    f"fd_{key.prefix}", escape(key.name), scopes, _day(key.created_at), expires,
                    _day(key.last_used_at) or "never", str(key.id),
                )  # fmt: skip
    console.print(table)


async def revoke(settings: Settings, tenant: str, named: str, say: Say) -> None:
    """`named`: its id, or its prefix with or without `fd_`. Raises TenantNotFound, NotFound."""
    prefix = named.removeprefix("fd_").partition("_")[0]
    async with _opened(settings, say) as (db, api_keys):
        owner, before = await tenant_id(db, tenant), None
        while page := await api_keys.listed(owner, before, _PAGE):
            before = page[-1].id
            for key in page:
                if key.prefix == prefix or str(key.id) == named:
                    return await api_keys.revoke(owner, _COMMAND, key.id)
    raise NotFound(f"{tenant} has no key {named!r}.")


@asynccontextmanager
async def _opened(settings: Settings, say: Say) -> AsyncIterator[tuple[Database, ApiKeys]]:
    async with opened(settings, say, alone=False) as open_database:
        yield open_database.database, ApiKeys(open_database.database, SystemClock())


def _day(moment: datetime | None) -> str:
    return moment.date().isoformat() if moment is not None else ""

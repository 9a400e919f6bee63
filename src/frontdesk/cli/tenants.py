"""`frontdesk tenant …`: the life of a tenant, beside a running server or without one."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from frontdesk.audit import Actor
from frontdesk.core.errors import TenantNotFound
from frontdesk.core.settings import Settings
from frontdesk.db import Database
from frontdesk.server.database import Say, opened
from frontdesk.server.folders import tenant_folders
from frontdesk.server.purging import MOST_BYTES, Purging
from frontdesk.tenants import life, store
from frontdesk.tenants.store import State, TenantRow

SettingsOf = Callable[..., Settings]

Name = Annotated[str, typer.Argument(metavar="TENANT", help="its slug or id")]
Config = Annotated[Path | None, typer.Option("--config", help="YAML file of settings")]
Data = Annotated[Path | None, typer.Option("--data", help="data directory: database, keys, models")]

_PAGE = 200
COMMAND = Actor("command", "tenant")


def tenant_commands(settings_of: SettingsOf, say: Say) -> typer.Typer:
    commands = typer.Typer(help="List, suspend, resume and delete tenants.", no_args_is_help=True)

    @commands.command("list")
    def list_(config: Config = None, data: Data = None) -> None:
        """Every tenant with its state."""
        asyncio.run(_list(settings_of(config, data=data), say, Console()))

    @commands.command()
    def show(tenant: Name, config: Config = None, data: Data = None) -> None:
        """One tenant as JSON."""
        asyncio.run(_show(settings_of(config, data=data), say, tenant))

    @commands.command()
    def suspend(tenant: Name, config: Config = None, data: Data = None) -> None:
        """Let nobody in any more; what was accepted is still answered."""
        asyncio.run(_change(settings_of(config, data=data), say, tenant, State.SUSPENDED))

    @commands.command()
    def resume(tenant: Name, config: Config = None, data: Data = None) -> None:
        """Let people in again."""
        asyncio.run(_change(settings_of(config, data=data), say, tenant, State.ACTIVE))

    @commands.command()
    def delete(
        tenant: Name,
        yes: Annotated[bool, typer.Option("--yes", help="without asking")] = False,
        config: Config = None,
        data: Data = None,
    ) -> None:
        """Remove a tenant with everything that is of it. There is no way back."""
        if not yes and typer.prompt(f"Everything of {tenant} will be gone. Type its name to go on") != tenant:
            raise typer.Exit(1)
        asyncio.run(_delete(settings_of(config, data=data), say, tenant, Console()))

    return commands


async def _list(settings: Settings, say: Say, console: Console) -> None:
    table = Table("slug", "name", "state", "since", "id", box=None)
    async with opened(settings, say, alone=False) as open_database:
        after = ""
        while page := await store.tenants_listed(open_database.database, after, _PAGE):
            for each in page:
                table.add_row(each.slug, each.name, each.state, f"{each.created_at:%Y-%m-%d}", str(each.id))
            after = page[-1].slug
    console.print(table)


async def _show(settings: Settings, say: Say, name: str) -> None:
    async with _found(settings, say, name) as (_, tenant, _purging):
        print(
            json.dumps(
                {
                    "id": str(tenant.id),
                    "slug": tenant.slug,
                    "name": tenant.name,
                    "state": tenant.state,
                    "version": tenant.version,
                    "created_at": tenant.created_at.isoformat(),
                    "settings": tenant.settings,
                },
                indent=2,
                ensure_ascii=False,
            )
        )


async def _change(settings: Settings, say: Say, name: str, state: State) -> None:
    change = life.suspend if state is State.SUSPENDED else life.resume
    async with _found(settings, say, name) as (database, tenant, _):
        changed = await change(database, tenant.id, COMMAND)
    say(f"{changed.slug} is {changed.state}. Servers that run know it within a few seconds.")


async def _delete(settings: Settings, say: Say, name: str, console: Console) -> None:
    async with _found(settings, say, name) as (database, tenant, purging):
        purging.mark()
        await life.delete(database, tenant.id, COMMAND)
        say(f"Waiting {life.CLOSED_S:.0f} s, until every server's doors are closed")
        with console.status("") as status:
            total = 0

            def on_erased(table: str, rows: int) -> None:
                nonlocal total
                total += rows
                status.update(f"{total:,} rows removed, now of {table}")

            await life.erase(database, tenant.id, on_erased)
        say(f"{tenant.slug} is deleted: {total:,} rows.")
        await _purge(purging, say, console, MOST_BYTES)
    if folder := tenant_folders(settings).get(tenant.slug):
        say(f"warning: its files are still in {folder}: the next start would make it anew.")


async def purge_disk(settings: Settings, say: Say, console: Console) -> int:
    """The exit code: 1 where something could not be purged."""
    async with opened(settings, say, alone=False) as open_database:
        return await _purge(Purging(open_database.embedded, settings.data), say, console, None)


async def _purge(purging: Purging, say: Say, console: Console, most_bytes: int | None) -> int:
    columns = (TextColumn("Purging"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        done = await purging.now(
            most_bytes, lambda table, at, count: progress.update(task, description=table, completed=at, total=count)
        )
    if done is None:
        say("The database is not the embedded one: what is left on its disk is its operator's, see docs/operations.md.")
        return 0
    say(f"The disk is purged in {done.duration_s:.1f} s; a table was closed for {done.longest_s:.2f} s at most.")
    if done.postponed:
        say(f"warning: not purged, as large or never free: {', '.join(done.postponed)}. Run: frontdesk purge")
    return 1 if done.postponed else 0


@asynccontextmanager
async def _found(settings: Settings, say: Say, name: str) -> AsyncIterator[tuple[Database, TenantRow, Purging]]:
    async with opened(settings, say, alone=False) as open_database:
        tenant = await store.tenant_named(open_database.database, name)
        if tenant is None:
            raise TenantNotFound(f"There is no tenant {name!r}.")
        yield open_database.database, tenant, Purging(open_database.embedded, settings.data)

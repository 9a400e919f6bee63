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

from frontdesk.apply.new_tenants import NewTenant, make_tenant
from frontdesk.audit import Actor
from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import TenantNotFound
from frontdesk.core.ids import new_id
from frontdesk.core.settings import Settings
from frontdesk.db import Database
from frontdesk.identity.mail import Mail
from frontdesk.identity.staffing import Staffing
from frontdesk.server.applying import apply_services
from frontdesk.server.database import Say, opened
from frontdesk.server.folders import tenant_folders
from frontdesk.server.people import base_of
from frontdesk.server.purging import MOST_BYTES, Purging
from frontdesk.server.services import built
from frontdesk.tenants import life, store
from frontdesk.tenants.store import State, TenantRow

SettingsOf = Callable[..., Settings]

Name = Annotated[str, typer.Argument(metavar="TENANT", help="its slug or id")]
Config = Annotated[Path | None, typer.Option("--config", help="YAML file of settings")]
Data = Annotated[Path | None, typer.Option("--data", help="data directory: database, keys, models")]

_PAGE = 200
COMMAND = Actor("command", "tenant")


def tenant_commands(settings_of: SettingsOf, say: Say) -> typer.Typer:
    commands = typer.Typer(help="Create, list, suspend, resume and delete tenants.", no_args_is_help=True)

    @commands.command("list")
    def list_(config: Config = None, data: Data = None) -> None:
        """Every tenant with its state."""
        asyncio.run(_list(settings_of(config, data=data), say, Console()))

    @commands.command()
    def create(
        slug: Annotated[str, typer.Argument(help="its name in addresses: small letters, digits and `-`")],
        name: Annotated[str, typer.Option(help="what people call it")],
        language: Annotated[list[str], typer.Option(help="of its contacts; may be given several times")] = ["en"],  # noqa: B006
        owner: Annotated[str | None, typer.Option(help="e-mail address of whom to invite as its owner")] = None,
        config: Config = None,
        data: Data = None,
    ) -> None:
        """Make a tenant that answers from its documents, and print its owner's link to pass on; good for seven days."""
        new = NewTenant(slug, name, {"languages": language}, owner)
        asyncio.run(_create(settings_of(config, data=data), say, new))

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


async def _create(settings: Settings, say: Say, new: NewTenant) -> None:
    async with built(settings, say, alone=False) as services:
        # Who types the command passes the link on himself.
        mail = Mail(None, services.people_metrics)
        staffing = Staffing(services.database, SystemClock(), mail, base_of(settings), services.tokens.ended)
        made = await make_tenant(new, new_id(), COMMAND, apply_services(services), staffing)
    say(f"{made.tenant.slug} is made. Servers that run serve it.")
    if made.owner is None:
        say(f"It has no owner yet: frontdesk staff invite EMAIL --role owner --tenant {made.tenant.slug}")
    elif made.owner.link is not None:
        print(made.owner.link)


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

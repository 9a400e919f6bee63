"""`frontdesk contact …`: what is stored about one contact, given out or erased."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from frontdesk.audit import Actor
from frontdesk.conversations.personal_data import OnWalked, PersonalData
from frontdesk.conversations.sealed import Sealed
from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import TenantNotFound
from frontdesk.core.settings import Settings
from frontdesk.server import sealing
from frontdesk.server.database import Say, opened
from frontdesk.server.purging import Purging
from frontdesk.tenants import store

SettingsOf = Callable[..., Settings]

Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="its slug or id")]
User = Annotated[str, typer.Argument(metavar="USER_ID", help="the contact, as the channel calls him")]
Config = Annotated[Path | None, typer.Option("--config", help="YAML file of settings")]
Data = Annotated[Path | None, typer.Option("--data", help="data directory: database, keys, models")]

COMMAND = Actor("command", "contact")


def contact_commands(settings_of: SettingsOf, say: Say) -> typer.Typer:
    commands = typer.Typer(help="Give out or erase everything about one contact.", no_args_is_help=True)

    @commands.command()
    def export(
        tenant: Tenant,
        user: User,
        out: Annotated[Path | None, typer.Option("--out", help="file to write; without it the output")] = None,
        config: Config = None,
        data: Data = None,
    ) -> None:
        """Everything as JSON lines, the receipt last."""
        asyncio.run(_export(settings_of(config, data=data), say, tenant, user, out))

    @commands.command()
    def erase(
        tenant: Tenant,
        user: User,
        yes: Annotated[bool, typer.Option("--yes", help="without asking")] = False,
        config: Config = None,
        data: Data = None,
    ) -> None:
        """Erase everything and print the receipt. There is no way back."""
        if not yes and typer.prompt(f"Everything about {user} will be gone. Type it again to go on") != user:
            raise typer.Exit(1)
        asyncio.run(_erase(settings_of(config, data=data), say, tenant, user))

    return commands


async def _export(settings: Settings, say: Say, tenant: str, user: str, out: Path | None) -> None:
    async with _of(settings, say, tenant) as (personal, tenant_id):
        target = sys.stdout.buffer if out is None else out.open("xb")  # closed below
        try:
            with _progress() as on_walked:
                async for line in personal.export(tenant_id, user, COMMAND, on_walked):
                    target.write(line)
            target.flush()
        finally:
            if out is not None:
                target.close()


async def _erase(settings: Settings, say: Say, tenant: str, user: str) -> None:
    async with _of(settings, say, tenant) as (personal, tenant_id):
        with _progress() as on_walked:
            receipt = await personal.erase(tenant_id, user, COMMAND, on_walked)
    print(msgspec.json.format(msgspec.json.encode(receipt)).decode())


@contextmanager
def _progress() -> Iterator[OnWalked]:
    """Beside the output, which may be the export."""
    columns = (TextColumn("The log"), BarColumn(), TaskProgressColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda done: progress.update(task, completed=done)


@asynccontextmanager
async def _of(settings: Settings, say: Say, name: str) -> AsyncIterator[tuple[PersonalData, UUID]]:
    """Raises TenantNotFound."""
    async with (
        opened(settings, say, alone=False) as open_database,
        sealing.kept(settings, open_database.database) as cipher,
    ):
        tenant = await store.tenant_named(open_database.database, name)
        if tenant is None:
            raise TenantNotFound(f"There is no tenant {name!r}.")
        mark = Purging(open_database.embedded, settings.data).mark
        yield PersonalData(open_database.database, Sealed(cipher), SystemClock(), mark), tenant.id

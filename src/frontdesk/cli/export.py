"""`frontdesk export T DIR`: a tenant's files as `apply` takes them, and with `--with-data` what was said there."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from frontdesk.agents.store import load_privacy
from frontdesk.apply.data_files import export_data
from frontdesk.apply.export import export_folder
from frontdesk.core.errors import TenantNotFound
from frontdesk.core.settings import Settings
from frontdesk.server.database import Say
from frontdesk.server.services import built
from frontdesk.tenants.store import tenant_named


async def export(settings: Settings, tenant: str, folder: Path, say: Say, console: Console, *, data: bool) -> int:
    """The exit code: 1 where something could not be written as it is. Works beside a running server."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[what]}"))
    async with built(settings, say, alone=False) as services:
        found = await tenant_named(services.database, tenant)
        if found is None:
            raise TenantNotFound(f"There is no tenant {tenant!r}.")
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("Files", total=None, what="")

            def on_file(name: str, done: int, count: int) -> None:
                progress.update(task, completed=done, total=count, what=name)

            def on_lines(name: str, lines: int) -> None:
                progress.update(task, description="Data", completed=lines, total=None, what=name)

            done = await export_folder(found.id, folder, services.database, services.knowledge, on_file)
            counts: dict[str, int] = {}
            if data:
                async with services.database.scope(found.id) as scope:
                    privacy = await load_privacy(scope)
                counts = await export_data(found.id, folder, services.database, services.cipher, privacy, on_lines)
    say(f"{done.files} files of {found.slug} are in {folder}.")
    for name, lines in counts.items():
        say(f"{name}: {lines:,} lines")
    for name in done.lacking:
        say(f"warning: {name} was read before documents were kept as they came: apply its file again, then export.")
    for sentence in done.differences:
        say(f"warning: applied again, the files would not be what is stored: {sentence}")
    return 1 if done.lacking or done.differences else 0

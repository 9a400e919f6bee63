"""`frontdesk rotate-keys`: what is sealed with older keys is sealed anew, with a bar, beside running servers."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from frontdesk.core.settings import Settings
from frontdesk.db.cipher import key_id
from frontdesk.server import sealing
from frontdesk.server.database import Say, opened
from frontdesk.server.rotating import Rotated, rotate


async def rotate_keys(settings: Settings, say: Say, console: Console) -> None:
    async with opened(settings, say, alone=False) as open_database:
        columns = (
            TextColumn("{task.description:<14}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
        )  # fmt: skip
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task("Sealing anew", total=None)

            def on_blocks(done: int, total: int, table: str) -> None:
                progress.update(bar, completed=done, total=total, description=table)

            rotated = await rotate(settings, open_database, say, on_blocks)
    if rotated is None:
        [first, *_] = sealing.configured_keys(settings)
        say(
            f"Everything is sealed with the key {key_id(first).hex()} already. To rotate: put a new key first in "
            "FRONTDESK_ENCRYPTION_KEYS of every server, keep the old one behind it, restart one server after the "
            "other, and run this again."
        )
        return
    _show(settings, rotated, say)


def _show(settings: Settings, rotated: Rotated, say: Say) -> None:
    say(f"{rotated.resealed.rows} rows sealed anew; everything is sealed with the key {rotated.first.hex()}.")
    if rotated.resealed.closed:
        say(
            f"warning: {rotated.resealed.closed} texts stay as they are: they are damaged, or sealed with a key that "
            "was given up."
        )
    if rotated.retired:
        say(
            f"This database needs the key {sealing.listed(rotated.retired)} no more. Backups from before do: keep it "
            f"with them, and take it out of {sealing.origin(settings)} in an hour or later."
        )

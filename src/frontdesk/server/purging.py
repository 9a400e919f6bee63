"""When the embedded database is purged of what was deleted: soon after, and again after a server that died of it."""

import asyncio
from pathlib import Path

import structlog

from frontdesk.core.errors import DatabaseUnavailable
from frontdesk.db.database import is_unavailable
from frontdesk.db.embedded import EmbeddedServer
from frontdesk.db.purge import OnTable, Purged, purge, unheard

log = structlog.get_logger()

LOOK_EVERY_S = 2.0
# A table is closed while it is written anew: larger ones wait for `frontdesk purge`, at an hour that its owner picks.
MOST_BYTES = 64 * 2**20


class Purging:
    """Of the embedded database alone: of another's disk we know nothing."""

    def __init__(self, embedded: EmbeddedServer | None, data: Path) -> None:
        self._embedded = embedded
        self._due = data / "purge-due"

    def mark(self) -> None:
        """Something was deleted, or is about to be: whoever deletes calls this before and after. It outlives us."""
        if self._embedded is not None:
            self._due.touch()

    async def run(self) -> None:
        """Purges whenever it is due. Until cancelled."""
        while True:
            if self._due.exists():
                try:
                    await self.now(MOST_BYTES)
                except DatabaseUnavailable:
                    log.warning("purge.postponed")
            await asyncio.sleep(LOOK_EVERY_S)

    async def now(self, most_bytes: int | None, on_table: OnTable = unheard) -> Purged | None:
        """None where the database is not ours. Raises DatabaseUnavailable."""
        if self._embedded is None:
            return None
        marked = self._marked()
        try:
            done = await purge(self._embedded.owner_url, most_bytes=most_bytes, on_table=on_table)
        except Exception as error:
            if is_unavailable(error):
                raise DatabaseUnavailable("The database went away while it was purged.", retry_after=2) from error
            raise
        if done.postponed:
            log.warning("purge.incomplete", tables=list(done.postponed), remedy="frontdesk purge")
        if self._marked() == marked:  # else there is more since
            self._due.unlink(missing_ok=True)
        return done

    def _marked(self) -> int | None:
        """When it was marked last; another process may have purged meanwhile."""
        try:
            return self._due.stat().st_mtime_ns
        except FileNotFoundError:
            return None

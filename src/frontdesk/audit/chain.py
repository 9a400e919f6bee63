"""Checking chains, in the database and in exports: every entry hashes to what it says, and follows the one before."""

from collections.abc import AsyncIterator, Iterable
from uuid import UUID

import msgspec

from frontdesk.audit import store
from frontdesk.audit.models import FIRST_PREVIOUS, Entry
from frontdesk.audit.store import Head
from frontdesk.core.errors import Conflict
from frontdesk.db import Database

_PAGE = 1000


class ChainBroken(Conflict):
    """The audit log is not what was appended; `detail` names the first entry that is wrong."""

    error_code = "AUDIT_BROKEN"


class Checked:
    """Walks along one chain. Raises ChainBroken at the first entry that is not what was appended there."""

    def __init__(self, tenant_id: UUID) -> None:
        self.tenant_id = tenant_id
        self.number = 0
        self.hash = FIRST_PREVIOUS

    def take(self, entry: Entry) -> None:
        if entry.tenant_id != self.tenant_id:
            raise ChainBroken(f"Entry {entry.number} is of another tenant, {entry.tenant_id}.")
        if entry.number != self.number + 1:
            raise ChainBroken(f"Entry {self.number + 1} is missing: {entry.number} comes instead.")
        if entry.previous_hash != self.hash:
            raise ChainBroken(f"Entry {entry.number} does not follow the entry before it.")
        if entry.hash != entry.expected_hash():
            raise ChainBroken(f"Entry {entry.number} was changed: its hash is another.")
        self.number, self.hash = entry.number, entry.hash

    def end_at(self, head: Head | None) -> None:
        """Raises ChainBroken when the head tells of another end."""
        told = head or Head(0, FIRST_PREVIOUS)
        if told.number > self.number:
            raise ChainBroken(f"Entry {self.number + 1} is missing: the log had {told.number}.")
        if told != Head(self.number, self.hash):
            raise ChainBroken(f"Entry {told.number + 1} was never appended: the log ends at {told.number}.")


async def verify(db: Database, tenant_id: UUID, expected: Head | None = None) -> Head:
    """Where the chain ends. `expected`: an entry that must be in it, of an earlier export. Raises ChainBroken."""
    checked = Checked(tenant_id)
    async for page, head in _pages(db, tenant_id):
        for entry in page:
            checked.take(entry)
            if expected is not None and entry.number == expected.number and entry.hash != expected.hash:
                raise ChainBroken(f"Entry {entry.number} is not the one of the export: the log was written anew.")
        if len(page) < _PAGE:
            checked.end_at(head)
    if expected is not None and checked.number < expected.number:
        raise ChainBroken(f"Entry {checked.number + 1} is missing: the export had {expected.number}.")
    return Head(checked.number, checked.hash)


async def exported(db: Database, tenant_id: UUID) -> AsyncIterator[bytes]:
    """The whole chain as JSON lines, oldest first."""
    async for page, _ in _pages(db, tenant_id):
        yield b"".join(msgspec.json.encode(entry) + b"\n" for entry in page)


def verify_lines(lines: Iterable[bytes]) -> tuple[UUID, Head]:
    """The tenant of an export and where it ends. Raises ChainBroken, also for what is no export."""
    checked: Checked | None = None
    for place, line in enumerate(lines, start=1):
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ChainBroken(f"Line {place} is no entry of an audit log.") from error
        checked = checked or Checked(entry.tenant_id)
        checked.take(entry)
    if checked is None:
        raise ChainBroken("The file holds no entries.")
    return checked.tenant_id, Head(checked.number, checked.hash)


async def _pages(db: Database, tenant_id: UUID) -> AsyncIterator[tuple[list[Entry], Head | None]]:
    """A transaction a page: a long chain holds no connection. The last page is shorter than the others."""
    after = 0
    while True:
        async with db.scope(tenant_id) as scope:
            page, head = await store.entries_after(scope, after, _PAGE)
        yield page, head
        if len(page) < _PAGE:
            return
        after = page[-1].number

"""The life of a tenant after it was made: suspended, resumed, deleted with everything that is of it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

import structlog

from frontdesk import audit
from frontdesk.audit import Actor
from frontdesk.core.errors import Conflict, DatabaseUnavailable, TenantNotFound, Unavailable
from frontdesk.db import Database, TenantScope
from frontdesk.db.database import is_deadlock
from frontdesk.tenants import store
from frontdesk.tenants.store import State, TenantRow

log = structlog.get_logger()

# By then no server lets anybody in any more, see `server/directory.py`.
CLOSED_S = 5.0
# What a turn that was running leaves when it ends is written by then.
LATE_S = 900.0
ROWS_AT_ONCE = 2000
PAGES_AT_ONCE = 4000  # of 8 KiB
LOOK_EVERY_S = 3.0
_TRIES = 10
ERASER = Actor("system", "erase")

T = TypeVar("T")

# (table, how many of its rows have gone)
OnErased = Callable[[str, int], None]

# Told a tenant as it is, which nobody else changes meanwhile, before it is changed; raises where that may not be.
May = Callable[[TenantRow], None]


def _unheard(_table: str, _rows: int) -> None:
    return None


def _whatever(_tenant: TenantRow) -> None:
    return None


async def suspend(db: Database, tenant_id: UUID, actor: Actor, may: May = _whatever) -> TenantRow:
    """Nobody is let in any more; what was accepted is still answered. Raises TenantNotFound, Conflict, as `may`."""
    return await _changed(db, tenant_id, State.SUSPENDED, actor, "tenant.suspended", may)


async def resume(db: Database, tenant_id: UUID, actor: Actor, may: May = _whatever) -> TenantRow:
    """Raises TenantNotFound, Conflict, as `may`."""
    return await _changed(db, tenant_id, State.ACTIVE, actor, "tenant.resumed", may)


async def delete(db: Database, tenant_id: UUID, actor: Actor, may: May = _whatever) -> TenantRow:
    """The beginning of its end, which nothing can stop any more: doors close, running turns fail explicitly. `erase`
    does the rest, here or in any server. Raises TenantNotFound, as `may`."""
    return await _without_deadlock(lambda: _deleted(db, tenant_id, actor, may))


async def _deleted(db: Database, tenant_id: UUID, actor: Actor, may: May) -> TenantRow:
    async with db.scope(tenant_id) as scope:
        tenant = await _locked(scope)
        may(tenant)
        if tenant.state is not State.DELETING:
            await store.change_state(scope, State.DELETING)
            await store.end_turns(scope)
            # In the deployment's chain: the tenant's own goes with it.
            await audit.append_to_deployment(scope, actor, "tenant.deleting", f"tenant/{tenant_id}")
            log.info("tenant.deleting", tenant=tenant.slug, tenant_id=str(tenant_id))
        return await _locked(scope)


async def _changed(db: Database, tenant_id: UUID, state: State, actor: Actor, action: str, may: May) -> TenantRow:
    async with db.scope(tenant_id) as scope:
        tenant = await _locked(scope)
        may(tenant)
        if tenant.state is State.DELETING:
            raise Conflict(f"The tenant {tenant.slug} is being deleted.")
        if tenant.state is not state:
            await store.change_state(scope, state)
            before, after = {"state": tenant.state}, {"state": state}
            await audit.append(scope, actor, action, f"tenant/{tenant_id}", before, after)
            log.info("tenant.changed", tenant=tenant.slug, tenant_id=str(tenant_id), state=state)
        return await _locked(scope)


async def _locked(scope: TenantScope) -> TenantRow:
    tenant = await store.lock_tenant(scope)
    if tenant is None:
        raise TenantNotFound("There is no such tenant.")
    return tenant


async def erase(db: Database, tenant_id: UUID, on_erased: OnErased = _unheard) -> dict[str, int]:
    """Removes every row of a tenant that is being deleted, then its name. How many of each table.

    In portions, each in a transaction of its own: may be stopped anywhere and begun again, by several at once.
    """
    erased: Counter[str] = Counter()
    while True:
        found = await _erased_once(db, tenant_id, on_erased)
        erased.update(found)
        since_s = {each: since_s for each, _, since_s in await store.leaving(db)}.get(tenant_id)
        if since_s is None:
            break  # another has ended it
        if not found and since_s > CLOSED_S:
            async with db.scope(tenant_id) as scope:
                if await store.bury(scope):  # else another was first
                    await audit.close(scope, ERASER)
            break
        await asyncio.sleep(min(1.0, max(0.1, CLOSED_S - since_s)))
    log.info("tenant.erased", tenant_id=str(tenant_id), rows=erased.total())
    return dict(erased)


async def _erased_once(db: Database, tenant_id: UUID, on_erased: OnErased) -> Counter[str]:
    """Each table from its beginning to its end."""
    erased: Counter[str] = Counter()
    for table in await store.tenant_tables(db):
        block: int | None = 0
        while block is not None:
            most = ROWS_AT_ONCE if table.is_indexed else PAGES_AT_ONCE
            count, block = await _portion(db, tenant_id, table.name, block, most)
            if count:
                erased[table.name] += count
                on_erased(table.name, count)
    return erased


async def _portion(db: Database, tenant_id: UUID, table: str, block: int, most: int) -> tuple[int, int | None]:
    return await _without_deadlock(lambda: store.erase(db, tenant_id, table, block, most))


async def _without_deadlock(change: Callable[[], Awaitable[T]]) -> T:
    """Once more when it met a turn that was just ending, and gave way."""
    for left in range(_TRIES, 0, -1):
        try:
            return await change()
        except DatabaseUnavailable as error:
            if left == 1 or not is_deadlock(error):
                raise
    raise AssertionError("the last try returns or raises")


class Leaving:
    """Ends what was begun: every server looks for tenants that are being deleted, and forgets what it knew of them."""

    def __init__(
        self,
        db: Database,
        forget: Sequence[Callable[[UUID], None]],
        forget_shared: Callable[[UUID], Awaitable[None]],
        mark_purge: Callable[[], None],
    ) -> None:
        """`forget`: the process's caches. `forget_shared`: what servers share beside the database.

        `mark_purge` is called before and after rows go: their bytes stay behind.
        """
        self._db = db
        self._forget = forget
        self._forget_shared = forget_shared
        self._mark_purge = mark_purge
        self._forgotten: set[tuple[UUID, State]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except DatabaseUnavailable:
                log.warning("leaving.postponed")
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Once, at all that are on their way out."""
        leaving = await store.leaving(self._db)
        self._forgotten &= {(tenant_id, state) for tenant_id, state, _ in leaving}
        for tenant_id, state, _ in leaving:
            if (tenant_id, state) not in self._forgotten:
                for forget in self._forget:
                    forget(tenant_id)
                with suppress(Unavailable):  # then with the next look
                    await self._forget_shared(tenant_id)
                    self._forgotten.add((tenant_id, state))
        for tenant_id, state, since_s in leaving:
            if state is State.DELETING:
                self._mark_purge()
                await erase(self._db, tenant_id)
                self._mark_purge()
            elif since_s > LATE_S:
                if await _erased_once(self._db, tenant_id, _unheard):
                    self._mark_purge()
                async with self._db.scope(tenant_id) as scope:
                    await store.forget(scope)

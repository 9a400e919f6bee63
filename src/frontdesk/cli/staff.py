"""`frontdesk staff`: people who sign in, managed by who has the data directory, also when nobody can sign in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from frontdesk.audit import Actor
from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import Conflict, TenantNotFound
from frontdesk.core.settings import Settings
from frontdesk.identity.mail import Mail
from frontdesk.identity.metrics import IdentityMetrics
from frontdesk.identity.permissions import Role
from frontdesk.identity.staffing import By, Changes, Staffing
from frontdesk.server import people
from frontdesk.server.database import Say, opened
from frontdesk.tenants.store import TenantRow, tenant_named

_BY = By(None, Actor("command", "frontdesk staff"))
_PAGE = 200


async def invite(settings: Settings, tenant: str, email: str, name: str | None, role: Role, say: Say) -> str:
    """The link. Raises Invalid, Conflict, TenantNotFound."""
    async with _opened(settings, tenant, say) as (staffing, found):
        invited = await staffing.invite(found.id, found.name, _BY, email, name or email.partition("@")[0], role)
    return invited.link or ""


async def show(settings: Settings, tenant: str, say: Say, console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("e-mail", "name", "role", "state", "second factor", "last sign-in"):
        table.add_column(title, overflow="fold")
    async with _opened(settings, tenant, say) as (staffing, found):
        after = ""
        while page := await staffing.listed(found.id, after, None, _PAGE):
            after = page[-1].email
            for staff in page:
                role = f"{staff.role}, operator" if staff.is_operator else staff.role
                seen = staff.last_sign_in.isoformat(timespec="minutes") if staff.last_sign_in is not None else "never"
                factor = "on" if staff.has_second_factor else "off"
                table.add_row(escape(staff.email), escape(staff.name), role, staff.state, factor, seen)
    console.print(table)


async def reset_link(settings: Settings, tenant: str, email: str, say: Say) -> str:
    """Raises NotFound, Conflict, TenantNotFound."""
    async with _opened(settings, tenant, say) as (staffing, found):
        return await staffing.reset_link(found.id, _BY, email)


async def owner_link(settings: Settings, tenant: str, say: Say, *, is_operator: bool) -> str:
    """Raises Conflict when there is an owner, TenantNotFound."""
    async with _opened(settings, tenant, say) as (staffing, found):
        is_default = found.slug == settings.example
        link = await people.owner_link(staffing, found.id, _BY, is_default=is_default, is_operator=is_operator)
    if link is None:
        raise Conflict(f"{found.slug} has an owner already. To let him in again: frontdesk staff reset-link EMAIL")
    return link


async def change(settings: Settings, tenant: str, email: str, changes: Changes, say: Say) -> None:
    """Raises NotFound, LastOwner, TenantNotFound."""
    async with _opened(settings, tenant, say) as (staffing, found):
        staff = await staffing.named(found.id, email)
        await staffing.change(found.id, _BY, staff.id, staff.version, changes)


def _unheard(_session_id: UUID) -> None:
    """Servers look for themselves."""


@asynccontextmanager
async def _opened(settings: Settings, tenant: str, say: Say) -> AsyncIterator[tuple[Staffing, TenantRow]]:
    async with opened(settings, say, alone=False) as open_database:
        found = await tenant_named(open_database.database, tenant)
        if found is None:
            raise TenantNotFound(f"There is no tenant {tenant!r}.")
        mail = Mail(None, IdentityMetrics(CollectorRegistry()))  # who types the command passes the link on himself
        yield Staffing(open_database.database, SystemClock(), mail, people.base_of(settings), _unheard), found

"""A tenant's staff with all the parts that serve it, on a real database and a clock that the test moves."""

from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from uuid import UUID

from prometheus_client import CollectorRegistry

from frontdesk.audit import Actor, Entry, Tally
from frontdesk.audit.models import Filters
from frontdesk.audit.store import entries
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.identity import session_store
from frontdesk.identity.account import Account
from frontdesk.identity.mail import Mail, SmtpServer
from frontdesk.identity.metrics import IdentityMetrics
from frontdesk.identity.models import Kind, Principal
from frontdesk.identity.passwords import Passwords
from frontdesk.identity.permissions import Permission, Role
from frontdesk.identity.sessions import Opened, Sessions
from frontdesk.identity.sign_in import SignIn
from frontdesk.identity.signing import SigningKeys
from frontdesk.identity.staff import Device, SignInSettings, Staff
from frontdesk.identity.staffing import By, Changes, Staffing
from frontdesk.identity.tokens import Tokens
from frontdesk.identity.welcome import Welcome

PASSWORD = "correct horse battery"
HOME = Device("203.0.113.7", "a browser")
COMMAND = By(None, Actor("command", "test"))
BASE = "https://desk.example.org"


class MovedClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self._now = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return monotonic()

    def move(self, **by: float) -> None:
        self._now += timedelta(**by)


class Office:
    def __init__(self, database: Database, tenant_id: UUID, smtp: SmtpServer | None = None) -> None:
        self.db = database
        self.tenant_id = tenant_id
        self.clock = MovedClock()
        self.cipher = Cipher([bytes(32)])
        self._may = partial(_may, database, self.clock)
        self.tokens = Tokens(SigningKeys(database, self.cipher, self.clock), self.clock, self._may)
        self.registry = CollectorRegistry()
        self.metrics = IdentityMetrics(self.registry)
        self.denials = Tally(database)
        self.passwords = Passwords()
        self.mail = Mail(smtp, self.metrics, pause_s=0.01)
        self.sessions = Sessions(database, self.clock, self.tokens, self.metrics)
        self.sign_ins = SignIn(
            database, self.clock, self.cipher, self.passwords, self.sessions, self.denials, self.metrics
        )
        self.account = Account(database, self.clock, self.cipher, self.passwords, self.sessions)
        self.staffing = Staffing(database, self.clock, self.mail, BASE, self.tokens.ended)
        self.welcome = Welcome(database, self.clock, self.passwords, self.sessions)
        self.settings = SignInSettings()

    async def owner(self, email: str = "olga@example.org") -> Staff:
        """The first owner, who began by the link."""
        link = await self.staffing.owner_link(self.tenant_id, COMMAND, is_operator=True)
        assert link is not None
        opened = await self.welcome.accept(token_of(link), self.settings, email, "Olga", PASSWORD, HOME)
        return opened.staff

    async def member(self, role: Role, email: str, by: By = COMMAND) -> Staff:
        """Somebody who accepted an invitation."""
        invited = await self.staffing.invite(self.tenant_id, "Acme", by, email, email.partition("@")[0], role)
        assert invited.link is not None
        accepted = await self.welcome.accept(token_of(invited.link), self.settings, None, "Name", PASSWORD, HOME)
        return accepted.staff

    async def sign_in(
        self, email: str, password: str = PASSWORD, code: str | None = None, device: Device = HOME
    ) -> Opened:
        return await self.sign_ins.with_password(self.tenant_id, self.settings, email, password, code, device)

    async def change(self, by: By, staff: Staff, version: int | None = None, **changes: object) -> Staff:
        return await self.staffing.change(self.tenant_id, by, staff.id, version, Changes(**changes))  # type: ignore[arg-type]

    def as_staff(self, staff: Staff) -> By:
        principal = Principal(Kind.STAFF, self.tenant_id, str(staff.id), staff.permissions)
        return By(principal, principal.actor("203.0.113.7"))

    async def may(self, opened: Opened) -> frozenset[Permission] | None:
        """What the sign-in may do by now; None when it is over."""
        return await self._may(self.tenant_id, opened.session_id)

    async def audited(self) -> list[Entry]:
        """The newest first."""
        async with self.db.scope(self.tenant_id) as scope:
            return await entries(scope, Filters(), None, 200)


async def _may(db: Database, clock: MovedClock, tenant_id: UUID, session_id: UUID) -> frozenset[Permission] | None:
    async with db.scope(tenant_id) as scope:
        found = await session_store.live(scope, session_id, clock.now())
    return found.permissions if found is not None else None


def token_of(link: str) -> str:
    return link.partition("#token=")[2]

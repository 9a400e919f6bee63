"""The parts by which staff sign in and are managed, made and joined."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from frontdesk.agents.models import Tenant
from frontdesk.audit import Tally
from frontdesk.core.clock import Clock
from frontdesk.core.settings import Settings
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.identity.account import Account
from frontdesk.identity.mail import Mail, SmtpServer
from frontdesk.identity.metrics import IdentityMetrics
from frontdesk.identity.openid import OpenID
from frontdesk.identity.passwords import Passwords
from frontdesk.identity.sessions import Sessions
from frontdesk.identity.sign_in import SignIn
from frontdesk.identity.staffing import By, Staffing
from frontdesk.identity.tokens import Tokens
from frontdesk.identity.welcome import Welcome
from frontdesk.server.web import TenantWeb
from frontdesk.tools.outbound import Outbound


@dataclass(frozen=True, slots=True)
class People:
    sessions: Sessions
    sign_in: SignIn
    account: Account
    staffing: Staffing
    welcome: Welcome
    openid: OpenID
    mail: Mail


def smtp_server(settings: Settings) -> SmtpServer | None:
    smtp = settings.smtp
    if smtp.host is None:
        return None
    password = smtp.password.get_secret_value() if smtp.password is not None else None
    return SmtpServer(smtp.host, smtp.port, smtp.security, smtp.sender, smtp.user, password)


def base_of(settings: Settings, port: int | None = None) -> str:
    """How links begin. `port`: the one that is listened on."""
    if settings.public_url is not None:
        return settings.public_url
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port if port is None else port}"


def people(
    db: Database, cipher: Cipher, clock: Clock, tokens: Tokens, mail: Mail, denials: Tally,
    outbound: Outbound, tenant_named: Callable[[str], Awaitable[Tenant]], metrics: IdentityMetrics, base: str,
) -> People:  # fmt: skip
    passwords = Passwords()
    sessions = Sessions(db, clock, tokens, metrics)
    web = TenantWeb(outbound, tenant_named)
    return People(
        sessions=sessions,
        sign_in=SignIn(db, clock, cipher, passwords, sessions, denials, metrics),
        account=Account(db, clock, cipher, passwords, sessions),
        staffing=Staffing(db, clock, mail, base, tokens.ended),
        welcome=Welcome(db, clock, passwords, sessions),
        openid=OpenID(db, clock, cipher, web, sessions, denials, metrics, base),
        mail=mail,
    )


async def owner_link(
    staffing: Staffing, tenant_id: UUID, by: By, *, is_default: bool, is_operator: bool = False
) -> str | None:
    """Where the first owner of a tenant begins; None when it has one.

    The default tenant's manages the deployment too while nobody does; any other with `is_operator` alone.
    """
    is_operator = is_operator or (is_default and not await staffing.has_operator())
    return await staffing.owner_link(tenant_id, by, is_operator=is_operator)

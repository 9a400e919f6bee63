"""People of a tenant's staff, their sign-ins, and what a tenant says of how they sign in."""

import re
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from frontdesk.core.errors import FieldError, Invalid
from frontdesk.identity.permissions import OPERATOR, ROLES, Permission, Role

STAFF_ROLES = (Role.OWNER, Role.ADMIN, Role.SUPPORTER, Role.VIEWER)

# Nothing that has a meaning of its own in the header of a mail.
_EMAIL = re.compile(r"[^\s@,;:<>\"()\[\]\\\x00-\x1f\x7f-\x9f]{1,64}@[^\s@,;:<>\"()\[\]\\\x00-\x1f\x7f-\x9f]{1,189}")


class State(StrEnum):
    INVITED = "invited"  # has not chosen a password yet
    ACTIVE = "active"
    DISABLED = "disabled"


class Staff(msgspec.Struct, frozen=True):
    """A person. `version` grows with every change that others may collide with."""

    id: UUID
    tenant_id: UUID
    email: str
    name: str
    role: Role
    state: State
    is_operator: bool
    has_second_factor: bool
    version: int
    created_at: datetime
    last_sign_in: datetime | None

    @property
    def permissions(self) -> frozenset[Permission]:
        return ROLES[self.role] | OPERATOR if self.is_operator else ROLES[self.role]


class StaffSession(msgspec.Struct, frozen=True):
    """One sign-in on one device."""

    id: UUID
    staff_id: UUID
    device: str  # what the browser or program calls itself
    address: str
    created_at: datetime
    last_seen: datetime
    expires_at: datetime


class OpenIDSettings(msgspec.Struct, frozen=True):
    """An OpenID Connect provider of the tenant's."""

    issuer: str
    client_id: str
    client_secret: str  # the name of a secret of the tenant's
    title: str = "single sign-on"
    domains: tuple[str, ...] = ()  # of e-mail addresses that may sign in; none: every one that was invited
    role: Role | None = None  # of who was not invited; None: he must be


class SignInSettings(msgspec.Struct, frozen=True):
    """`sign_in:` of `tenant.yaml`"""

    password: bool = True
    session_days: int = 30
    openid: OpenIDSettings | None = None

    def takes_password(self, role: Role) -> bool:
        """Owners have no other way, and are the way back when the provider is gone."""
        return self.password or role is Role.OWNER


class Device(msgspec.Struct, frozen=True):
    """Where somebody signs in from."""

    address: str
    name: str


def folded(email: str) -> str:
    """An address as it is stored and compared. Raises Invalid."""
    email = email.strip().casefold()
    if not _EMAIL.fullmatch(email):
        raise Invalid("email: must be an e-mail address.", errors=[FieldError("email", "must be an e-mail address")])
    return email

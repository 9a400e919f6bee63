"""What the routes of sign-in and staff take and give, each form once."""

from typing import Annotated
from uuid import UUID

import msgspec
from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictStr

from frontdesk.channels.bodies import READABLE, readable
from frontdesk.core.clock import iso
from frontdesk.identity.permissions import Permission, Role
from frontdesk.identity.sessions import Opened
from frontdesk.identity.staff import Staff, StaffSession, State

_EXAMPLE = "ann@example.org"
Email = Annotated[
    StrictStr,
    Field(min_length=3, max_length=254, examples=[_EXAMPLE], json_schema_extra={"pattern": READABLE}),
    AfterValidator(readable),
]
Password = Annotated[StrictStr, Field(min_length=1, max_length=1000, examples=["correct horse battery staple"])]
Name = Annotated[
    StrictStr, Field(min_length=1, max_length=100, json_schema_extra={"pattern": READABLE}), AfterValidator(readable)
]
TenantName = Annotated[
    StrictStr | None, Field(max_length=100, description="slug or id; the default tenant when it is left out")
]
Code = Annotated[StrictStr, Field(min_length=1, max_length=40, description="of the app, or a recovery code")]
LinkToken = Annotated[StrictStr, Field(min_length=1, max_length=200, description="what stands behind #token=")]
Cookies = Annotated[StrictBool, Field(description="for pages: the tokens come as cookies, not in the body")]
StaffRole = Annotated[Role, Field(json_schema_extra={"enum": ["owner", "admin", "supporter", "viewer"]})]


class SignInIn(BaseModel, extra="forbid"):
    email: Email
    password: Password
    code: Code | None = None
    tenant: TenantName = None
    cookies: Cookies = False


class RefreshIn(BaseModel, extra="forbid"):
    refresh_token: Annotated[StrictStr | None, Field(max_length=200, description="left out when it is a cookie")] = None


class ForgotIn(BaseModel, extra="forbid"):
    email: Email
    tenant: TenantName = None


class LinkIn(BaseModel, extra="forbid"):
    token: LinkToken


class AcceptIn(BaseModel, extra="forbid"):
    token: LinkToken
    name: Name
    password: Password
    email: Annotated[Email | None, Field(description="of a first owner; others have theirs already")] = None
    cookies: Cookies = False


class ResetIn(BaseModel, extra="forbid"):
    token: LinkToken
    password: Password


class PasswordIn(BaseModel, extra="forbid"):
    current: Password
    new: Password


class CodeIn(BaseModel, extra="forbid"):
    code: Code


class ConfirmIn(BaseModel, extra="forbid"):
    password: Password


class InviteIn(BaseModel, extra="forbid"):
    email: Email
    role: StaffRole
    name: Name | None = None


class ChangeIn(BaseModel, extra="forbid"):
    """What is left out stays."""

    name: Name | None = None
    role: StaffRole | None = None
    state: Annotated[State | None, Field(json_schema_extra={"enum": ["active", "disabled"]})] = None
    is_operator: StrictBool | None = None


class OptionsOut(msgspec.Struct, frozen=True):
    """How staff of a tenant may sign in. `openid` is what the provider is called; `mail`: forgotten passwords are
    answered by mail."""

    tenant: str
    name: str
    password: bool
    openid: str | None
    mail: bool


class TokensOut(msgspec.Struct, frozen=True):
    """`access_token` is sent as `Authorization: Bearer`; `refresh_token` is good once."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int

    @classmethod
    def of(cls, opened: Opened) -> "TokensOut":
        return cls(opened.access_token, opened.refresh_token, "Bearer", opened.access_s)


class MeOut(msgspec.Struct, frozen=True):
    """Who calls. `id`, `email` and what follows are null for a developer's open server."""

    kind: str
    id: str
    tenant: str
    tenant_name: str
    permissions: list[Permission]
    email: str | None = None
    name: str | None = None
    role: Role | None = None
    is_operator: bool = False
    second_factor: bool = False
    recovery_codes: int = 0
    password: bool = False
    session_id: UUID | None = None


class SignInOut(msgspec.Struct, frozen=True):
    """One device. `current` is the one that asks."""

    id: UUID
    device: str
    address: str
    created_at: str
    last_seen: str
    expires_at: str
    current: bool

    @classmethod
    def of(cls, session: StaffSession, current: UUID | None) -> "SignInOut":
        return cls(
            session.id, session.device, session.address, iso(session.created_at), iso(session.last_seen),
            iso(session.expires_at), session.id == current,
        )  # fmt: skip


class SignInsOut(msgspec.Struct, frozen=True):
    """The newest first; `next_cursor` is null on the last page."""

    items: list[SignInOut]
    next_cursor: str | None


class LinkOut(msgspec.Struct, frozen=True):
    """What a single-use link is for."""

    purpose: str
    tenant: str
    tenant_name: str
    email: str | None
    name: str | None


class ProposedOut(msgspec.Struct, frozen=True):
    """`uri` is for a QR code, `secret` for typing it in."""

    secret: str
    uri: str


class RecoveryCodesOut(msgspec.Struct, frozen=True):
    """Each is good once, in place of a code. They are not shown again."""

    recovery_codes: list[str]


class StaffOut(msgspec.Struct, frozen=True):
    id: UUID
    email: str
    name: str
    role: Role
    state: State
    is_operator: bool
    second_factor: bool
    created_at: str
    last_sign_in: str | None
    version: int  # what `If-Match` names, in quotation marks

    @classmethod
    def of(cls, staff: Staff) -> "StaffOut":
        return cls(
            id=staff.id,
            email=staff.email,
            name=staff.name,
            role=staff.role,
            state=staff.state,
            is_operator=staff.is_operator,
            second_factor=staff.has_second_factor,
            created_at=iso(staff.created_at),
            last_sign_in=iso(staff.last_sign_in) if staff.last_sign_in is not None else None,
            version=staff.version,
        )


class StaffPage(msgspec.Struct, frozen=True):
    """By e-mail address; `next_cursor` is null on the last page."""

    items: list[StaffOut]
    next_cursor: str | None


class InvitedOut(msgspec.Struct, frozen=True):
    """`link` where no mail is sent: pass it on yourself, it is not shown again."""

    staff: StaffOut
    link: str | None


FORMS = (
    InvitedOut, LinkOut, MeOut, OptionsOut, ProposedOut, RecoveryCodesOut, SignInOut, SignInsOut, StaffOut, StaffPage,
    TokensOut,
)  # fmt: skip

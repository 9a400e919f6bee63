"""Who calls, once his credential has been read."""

from enum import StrEnum
from uuid import UUID

import msgspec

from frontdesk.identity.permissions import ANONYMOUS, OPERATOR, ROLES, Permission, Role


class Kind(StrEnum):
    STAFF = "staff"
    API_KEY = "api_key"
    CONTACT = "contact"
    VISITOR = "visitor"
    ANONYMOUS = "anonymous"
    DEVELOPER = "developer"


class Principal(msgspec.Struct, frozen=True):
    """`contact` and `conversation_id`, where they are set, bound what it may see and say to theirs."""

    kind: Kind
    tenant_id: UUID
    id: str
    permissions: frozenset[Permission]
    contact: str | None = None
    conversation_id: UUID | None = None
    session_id: UUID | None = None  # of staff: the sign-in that this comes from


def anonymous(tenant_id: UUID) -> Principal:
    return Principal(Kind.ANONYMOUS, tenant_id, "", ANONYMOUS)


def developer(tenant_id: UUID) -> Principal:
    """Whoever calls a server that was told to ask nobody who he is."""
    return Principal(Kind.DEVELOPER, tenant_id, "developer", ROLES[Role.OWNER] | OPERATOR)

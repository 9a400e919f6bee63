"""Who calls, once his credential has been read."""

from enum import StrEnum
from uuid import UUID

import msgspec

from frontdesk.audit import Actor, contact_target
from frontdesk.identity.permissions import ANONYMOUS, OPERATOR, ROLES, Permission, Role


class Kind(StrEnum):
    STAFF = "staff"
    FEDERATED = "federated"  # staff whom the tenant's issuer vouches for, without an account here
    API_KEY = "api_key"
    CONTACT = "contact"
    VISITOR = "visitor"
    ANONYMOUS = "anonymous"
    DEVELOPER = "developer"


class Principal(msgspec.Struct, frozen=True):
    """`contact` and `conversation_id`, where they are set, bound what it may see and say to theirs.

    `id`: of staff and keys their row's, of contacts and visitors the user's, of who is federated issuer and subject.
    """

    kind: Kind
    tenant_id: UUID
    id: str
    permissions: frozenset[Permission]
    contact: str | None = None
    conversation_id: UUID | None = None
    session_id: UUID | None = None  # of staff: the sign-in that this comes from

    def actor(self, address: str) -> Actor:
        """How the audit log names him; a contact by what tells nothing once he was erased."""
        id = contact_target(self.tenant_id, self.id) if self.kind is Kind.CONTACT else self.id
        return Actor(self.kind.value, id, address)


def anonymous(tenant_id: UUID) -> Principal:
    return Principal(Kind.ANONYMOUS, tenant_id, "", ANONYMOUS)


def developer(tenant_id: UUID) -> Principal:
    """Whoever calls a server that was told to ask nobody who he is."""
    return Principal(Kind.DEVELOPER, tenant_id, "developer", ROLES[Role.OWNER] | OPERATOR)

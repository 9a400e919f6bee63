"""Entries of the audit log, and the form over which they are hashed."""

import hashlib
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

# The deployment's own chain: tenants created and deleted, operators, refusals that are of no tenant.
DEPLOYMENT = UUID(int=0)

FIRST_PREVIOUS = "0" * 64  # what stands as the previous hash of a chain's first entry

ActorKind = Literal[
    "staff", "federated", "api_key", "visitor", "contact", "anonymous", "developer", "command", "system", "many"
]


class Actor(msgspec.Struct, frozen=True):
    """Who acted. `id` is the row's id of a person or key, never a name or an e-mail address; of a command, its name; of
    staff whom a tenant's issuer vouches for, the issuer and what it calls them."""

    kind: ActorKind
    id: str
    address: str | None = None  # the client's, behind trusted proxies the forwarded one


class Entry(msgspec.Struct, frozen=True):
    """One entry as it is stored, exported and hashed. Times are `2026-01-31T23:59:59.123456Z`, hashes hexadecimal."""

    tenant_id: UUID
    number: int  # from 1, without gaps
    at: str
    actor_kind: str
    actor_id: str
    address: str | None
    action: str  # noun.verb
    target: str  # kind/id
    before: msgspec.Raw  # the JSON as it was stored, byte for byte; `null` for none
    after: msgspec.Raw
    previous_hash: str
    hash: str

    def expected_hash(self) -> str:
        """SHA-256 over all the fields before it, each as a netstring (https://cr.yp.to/proto/netstrings.txt), none as
        `-,`: the same as `audit_hash()` makes of the row."""
        fields = (
            str(self.tenant_id), str(self.number), self.at, self.actor_kind, self.actor_id, self.address,
            self.action, self.target, _text(self.before), _text(self.after), self.previous_hash,
        )  # fmt: skip
        return hashlib.sha256(b"".join(map(_netstring, fields))).hexdigest()


class Filters(msgspec.Struct, frozen=True):
    """Which entries to list. `action` and `target` may end in `*`: everything that begins so."""

    actor_id: str | None = None
    action: str | None = None
    target: str | None = None
    since: datetime | None = None  # inclusive
    until: datetime | None = None  # exclusive


def contact_target(tenant_id: UUID, external_id: str) -> str:
    """How a contact is named as a target: findable by who knows the id, and telling nothing once he was erased.

    What is appended can't be taken out again, and an external id is often a phone number or an e-mail address.
    """
    return f"contact/{hashlib.sha256(tenant_id.bytes + external_id.encode()).hexdigest()[:32]}"


def _text(raw: msgspec.Raw) -> str | None:
    text = bytes(raw).decode()
    return None if text == "null" else text


def _netstring(field: str | None) -> bytes:
    if field is None:
        return b"-,"
    data = field.encode()
    return b"%d:%b," % (len(data), data)

"""Roles that a tenant's issuer gives its staff by a claim: only values that the tenant names give one."""

from typing import Any, Literal  # the claims that an issuer chose are JSON until they are checked

import msgspec

from frontdesk.core.errors import TokenInvalid
from frontdesk.identity.permissions import Role

# Owners say who vouches for people, and so nobody who is vouched for is one.
StaffRole = Literal["admin", "supporter", "viewer"]
_STRONGEST_FIRST: tuple[StaffRole, ...] = ("admin", "supporter", "viewer")

MOST_VALUES = 1000
MOST_CHARS = 500


class IssuerRoles(msgspec.Struct, frozen=True):
    """`claim`: a name, or names separated by dots where it stands inside others; one with `://` is a name as it is.

    `values`: the role of who has this value. `others`: what is made of who has none of them.
    """

    claim: str
    values: dict[str, StaffRole]
    others: Literal["contact", "refused"] = "refused"


def role_of(claims: dict[str, Any], roles: IssuerRoles) -> Role | None:
    """The strongest that the token's values give; None for a contact. Raises TokenInvalid."""
    given = {roles.values[value] for value in _values(claims, roles.claim) if value in roles.values}
    for role in _STRONGEST_FIRST:
        if role in given:
            return Role(role)
    if roles.others == "refused":
        raise TokenInvalid(f"The token gives no role here: its claim {roles.claim} has no value that is known.")
    return None


def _values(claims: dict[str, Any], name: str) -> list[str]:
    """None of them where the claim is not there. Raises TokenInvalid for what is neither a text nor a list of texts."""
    found: Any = claims
    for part in [name] if "://" in name else name.split("."):
        if not isinstance(found, dict):
            raise _unreadable(name)
        found = found.get(part)
        if found is None:
            return []
    values = [found] if isinstance(found, str) else found
    if not isinstance(values, list) or len(values) > MOST_VALUES:
        raise _unreadable(name)
    if not all(isinstance(value, str) and len(value) <= MOST_CHARS for value in values):
        raise _unreadable(name)
    return values


def _unreadable(name: str) -> TokenInvalid:
    sentence = f"its claim {name} must be a text or a list of at most {MOST_VALUES} texts of {MOST_CHARS} characters"
    return TokenInvalid(f"The token gives no role: {sentence}.")

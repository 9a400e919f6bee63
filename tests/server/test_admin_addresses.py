"""A tenant that is administered from its own addresses alone."""

from typing import Any

import pytest
from starlette.requests import Request

from frontdesk.agents.models import Tenant, TenantSettings
from frontdesk.channels.access import Access
from frontdesk.channels.addresses import Client
from frontdesk.core.errors import AddressRefused
from frontdesk.core.ids import new_id
from frontdesk.identity.models import Kind, Principal
from frontdesk.identity.permissions import ROLES, Permission, Role

TENANT = Tenant(new_id(), "acme", "Acme", 1, TenantSettings(admin_addresses=("203.0.113.0/24", "2001:db8::/32")))


def request(address: str, *, is_local: bool = False) -> Request:
    client = Client(address, is_local=is_local, is_secure=False)
    return Request({"type": "http", "headers": [], "state": {"client": client}})


def access(kind: Kind, contact: str | None = None) -> Access:
    principal = Principal(kind, TENANT.id, "x", ROLES[Role.OWNER] | {Permission.CHAT}, contact)

    async def authenticate(_request: Request, _find: Any = None) -> Principal:
        return principal

    async def tenant(*_name: Any) -> Tenant:
        return TENANT

    return Access(authenticate, tenant, tenant, is_open=False)


@pytest.mark.parametrize("kind", [Kind.STAFF, Kind.API_KEY])
@pytest.mark.parametrize(
    ("address", "is_local", "is_taken"),
    [
        ("203.0.113.9", False, True),
        ("2001:db8:1::1", False, True),
        ("198.51.100.1", False, False),
        ("::1", False, False),
        ("", False, False),
        ("127.0.0.1", True, True),
    ],
)
async def test_it_is_administered_from_its_own_addresses(
    kind: Kind, address: str, is_local: bool, is_taken: bool
) -> None:
    asked = request(address, is_local=is_local)
    for ask in (
        lambda: access(kind).to_named("acme", Permission.CONVERSATIONS_READ, asked),
        lambda: access(kind).to_own(Permission.SETTINGS_WRITE, asked),
    ):
        if is_taken:
            assert (await ask()).tenant == TENANT
        else:
            with pytest.raises(AddressRefused):
                await ask()


async def test_contacts_come_from_anywhere() -> None:
    anywhere = request("198.51.100.1")
    for kind in (Kind.CONTACT, Kind.VISITOR):
        assert await access(kind, "ann").to_named("acme", Permission.SESSIONS_LIST, anywhere)
    assert await access(Kind.API_KEY).to_named("acme", Permission.CHAT, anywhere)

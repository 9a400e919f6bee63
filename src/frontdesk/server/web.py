"""JSON from addresses that a tenant names: those alone that its tools may reach too."""

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any  # what others send is untyped until it is checked
from urllib.parse import quote_plus
from uuid import UUID

import aiohttp
from yarl import URL

from frontdesk.agents.models import Tenant
from frontdesk.core.json import loads
from frontdesk.identity.openid import OpenIDFailed
from frontdesk.tools.addresses import AddressRefused
from frontdesk.tools.outbound import Outbound

MOST_BYTES = 256 * 1024
TIMEOUT_S = 10.0


class TenantWeb:
    def __init__(self, outbound: Outbound, tenant_named: Callable[[str], Awaitable[Tenant]]) -> None:
        self._outbound = outbound
        self._tenant_named = tenant_named

    async def json(
        self, tenant_id: UUID, url: str, form: Mapping[str, str] | None = None, user: tuple[str, str] | None = None
    ) -> Any:
        """Raises OpenIDFailed."""
        tenant = await self._tenant_named(str(tenant_id))
        headers = {"accept": "application/json"} | ({} if user is None else {"authorization": _basic(*user)})
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with self._outbound.session(tenant.id, tenant.settings.http_allow) as (session, policy):
                at = URL(url)
                policy.check_literal(at.host or "", at.port or 0)
                async with session.request(
                    "GET" if form is None else "POST", url, data=form, headers=headers, timeout=timeout,
                    allow_redirects=False,
                ) as response:  # fmt: skip
                    body = await response.content.read(MOST_BYTES + 1)
                    while len(body) <= MOST_BYTES and (more := await response.content.read(MOST_BYTES)):
                        body += more
                    if response.status != 200 or len(body) > MOST_BYTES:
                        raise OpenIDFailed(f"The sign-in provider answered {response.status}.")
            return loads(body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, AddressRefused) as error:
            raise OpenIDFailed("The sign-in provider can't be reached.") from error


def _basic(name: str, password: str) -> str:
    """RFC 6749, 2.3.1: both are encoded as in a form first."""
    return "Basic " + base64.b64encode(f"{quote_plus(name)}:{quote_plus(password)}".encode()).decode()

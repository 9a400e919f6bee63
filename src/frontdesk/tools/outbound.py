"""HTTP sessions of tenants' tools: each tenant has its own, so that no connection serves under another's policy."""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import aiohttp

from frontdesk.tools.addresses import AddressPolicy, GuardedResolver, Lookup

_SESSIONS = 1000
_CONNECTIONS_PER_TENANT = 32


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """The operating system's answer, in its order. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(slots=True)
class _Kept:
    allow: tuple[str, ...]
    policy: AddressPolicy
    session: aiohttp.ClientSession
    users: int = 0
    is_retired: bool = False


class Outbound:
    """Sessions that reach only what the tenant's policy allows; idle connections are kept for the next call."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._kept: OrderedDict[UUID, _Kept] = OrderedDict()

    @asynccontextmanager
    async def session(
        self, tenant_id: UUID, allow: tuple[str, ...]
    ) -> AsyncIterator[tuple[aiohttp.ClientSession, AddressPolicy]]:
        """The tenant's session; it stays open at least until the block ends."""
        kept, retired = self._find(tenant_id, allow)
        kept.users += 1
        try:
            for each in retired:
                await _close_unused(each)
            yield kept.session, kept.policy
        finally:
            kept.users -= 1
            await _close_unused(kept)

    async def close(self) -> None:
        for kept in self._kept.values():
            await kept.session.close()
        self._kept.clear()

    def _find(self, tenant_id: UUID, allow: tuple[str, ...]) -> tuple[_Kept, list[_Kept]]:
        """The session to use, and those that it replaces: of an older policy, or the longest unused one."""
        retired = []
        kept = self._kept.pop(tenant_id, None)
        if kept is not None and kept.allow != allow:
            retired.append(kept)
            kept = None
        if kept is None:
            policy = AddressPolicy(allow)
            kept = _Kept(allow, policy, self._open(policy))
        self._kept[tenant_id] = kept
        if len(self._kept) > _SESSIONS:
            retired.append(self._kept.popitem(last=False)[1])
        for each in retired:
            each.is_retired = True
        return kept, retired

    def _open(self, policy: AddressPolicy) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(policy, self._lookup),
            use_dns_cache=False,  # each connection is made to an address that was checked for it
            limit=_CONNECTIONS_PER_TENANT,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),  # one contact's cookies must not serve another
            timeout=aiohttp.ClientTimeout(total=None),  # the toolbox bounds the call
            raise_for_status=False,
            trust_env=False,  # a proxy would connect for us, past the policy
        )


async def _close_unused(kept: _Kept) -> None:
    if kept.is_retired and kept.users == 0:
        await kept.session.close()

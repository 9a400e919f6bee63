"""Which network addresses a tenant's tools may reach: public ones, and the private ones that the tenant names."""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

from aiohttp.abc import AbstractResolver, ResolveResult

from frontdesk.core.errors import DefinitionError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# (host, port) -> the addresses of the host, as text.
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]

# RFC 6052: the last 32 bits are an IPv4 address, which is what the packet reaches in the end.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefused(OSError):
    """The address is not a public one, nor one that the tenant allows. An OSError, as aiohttp expects of resolvers."""


class AddressPolicy:
    """What `http_allow` says. Entries: `10.1.0.0/16`, `10.1.2.3`, `10.1.2.3:8080`, `[fd00::1]:443`, `erp.local:8080`.

    Raises DefinitionError for an entry of another form.
    """

    def __init__(self, allow: Sequence[str]) -> None:
        self._networks: list[Network] = []
        self._places: set[tuple[str, int]] = set()
        for entry in allow:
            if (network := _network(entry)) is not None:
                self._networks.append(network)
            elif (place := _place(entry)) is not None:
                self._places.add(place)
            else:
                raise DefinitionError(
                    f"{entry!r} is not a network (10.1.0.0/16), an address (10.1.2.3) or a host with port (erp:8080)."
                )

    def check(self, host: str, port: int, address: str) -> None:
        """Raises AddressRefused unless `address`, which is what `host` stands for, may be connected to."""
        if (host.lower().rstrip("."), port) in self._places:
            return
        try:
            reached = _reached(ipaddress.ip_address(address))
        except ValueError:
            raise AddressRefused("The address is not an IP address.") from None
        if _is_public(reached):
            return
        if (str(reached), port) in self._places or any(reached in network for network in self._networks):
            return
        raise AddressRefused("The address is not public.")

    def check_literal(self, host: str, port: int) -> None:
        """The same for a host that is written as an address: aiohttp asks no resolver about those."""
        if ":" in host or host.replace(".", "").isdigit():
            self.check(host, port, host)


class GuardedResolver(AbstractResolver):
    """Resolves for one connection and hands on only what the policy allows.

    aiohttp connects to the very addresses it gets from here (no cache in between), so a name that answers differently
    the next time (DNS rebinding) gains nothing.
    """

    def __init__(self, policy: AddressPolicy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises AddressRefused when any of the addresses is forbidden: an honest name has none of those."""
        addresses = await self._lookup(host, port)
        if not addresses:
            raise OSError("The host has no address.")
        for address in addresses:
            self._policy.check(host, port, address)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def _place(entry: str) -> tuple[str, int] | None:
    host, colon, port = entry.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        return None
    host = host.removeprefix("[").removesuffix("]").lower()
    return (host, int(port)) if not set(host) & set("/@?# ") else None


def _reached(address: Address) -> Address:
    """The address behind an IPv4 address in IPv6's clothes."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    # Deprecated site-local addresses and 6to4 tunnels (RFC 3879, RFC 7526) lead to hosts that nobody means today.
    return isinstance(address, ipaddress.IPv4Address) or not (address.is_site_local or address.sixtofour is not None)

"""Where a request comes from: the peer's address, or what proxies that are believed say of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import HTTPConnection
from starlette.types import Scope

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# A chain longer than this is nobody's deployment: what is further away is not looked at.
MOST_HOPS = 20
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
# Believed or not: what came through another program is not this machine's own question.
_FORWARDING = frozenset(
    {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip", b"forwarded", b"via"}
)


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end, as far as it can be known."""

    address: str
    is_local: bool  # a program of this machine itself asks, and not for somebody else as far as it says
    is_secure: bool  # by TLS, which ends here or at a proxy that is believed


class Clients:
    """Finds out who asks. A forwarded address is believed of `proxies` alone, among whom it is searched for."""

    def __init__(self, proxies: Sequence[Network]) -> None:
        self._proxies = tuple(proxies)

    def of(self, scope: Scope) -> Client:
        """From the right, the first hop that is none of ours. What is no address ends the search before it."""
        peer = scope["client"][0] if scope["client"] else ""
        is_secure = scope["scheme"] == "https"
        forwarding = [field for field in scope["headers"] if field[0] in _FORWARDING]
        if not forwarding and peer in _LOOPBACK:
            return Client(peer, is_local=True, is_secure=is_secure)
        found = parsed(peer)
        if found is None or not is_within(found, self._proxies):
            return Client(str(found or peer), is_local=False, is_secure=is_secure)
        for hop in _hops(value for name, value in forwarding if name == b"x-forwarded-for"):
            address = parsed(hop)
            if address is None:
                break
            found = address
            if not is_within(found, self._proxies):
                break
        is_secure = is_secure or (b"x-forwarded-proto", b"https") in forwarding
        return Client(str(found), is_local=False, is_secure=is_secure)


def client_of(request: HTTPConnection) -> Client:
    """What the surroundings of every request have found out (server/middleware.py)."""
    client: Client = request.scope["state"]["client"]
    return client


def client_address(request: HTTPConnection) -> str:
    return client_of(request).address


def parsed(text: str) -> Address | None:
    """An address as proxies write it: maybe with a port, in brackets. IPv4 within IPv6 is IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))  # without the name of a link, which is the sender's own
    return address


def is_within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _hops(headers: Iterable[bytes]) -> list[str]:
    """The nearest first."""
    return b",".join(headers).decode("latin-1").rsplit(",", MOST_HOPS)[-MOST_HOPS:][::-1]

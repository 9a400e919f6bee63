"""Addresses as they are counted."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network


@lru_cache(4096)
def network_of(address: str) -> str:
    """What counts as one address: of IPv6 the /64, all of which one household has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((int(parsed) >> 64 << 64, 64))) if isinstance(parsed, IPv6Address) else address

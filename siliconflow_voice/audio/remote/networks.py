"""Which IP addresses are the public internet's, and which are this machine's, its network's or its host's."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

__all__ = ["may_be_connected_to"]

# Lists of our own, since ipaddress changes its mind: Python 3.11 takes 192.0.0.192 for global. Source: IANA's
# registries of special-purpose addresses.
_OWN = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7"),
            "100.64.0.0/10",  # behind a carrier's NAT, and where Alibaba Cloud has its metadata
            # Benchmarks and documentation; and names that a VPN on this machine invents addresses for.
            *("198.18.0.0/15", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"),
        ),
    )
)
_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",  # this machine, as Linux takes it
            "169.254.0.0/16",  # link-local: the metadata of most clouds
            *("192.0.0.0/24", "168.63.129.16/32"),  # Oracle's and Azure's
            *("224.0.0.0/4", "240.0.0.0/4"),
            *("2001::/23", "2002::/16"),  # tunnels (Teredo, 6to4), with an IPv4 address inside
        ),
    )
)
_PUBLIC_IPV6 = IPv6Network("2000::/3")
_IPV4_INSIDE = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""Written as IPv6, or reached through a gateway (NAT64)."""


def may_be_connected_to(address: str, *, private: bool) -> bool:
    """Return whether a recording may come from an IP address.

    Args:
        address: As a socket has it.
        private: Whether it may be this machine's own, or one of a private network. Link-local addresses,
            where clouds hand out credentials, and those that are not a machine's never pass.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and any(found in network for network in _IPV4_INSIDE):
        found = IPv4Address(found.packed[-4:])
    if _in(found, _NEVER):
        return False
    if _in(found, _OWN):
        return private
    return isinstance(found, IPv4Address) or found in _PUBLIC_IPV6


def _in(address: IPv4Address | IPv6Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address in network for network in networks)

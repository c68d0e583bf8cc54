"""Addresses as programs of one family see them.

A socket of IPv6 reaches an IPv4 host by ::ffff:192.0.2.1, and such a call is one of IPv6. A rule that names 192.0.2.1
means the host, whatever the way to it: in a program of IPv6, IPv4 ranges stand where they are mapped to, and IPv6
ranges hold none of those that are mapped.
"""

from __future__ import annotations

from appliance.rules.ranges import Ranges, complement, intersection, union
from appliance.rules.values import V4_MAXIMUM, V6_MAXIMUM, Addresses

MAPPED = 0xFFFF << 32  # ::ffff:0:0/96, RFC 4291 section 2.5.5.2
_MAPPED = ((MAPPED, MAPPED | V4_MAXIMUM),)


def seen_by(addresses: Addresses, version: int) -> Ranges:
    """What of the addresses calls of IPv4 or IPv6 can name."""
    if version == 4:
        return addresses.v4
    own = intersection(addresses.v6, complement(_MAPPED, V6_MAXIMUM))
    return union((*own, *((MAPPED | low, MAPPED | high) for low, high in addresses.v4)))

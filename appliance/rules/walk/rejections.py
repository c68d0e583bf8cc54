"""Which rejected frames are answered, as programs/stages/reject.c decides it (RFC 1122 section 3.2.2, RFC 4443
section 2.4)."""

from __future__ import annotations

from appliance.rules.model import RejectBy
from appliance.rules.names import ICMP_TYPES, ICMPV6_TYPES, PROTOCOLS, TCP_FLAGS
from appliance.rules.walk.dissector import Dissected

_TCP, _ICMP, _ICMPV6 = (PROTOCOLS[name] for name in ("tcp", "icmp", "icmpv6"))
_ERRORS = frozenset(
    ICMP_TYPES[name]
    for name in ("destination-unreachable", "source-quench", "redirect", "time-exceeded", "parameter-problem")
)
_REDIRECT_V6 = ICMPV6_TYPES["redirect"]
_FIRST_QUERY = 128  # types of ICMPv6 below are errors
_TO_MANY = 1 << 40  # the bit of a MAC address that says so


def is_answered(frame: Dissected, by: RejectBy) -> bool:
    """Whether there is an answer to that frame, if the rule's rate lets one go."""
    if (frame["eth.dst"] | frame["eth.src"]) & _TO_MANY or frame["version"] not in (4, 6):
        return False
    if frame["fragment_offset"] or frame["tunnel_depth"] or _is_error(frame):
        return False
    if not all(_is_host(frame["version"], frame.address(side)) for side in ("source", "destination")):
        return False
    is_tcp = frame["transport"] == _TCP
    if by is RejectBy.RESET or (by is RejectBy.EITHER and is_tcp):
        return is_tcp and not frame["tcp.flags"] & TCP_FLAGS["rst"]
    return True


def _is_error(frame: Dissected) -> bool:
    if frame["transport"] == _ICMP:
        return frame["icmp_type"] in _ERRORS
    return frame["transport"] == _ICMPV6 and (frame["icmp_type"] < _FIRST_QUERY or frame["icmp_type"] == _REDIRECT_V6)


def _is_host(version: int, address: int) -> bool:
    """Whether an address is a single host's."""
    if version == 4:
        return address >> 28 < 0xE and address >> 24 not in (0, 127)
    return address >> 120 != 0xFF and address > 1

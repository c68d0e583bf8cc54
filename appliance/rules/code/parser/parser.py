"""The parser that a compiled rule set begins with: one pass over the headers, every field read once.

    Ethernet ── 0..4 VLAN tags ── IPv4 ──────────────────────── TCP
                              ├── IPv6 ── 0..8 extensions ──┬── UDP
                              └── anything else             └── ICMP, ICMPv6

Fields end in variables, which LLVM turns into registers; what no rule reads it leaves out. A layer that a frame
doesn't have leaves its fields 0, and `version` or `transport` says that it isn't there. Every pointer is compared to
the end of the frame before it is read through, in the form that verifiers take: pointer + size > end. After the
parser no packet pointer is alive, only numbers.

What is malformed doesn't depend on the rules: every layer down to the transport header is checked in every frame.
"""

from __future__ import annotations

import ctypes

from appliance.ir import I64, U64, Code, Number
from appliance.rules.code.parser.cursor import MOST_TAGS, Cursor, any_of, frame_length
from appliance.rules.code.parser.headers import EthernetHeader, VlanTag, read
from appliance.rules.code.parser.ip import parse_ipv4, parse_ipv6
from appliance.rules.code.parser.transport import parse_transport

_TAG_TYPES = (0x8100, 0x88A8, 0x9100)  # 802.1Q, 802.1ad, and what was in use before it
_IPV4, _IPV6 = 0x0800, 0x86DD


def parse_frame(cursor: Cursor) -> None:
    """Write the parser. Afterwards every field can be read."""
    code = cursor.code
    cursor.set(length=frame_length(code, cursor.data, cursor.end))
    ethernet = cursor.header(0, EthernetHeader, "ethernet_truncated")
    high, low = (read(code, ethernet, EthernetHeader, f"destination_{half}") for half in ("high", "low"))
    cursor.set(mac_destination=_join(code, high, low))
    high, low = (read(code, ethernet, EthernetHeader, f"source_{half}") for half in ("high", "low"))
    cursor.set(mac_source=_join(code, high, low))
    cursor.set(ethertype=read(code, ethernet, EthernetHeader, "ethertype"))
    _tags(cursor, 0)
    ethertype = cursor["ethertype"]
    with code.if_(code.compare(ethertype, "==", _IPV4)):
        parse_ipv4(cursor)
    with code.if_(code.compare(ethertype, "==", _IPV6)):
        parse_ipv6(cursor)
    parse_transport(cursor)


def _tags(cursor: Cursor, depth: int) -> None:
    """The tag at that depth, if there is one, and those inside of it."""
    code = cursor.code
    is_tag = any_of(code, cursor["ethertype"], _TAG_TYPES)
    if depth == MOST_TAGS:
        cursor.refuse_if(is_tag, "vlan_nested")
        return
    with code.if_(is_tag):
        offset = ctypes.sizeof(EthernetHeader) + depth * ctypes.sizeof(VlanTag)
        end = code.at(cursor.data, offset + ctypes.sizeof(VlanTag))
        cursor.refuse_if(code.compare(code.integer(end), ">", code.integer(cursor.end)), "vlan_truncated")
        tag = code.at(cursor.data, offset)
        control = code.and_(read(code, tag, VlanTag, "control"), 0xFFF)
        cursor.set(ethertype=read(code, tag, VlanTag, "ethertype"), vlan_depth=depth + 1)
        cursor.set(**{f"vlan_{depth}": control})
        cursor.layer3.set(offset + ctypes.sizeof(VlanTag))
        _tags(cursor, depth + 1)


def _join(code: Code, high: Number, low: Number) -> U64:
    """Two neighbouring numbers as one of 64 bits."""
    width: int = low.type.width
    return code.or_(code.shl(code.resize(high, I64), width), code.resize(low, I64))

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

from appliance.ir import U32, Variable
from appliance.rules.code.parser.bits import read
from appliance.rules.code.parser.cursor import MOST_TAGS, Cursor, any_of, frame_length
from appliance.rules.code.parser.ip import parse_ipv4, parse_ipv6
from appliance.rules.code.parser.slices import parse_slices
from appliance.rules.code.parser.transport import parse_arp, parse_transport
from appliance.rules.headers import ARP, ETHERNET, IPV4, IPV6, VLAN
from appliance.rules.layers import IP_OPTION_WORDS, IP_OPTIONS, Layer

_TAG_TYPES = (VLAN.number, 0x88A8, 0x9100, 0x9200)  # 802.1Q, 802.1ad, and what was in use before it


def parse_frame(cursor: Cursor) -> None:
    """Write the parser. Afterwards every field can be read."""
    code = cursor.code
    cursor.set(length=frame_length(code, cursor.data, cursor.end))
    parse_link(cursor)
    parse_packet(cursor, cursor.fields.variables["ethertype"])


def parse_link(cursor: Cursor) -> None:
    """An Ethernet header with its tags."""
    ethernet = cursor.header(cursor.behind(0), ETHERNET, "ethernet_truncated")
    cursor.read(ethernet, ETHERNET)
    cursor.set(ethertype=read(cursor.code, ethernet, ETHERNET[96:112]))
    _tags(cursor, 0)


def parse_packet(cursor: Cursor, ethertype: Variable[U32]) -> None:
    """What stands at layer 3, if it is of an ethertype that rules may ask for."""
    code = cursor.code
    if cursor.keeps_any((IP_OPTIONS, *IP_OPTION_WORDS)):
        cursor.settle()
    for header, parse in ((IPV4, parse_ipv4), (IPV6, parse_ipv6), (ARP, parse_arp)):
        if header is not ARP or Layer.ARP in cursor.fields.layers:
            with code.if_(code.compare(ethertype.get(), "==", header.number)):
                parse(cursor)
    cursor.settle()
    parse_transport(cursor)
    parse_slices(cursor)


def _tags(cursor: Cursor, depth: int) -> None:
    """The tag at that depth, if there is one, and those inside of it."""
    code = cursor.code
    is_tag = any_of(code, cursor["ethertype"], _TAG_TYPES)
    if depth == MOST_TAGS:
        cursor.refuse_if(is_tag, "vlan_nested")
        return
    with code.if_(is_tag):
        offset = ETHERNET.size + depth * VLAN.size
        tag = cursor.header(cursor.behind(offset), VLAN, "vlan_truncated")
        cursor.set(**{f"vlan_{depth}": read(code, tag, VLAN[4:16])})
        cursor.set(ethertype=read(code, tag, VLAN[16:32]), vlan_depth=depth + 1)
        cursor.layer3.set(cursor.behind(offset + VLAN.size))
        _tags(cursor, depth + 1)

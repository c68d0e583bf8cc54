"""What stands at layer 4: TCP, UDP, ICMP and ICMPv6, and protocols that are read only for rules that ask for them."""

from __future__ import annotations

from appliance.ir import I64
from appliance.rules.code.parser.bits import read
from appliance.rules.code.parser.cursor import Cursor
from appliance.rules.code.parser.tcp_options import FIELDS, parse_tcp_options
from appliance.rules.headers import AH, ARP, ICMP, ICMPV6, TCP, UDP, Header
from appliance.rules.layers import OPTIONAL


def parse_transport(cursor: Cursor) -> None:
    code = cursor.code
    upper = cursor.upper.get()
    for header, write in ((TCP, _tcp), (UDP, _udp)):
        with code.if_(code.compare(upper, "==", header.number)):
            write(cursor)
    for header, reason in ((ICMP, "icmp_truncated"), (ICMPV6, "icmpv6_truncated")):
        with code.if_(code.compare(upper, "==", header.number)):
            cursor.refuse_if(code.compare(cursor.layer4_length.get(), "<", header.size), reason)
            cursor.read(cursor.header(cursor.layer4.get(), header, reason), header)
            cursor.set(transport=header.number)
            cursor.ends(header.size)
    for layer, header in OPTIONAL.items():
        if layer in cursor.fields.layers and header not in (ARP, AH):
            with code.if_(code.compare(upper, "==", header.number)):
                _optional(cursor, header)


def parse_arp(cursor: Cursor) -> None:
    """ARP of IPv4 over Ethernet, which the first 6 bytes say that it is: nothing else has the fields of that."""
    code = cursor.code
    with cursor.header_if_there(cursor.layer3.get(), ARP) as pointer:
        kind = read(code, pointer, ARP[0:48])
        with code.if_(code.compare(kind, "==", _ETHERNET_AND_IPV4)):
            cursor.read(pointer, ARP)
            cursor.set(transport=ARP.number)


_ETHERNET_AND_IPV4 = 0x0001_0800_0604  # hardware type, protocol type, and the lengths of their addresses


def _tcp(cursor: Cursor) -> None:
    code = cursor.code
    cursor.refuse_if(code.compare(cursor.layer4_length.get(), "<", TCP.size), "tcp_truncated")
    header = cursor.header(cursor.layer4.get(), TCP, "tcp_truncated")
    length = read(code, header, TCP[96:100] * 4)
    cursor.refuse_if(code.compare(length, "<", TCP.size), "tcp_header_length")
    cursor.refuse_if(code.compare(length, ">", cursor.layer4_length.get()), "tcp_header_length")
    cursor.set(transport=TCP.number)
    cursor.ends(length)
    cursor.read(header, TCP)
    if cursor.keeps_any(FIELDS):
        start = code.add(cursor.layer4.get(), TCP.size)
        parse_tcp_options(cursor, start, code.resize(code.sub(length, TCP.size), I64))


def _udp(cursor: Cursor) -> None:
    code = cursor.code
    cursor.refuse_if(code.compare(cursor.layer4_length.get(), "<", UDP.size), "udp_truncated")
    header = cursor.header(cursor.layer4.get(), UDP, "udp_truncated")
    length = read(code, header, UDP[32:48])
    cursor.refuse_if(code.compare(length, "<", UDP.size), "udp_length")
    # a fragment holds less than the datagram, whose length this is
    with code.if_(cursor.is_whole()):
        cursor.refuse_if(code.compare(length, ">", cursor.layer4_length.get()), "udp_length")
    cursor.set(transport=UDP.number)
    cursor.ends(UDP.size)
    cursor.read(header, UDP)


def _optional(cursor: Cursor, header: Header) -> None:
    """A header that only some rule asks for: cut short, it isn't there."""
    code = cursor.code
    with (
        code.if_(code.compare(cursor.layer4_length.get(), ">=", header.size)),
        cursor.header_if_there(cursor.layer4.get(), header) as pointer,
    ):
        cursor.read(pointer, header)
        cursor.set(transport=header.number)

"""TCP, UDP, ICMP and ICMPv6: what a rule reads of the header at layer 4."""

from __future__ import annotations

import ctypes

from appliance.ir import I32, Pointer
from appliance.rules.code.parser.cursor import Cursor
from appliance.rules.code.parser.headers import IcmpHeader, TcpHeader, UdpHeader, read

_TCP, _UDP, _ICMP, _ICMPV6 = 6, 17, 1, 58


def parse_transport(cursor: Cursor) -> None:
    code = cursor.code
    upper = cursor.upper.get()
    for protocol, write in ((_TCP, _tcp), (_UDP, _udp)):
        with code.if_(code.compare(upper, "==", protocol)):
            write(cursor)
    with code.if_(code.compare(upper, "==", _ICMP)):
        _icmp(cursor, _ICMP, "icmp_truncated", ctypes.sizeof(IcmpHeader))
    with code.if_(code.compare(upper, "==", _ICMPV6)):
        _icmp(cursor, _ICMPV6, "icmpv6_truncated", 4)


def _tcp(cursor: Cursor) -> None:
    code = cursor.code
    size = ctypes.sizeof(TcpHeader)
    cursor.refuse_if(code.compare(cursor.layer4_length.get(), "<", size), "tcp_truncated")
    header = cursor.header(cursor.layer4.get(), TcpHeader, "tcp_truncated")
    offset_flags = code.resize(read(code, header, TcpHeader, "offset_flags"), I32)
    length = code.shl(code.shr(offset_flags, 12), 2)
    cursor.refuse_if(code.compare(length, "<", size), "tcp_header_length")
    cursor.refuse_if(code.compare(length, ">", cursor.layer4_length.get()), "tcp_header_length")
    _ports(cursor, header, TcpHeader, _TCP)
    cursor.set(tcp_flags=code.and_(offset_flags, 0x1FF), tcp_window=read(code, header, TcpHeader, "window"))
    for name in ("sequence", "acknowledgement"):
        cursor.set(**{name: read(code, header, TcpHeader, name)})


def _udp(cursor: Cursor) -> None:
    code = cursor.code
    size = ctypes.sizeof(UdpHeader)
    cursor.refuse_if(code.compare(cursor.layer4_length.get(), "<", size), "udp_truncated")
    header = cursor.header(cursor.layer4.get(), UdpHeader, "udp_truncated")
    length = code.resize(read(code, header, UdpHeader, "length"), I32)
    cursor.refuse_if(code.compare(length, "<", size), "udp_length")
    # a fragment holds less than the datagram, whose length this is
    with code.if_(code.compare(cursor["fragment"], "==", 0)):
        cursor.refuse_if(code.compare(length, ">", cursor.layer4_length.get()), "udp_length")
    _ports(cursor, header, UdpHeader, _UDP)
    cursor.set(udp_length=length)


def _ports(cursor: Cursor, header: Pointer, structure: type[ctypes.Structure], protocol: int) -> None:
    cursor.set(transport=protocol)
    for name in ("source_port", "destination_port"):
        cursor.set(**{name: read(cursor.code, header, structure, name)})


def _icmp(cursor: Cursor, protocol: int, reason: str, size: int) -> None:
    code = cursor.code
    cursor.refuse_if(code.compare(cursor.layer4_length.get(), "<", size), reason)
    header = cursor.header(cursor.layer4.get(), IcmpHeader, reason, size)
    cursor.set(transport=protocol)
    cursor.set(icmp_type=read(code, header, IcmpHeader, "type"), icmp_code=read(code, header, IcmpHeader, "code"))

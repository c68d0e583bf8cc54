"""IPv4 with options, and IPv6 with up to 8 extension headers: addresses, lengths, fragments, where layer 4 begins."""

from __future__ import annotations

import ctypes

from llvmlite import ir

from appliance.ir import I32, I64, U32
from appliance.rules.code.parser.cursor import Cursor, any_of
from appliance.rules.code.parser.headers import Ipv4Header, Ipv6Extension, Ipv6Header, read

MOST_EXTENSIONS = 8
MAPPED_V4 = 0xFFFF << 32  # the low half of ::ffff:0.0.0.0

_ICMP, _ICMPV6 = 1, 58
_FRAGMENT, _AUTHENTICATION = 44, 51
# hop-by-hop, routing, fragment, authentication, destination options, mobility, HIP, shim6
_EXTENSIONS = (0, 43, _FRAGMENT, _AUTHENTICATION, 60, 135, 139, 140)


def parse_ipv4(cursor: Cursor) -> None:
    code = cursor.code
    header = cursor.header(cursor.layer3.get(), Ipv4Header, "ipv4_truncated")
    first = code.resize(read(code, header, Ipv4Header, "version_length"), I32)
    cursor.refuse_if(code.compare(code.shr(first, 4), "!=", 4), "ipv4_version")
    for side in ("source", "destination"):
        address = code.resize(read(code, header, Ipv4Header, side), I64)
        cursor.set(**{f"{side}_low": code.or_(address, MAPPED_V4)})
    cursor.set(version=4)
    total = code.resize(read(code, header, Ipv4Header, "total_length"), I32)
    fragment = code.resize(read(code, header, Ipv4Header, "fragment"), I32)
    protocol = code.resize(read(code, header, Ipv4Header, "protocol"), I32)
    cursor.set(ip_length=total, protocol=protocol, ttl=read(code, header, Ipv4Header, "ttl"))
    cursor.set(dont_fragment=code.and_(code.shr(fragment, 14), 1))
    _fragment(cursor, code.shl(code.and_(fragment, 0x1FFF), 3), code.and_(code.shr(fragment, 13), 1))
    cursor.on_addresses(4)

    size = code.shl(code.and_(first, 0xF), 2)
    cursor.refuse_if(code.compare(size, "<", ctypes.sizeof(Ipv4Header)), "ipv4_header_length")
    available = code.sub(cursor["length"], cursor.layer3.get())
    cursor.refuse_if(code.compare(total, "<", size), "ipv4_total_length")
    cursor.refuse_if(code.compare(code.resize(total, I64), ">", available), "ipv4_total_length")
    with code.if_(code.compare(cursor["fragment_offset"], "==", 0)):
        cursor.layer4.set(code.add(cursor.layer3.get(), code.resize(size, I64)))
        cursor.layer4_length.set(code.sub(total, size))
        is_icmpv6 = code.compare(protocol, "==", _ICMPV6)
        cursor.upper.set(code.select(is_icmpv6, 0, protocol))


def parse_ipv6(cursor: Cursor) -> None:
    code = cursor.code
    header = cursor.header(cursor.layer3.get(), Ipv6Header, "ipv6_truncated")
    first = code.resize(read(code, header, Ipv6Header, "version_class"), I32)
    cursor.refuse_if(code.compare(code.shr(first, 4), "!=", 6), "ipv6_version")
    for name in ("source_high", "source_low", "destination_high", "destination_low"):
        cursor.set(**{name: read(code, header, Ipv6Header, name)})
    payload = code.resize(read(code, header, Ipv6Header, "payload_length"), I32)
    cursor.set(version=6, ip_length=code.add(payload, ctypes.sizeof(Ipv6Header)))
    cursor.set(ttl=read(code, header, Ipv6Header, "hop_limit"))
    cursor.upper.set(code.resize(read(code, header, Ipv6Header, "next_header"), I32))
    cursor.on_addresses(6)

    after = code.add(cursor.layer3.get(), ctypes.sizeof(Ipv6Header))
    available = code.sub(cursor["length"], after)
    cursor.refuse_if(code.compare(code.resize(payload, I64), ">", available), "ipv6_payload_length")
    cursor.layer4.set(after)
    cursor.layer4_length.set(payload)
    done = cursor.code.function.append_basic_block("transport")
    _extensions(cursor, 0, done)
    code.builder.branch(done)
    code.builder.position_at_end(done)
    cursor.set(protocol=cursor.upper.get())
    no_header = code.or_(code.compare(cursor.elsewhere.get(), "!=", 0), code.compare(cursor.upper.get(), "==", _ICMP))
    with code.if_(no_header):
        cursor.upper.set(0)


def _extensions(cursor: Cursor, depth: int, done: ir.Block) -> None:
    """The extension header at that depth, if there is one, and those behind it."""
    code = cursor.code
    is_extension = any_of(code, cursor.upper.get(), _EXTENSIONS)
    if depth == MOST_EXTENSIONS:
        cursor.refuse_if(is_extension, "ipv6_extension_nested")
        return
    with code.if_(is_extension):
        kind = cursor.upper.get()
        header = cursor.header(cursor.layer4.get(), Ipv6Extension, "ipv6_extension_truncated")
        cursor.upper.set(code.resize(read(code, header, Ipv6Extension, "next_header"), I32))
        length = code.resize(read(code, header, Ipv6Extension, "length"), I32)
        fragment = code.resize(read(code, header, Ipv6Extension, "fragment"), I32)
        is_fragment = code.compare(kind, "==", _FRAGMENT)
        size = code.shl(code.add(length, 1), 3)
        size = code.select(code.compare(kind, "==", _AUTHENTICATION), code.shl(code.add(length, 2), 2), size)
        size = code.select(is_fragment, ctypes.sizeof(Ipv6Extension), size)
        left = cursor.layer4_length.get()
        cursor.refuse_if(code.compare(size, ">", left), "ipv6_extension_truncated")
        cursor.layer4_length.set(code.sub(left, size))
        cursor.layer4.set(code.add(cursor.layer4.get(), code.resize(size, I64)))
        with code.if_(is_fragment):
            # a receiver puts together by the first header that makes a fragment; one behind it is for later
            with code.if_(code.compare(cursor["fragment"], "==", 0)):
                _fragment(cursor, code.and_(fragment, 0xFFF8), code.and_(fragment, 1))
            cursor.elsewhere.set(code.and_(fragment, 0xFFF8))
            with code.if_(code.compare(cursor.elsewhere.get(), "!=", 0)):
                code.builder.branch(done)
        _extensions(cursor, depth + 1, done)


def _fragment(cursor: Cursor, offset: U32, more: U32) -> None:
    """What a fragment's header says: the offset in bytes, and whether more fragments follow."""
    code = cursor.code
    is_fragment = code.compare(code.or_(offset, more), "!=", 0)
    cursor.set(fragment_offset=offset, more_fragments=more, fragment=code.resize(is_fragment, I32))

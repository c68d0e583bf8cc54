"""IPv4 with options, and IPv6 with up to 8 extension headers: addresses, lengths, fragments, where layer 4 begins."""

from __future__ import annotations

from llvmlite import ir

from appliance.ir import I32, I64, U32
from appliance.rules.code.parser.bits import read
from appliance.rules.code.parser.cursor import Cursor, any_of
from appliance.rules.code.parser.ip_options import parse_ip_options
from appliance.rules.headers import AH, ICMP, ICMPV6, IPV4, IPV6, IPV6_EXTENSION, IPV6_FRAGMENT
from appliance.rules.layers import IP_OPTION_WORDS, IP_OPTIONS, Layer

MOST_EXTENSIONS = 8
MAPPED_V4 = 0xFFFF << 32  # the low half of ::ffff:0.0.0.0

# hop-by-hop, routing, fragment, authentication, destination options, mobility, HIP, shim6
_EXTENSIONS = (0, 43, IPV6_FRAGMENT.number, AH.number, 60, 135, 139, 140)


def parse_ipv4(cursor: Cursor) -> None:
    code = cursor.code
    header = cursor.header(cursor.layer3.get(), IPV4, "ipv4_truncated")
    cursor.refuse_if(code.compare(read(code, header, IPV4[0:4]), "!=", 4), "ipv4_version")
    for side, bits in (("source", IPV4[96:128]), ("destination", IPV4[128:160])):
        address = code.resize(read(code, header, bits), I64)
        cursor.set(**{f"{side}_low": code.or_(address, MAPPED_V4)})
    total, protocol = read(code, header, IPV4[16:32]), read(code, header, IPV4[72:80])
    cursor.set(version=4, ip_length=total, protocol=protocol)
    _fragment(cursor, read(code, header, IPV4[51:64] * 8), read(code, header, IPV4[50:51]))
    cursor.set(fragment_id=read(code, header, IPV4[32:48]))
    cursor.read(header, IPV4)
    cursor.on_addresses(4)

    size = read(code, header, IPV4[4:8] * 4)
    cursor.refuse_if(code.compare(size, "<", IPV4.size), "ipv4_header_length")
    cursor.refuse_if(code.compare(total, "<", size), "ipv4_total_length")
    there = cursor.claimed(total, cursor.layer3.get(), "ipv4_total_length")
    cursor.refuse_if(code.compare(there, "<", size), "ipv4_truncated")  # options of which a first fragment has a part
    if cursor.keeps_any((IP_OPTIONS, *IP_OPTION_WORDS)):
        with code.if_(code.compare(size, ">", IPV4.size)):
            cursor.set(**{IP_OPTIONS: 1})
            start = code.add(cursor.layer3.get(), IPV4.size)
            parse_ip_options(cursor, start, code.resize(code.sub(size, IPV4.size), I64))
    with code.if_(code.compare(cursor["fragment_offset"], "==", 0)):
        cursor.layer4.set(code.add(cursor.layer3.get(), code.resize(size, I64)))
        cursor.layer4_length.set(code.sub(there, size))
        cursor.upper.set(protocol)
        with code.if_(code.compare(protocol, ">=", AH.number)):
            _behind_authentication(cursor)


def parse_ipv6(cursor: Cursor) -> None:
    code = cursor.code
    header = cursor.header(cursor.layer3.get(), IPV6, "ipv6_truncated")
    cursor.refuse_if(code.compare(read(code, header, IPV6[0:4]), "!=", 6), "ipv6_version")
    payload = read(code, header, IPV6[32:48])
    cursor.set(version=6, ip_length=code.add(payload, IPV6.size))
    cursor.upper.set(read(code, header, IPV6[48:56]))
    cursor.read(header, IPV6)
    cursor.on_addresses(6)

    after = code.add(cursor.layer3.get(), IPV6.size)
    cursor.layer4_length.set(cursor.claimed(payload, after, "ipv6_payload_length"))
    cursor.layer4.set(after)
    done = cursor.code.function.append_basic_block("transport")
    _extensions(cursor, 0, done)
    code.builder.branch(done)
    code.builder.position_at_end(done)
    cursor.set(protocol=cursor.upper.get())
    is_icmp = code.compare(cursor.upper.get(), "==", ICMP.number)
    with code.if_(code.or_(code.compare(cursor.elsewhere.get(), "!=", 0), is_icmp)):
        cursor.upper.set(0)


def _behind_authentication(cursor: Cursor) -> None:
    """In IPv4, what an authentication header is in front of; and ICMPv6, which has nothing to say there."""
    code = cursor.code
    with code.if_(code.compare(cursor.upper.get(), "==", AH.number)):
        header = cursor.header(cursor.layer4.get(), IPV6_EXTENSION, "ipv4_ah_truncated")
        following, length = read(code, header, IPV6_EXTENSION[0:8]), read(code, header, IPV6_EXTENSION[8:16])
        size = code.shl(code.add(length, 2), 2)
        if Layer.AH in cursor.fields.layers:
            _authentication(cursor)
        left = cursor.layer4_length.get()
        cursor.refuse_if(code.compare(size, ">", left), "ipv4_ah_truncated")
        cursor.refuse_if(code.compare(following, "==", AH.number), "ipv4_ah_nested")
        cursor.layer4_length.set(code.sub(left, size))
        cursor.layer4.set(code.add(cursor.layer4.get(), code.resize(size, I64)))
        cursor.upper.set(following)
        cursor.set(protocol=following)
    with code.if_(code.compare(cursor.upper.get(), "==", ICMPV6.number)):
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
        header = cursor.header(cursor.layer4.get(), IPV6_EXTENSION, "ipv6_extension_truncated")
        cursor.upper.set(read(code, header, IPV6_EXTENSION[0:8]))
        length = read(code, header, IPV6_EXTENSION[8:16])
        fragment = read(code, header, IPV6_FRAGMENT[16:32])
        is_fragment = code.compare(kind, "==", IPV6_FRAGMENT.number)
        size = code.shl(code.add(length, 1), 3)
        size = code.select(code.compare(kind, "==", AH.number), code.shl(code.add(length, 2), 2), size)
        size = code.select(is_fragment, IPV6_FRAGMENT.size, size)
        if Layer.AH in cursor.fields.layers:
            with code.if_(code.compare(kind, "==", AH.number)):
                _authentication(cursor)
        left = cursor.layer4_length.get()
        cursor.refuse_if(code.compare(size, ">", left), "ipv6_extension_truncated")
        cursor.layer4_length.set(code.sub(left, size))
        cursor.layer4.set(code.add(cursor.layer4.get(), code.resize(size, I64)))
        with code.if_(is_fragment):
            # a receiver puts together by the first header that makes a fragment; one behind it is for later
            with code.if_(code.compare(cursor["fragment"], "==", 0)):
                _fragment(cursor, code.and_(fragment, 0xFFF8), code.and_(fragment, 1))
                cursor.set(fragment_id=read(code, header, IPV6_FRAGMENT[32:64]))
            cursor.elsewhere.set(code.and_(fragment, 0xFFF8))
            with code.if_(code.compare(cursor.elsewhere.get(), "!=", 0)):
                code.builder.branch(done)
        _extensions(cursor, depth + 1, done)


def _fragment(cursor: Cursor, offset: U32, more: U32) -> None:
    """What a fragment's header says: the offset in bytes, and whether more fragments follow."""
    code = cursor.code
    is_fragment = code.compare(code.or_(offset, more), "!=", 0)
    cursor.set(fragment_offset=offset, more_fragments=more, fragment=code.resize(is_fragment, I32))


def _authentication(cursor: Cursor) -> None:
    """The fields of an authentication header, where some rule asks for them. One that is cut short isn't there."""
    with (
        cursor.code.if_(cursor.code.compare(cursor.layer4_length.get(), ">=", AH.size)),
        cursor.header_if_there(cursor.layer4.get(), AH) as header,
    ):
        cursor.read(header, AH)
        cursor.set(authenticated=1)

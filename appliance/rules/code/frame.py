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
from collections.abc import Callable

from llvmlite import ir

from appliance.ir import I32, I64, PTR, Code, Value
from appliance.rules.code.fields import Fields
from appliance.rules.code.headers import (
    EthernetHeader,
    IcmpHeader,
    Ipv4Header,
    Ipv6Extension,
    Ipv6Header,
    TcpHeader,
    UdpHeader,
    VlanTag,
    read,
)
from hooks.contracts.xdp import XDP_LINUX

PARSE_ERRORS = (
    "ethernet_truncated",
    "vlan_truncated",
    "vlan_nested",
    "ipv4_truncated",
    "ipv4_version",
    "ipv4_header_length",
    "ipv4_total_length",
    "ipv6_truncated",
    "ipv6_version",
    "ipv6_payload_length",
    "ipv6_extension_truncated",
    "ipv6_extension_nested",
    "tcp_truncated",
    "tcp_header_length",
    "udp_truncated",
    "udp_length",
    "icmp_truncated",
    "icmpv6_truncated",
)

MOST_TAGS = 4
MOST_EXTENSIONS = 8
NO_VLAN = 0xFFFF  # no VLAN id has 16 bits
MAPPED_V4 = 0xFFFF << 32  # the low half of ::ffff:0.0.0.0

_TAG_TYPES = (0x8100, 0x88A8, 0x9100)  # 802.1Q, 802.1ad, and what was in use before it
_IPV4, _IPV6 = 0x0800, 0x86DD
_TCP, _UDP, _ICMP, _ICMPV6 = 6, 17, 1, 58
_FRAGMENT, _AUTHENTICATION = 44, 51
# hop-by-hop, routing, fragment, authentication, destination options, mobility, HIP, shim6
_EXTENSIONS = (0, 43, _FRAGMENT, _AUTHENTICATION, 60, 135, 139, 140)
_CONTEXT = {field.name: field.offset for field in XDP_LINUX.context.fields}


class FrameParser:
    """Writes the code that fills in the fields of a frame."""

    def __init__(self, code: Code, fields: Fields, on_addresses: Callable[[int], None], malformed: ir.Block) -> None:
        """`on_addresses(family)` writes what is to happen as soon as the IP addresses are known. `malformed` is where
        a malformed frame goes, with the index of the reason in `self.reason`."""
        self.code = code
        self.fields = fields
        self.on_addresses = on_addresses
        self.malformed = malformed
        fields.clear()
        for index in range(MOST_TAGS):
            self.set(**{f"vlan_{index}": NO_VLAN})
        self.reason = code.variable(I32, 0)
        self.layer3 = code.variable(I64, ctypes.sizeof(EthernetHeader))
        self.layer4 = code.variable(I64, 0)
        self.layer4_length = code.variable(I32, 0)  # bytes that IP says there are, from layer4 on
        self.upper = code.variable(I32, 0)  # the protocol at layer4, or 0 if there is no header to read
        self.elsewhere = code.variable(I32, 0)  # not 0 if that header is in another fragment
        self.data = self._context("data")
        self.end = self._context("data_end")

    def __getitem__(self, name: str) -> Value:
        return self.fields[name]

    def set(self, **values: Value) -> None:
        self.fields.set(**values)

    def _context(self, name: str) -> Value:
        narrow = self.code.load(self.code.at(self.code["context"], _CONTEXT[name]), I32, align=4)
        return self.code.pointer(self.code.resize(narrow, I64))

    def refuse_if(self, condition: Value, reason: str) -> None:
        """The frame is malformed, for that reason, if the condition holds."""
        with self.code.if_(condition):
            self.reason.set(PARSE_ERRORS.index(reason))
            self.code.builder.branch(self.malformed)

    def header(self, offset: Value, structure: type[ctypes.Structure], reason: str, size: int | None = None) -> Value:
        """A pointer to a header, of which `size` bytes (all, if not given) are in the frame."""
        code = self.code
        pointer = _opaque(code, code.at(self.data, offset)) if not isinstance(offset, int) else self.data
        end = code.at(pointer, size or ctypes.sizeof(structure))
        self.refuse_if(code.compare(code.integer(end), ">", code.integer(self.end)), reason)
        return pointer

    def parse(self) -> None:
        """Write the parser. Afterwards every field can be read."""
        code = self.code
        self.set(length=code.sub(code.integer(self.end), code.integer(self.data)))
        ethernet = self.header(0, EthernetHeader, "ethernet_truncated")
        high, low = (read(code, ethernet, EthernetHeader, f"destination_{half}") for half in ("high", "low"))
        self.set(mac_destination=_join(code, high, low))
        high, low = (read(code, ethernet, EthernetHeader, f"source_{half}") for half in ("high", "low"))
        self.set(mac_source=_join(code, high, low))
        self.set(ethertype=read(code, ethernet, EthernetHeader, "ethertype"))
        self._tags(0)
        ethertype = self["ethertype"]
        with code.if_(code.compare(ethertype, "==", _IPV4)):
            self._ipv4()
        with code.if_(code.compare(ethertype, "==", _IPV6)):
            self._ipv6()
        self._transport()

    def _tags(self, depth: int) -> None:
        """The tag at that depth, if there is one, and those inside of it."""
        code = self.code
        is_tag = _any_of(code, self["ethertype"], _TAG_TYPES)
        if depth == MOST_TAGS:
            self.refuse_if(is_tag, "vlan_nested")
            return
        with code.if_(is_tag):
            offset = ctypes.sizeof(EthernetHeader) + depth * ctypes.sizeof(VlanTag)
            end = code.at(self.data, offset + ctypes.sizeof(VlanTag))
            self.refuse_if(code.compare(code.integer(end), ">", code.integer(self.end)), "vlan_truncated")
            tag = code.at(self.data, offset)
            control = code.and_(read(code, tag, VlanTag, "control"), 0xFFF)
            self.set(ethertype=read(code, tag, VlanTag, "ethertype"), vlan_depth=depth + 1)
            self.set(**{f"vlan_{depth}": control})
            self.layer3.set(offset + ctypes.sizeof(VlanTag))
            self._tags(depth + 1)

    def _ipv4(self) -> None:
        code = self.code
        header = self.header(self.layer3.get(), Ipv4Header, "ipv4_truncated")
        first = code.resize(read(code, header, Ipv4Header, "version_length"), I32)
        self.refuse_if(code.compare(code.shr(first, 4), "!=", 4), "ipv4_version")
        for side in ("source", "destination"):
            address = code.resize(read(code, header, Ipv4Header, side), I64)
            self.set(**{f"{side}_low": code.or_(address, MAPPED_V4)})
        self.set(version=4)
        total = code.resize(read(code, header, Ipv4Header, "total_length"), I32)
        fragment = code.resize(read(code, header, Ipv4Header, "fragment"), I32)
        protocol = code.resize(read(code, header, Ipv4Header, "protocol"), I32)
        self.set(ip_length=total, protocol=protocol, ttl=read(code, header, Ipv4Header, "ttl"))
        self.set(dont_fragment=code.and_(code.shr(fragment, 14), 1))
        self._fragment(code.shl(code.and_(fragment, 0x1FFF), 3), code.and_(code.shr(fragment, 13), 1))
        self.on_addresses(4)

        size = code.shl(code.and_(first, 0xF), 2)
        self.refuse_if(code.compare(size, "<", ctypes.sizeof(Ipv4Header)), "ipv4_header_length")
        available = code.sub(self["length"], self.layer3.get())
        self.refuse_if(code.compare(total, "<", size), "ipv4_total_length")
        self.refuse_if(code.compare(code.resize(total, I64), ">", available), "ipv4_total_length")
        with code.if_(code.compare(self["fragment_offset"], "==", 0)):
            self.layer4.set(code.add(self.layer3.get(), code.resize(size, I64)))
            self.layer4_length.set(code.sub(total, size))
            is_icmpv6 = code.compare(protocol, "==", _ICMPV6)
            self.upper.set(code.select(is_icmpv6, 0, protocol))

    def _fragment(self, offset: Value, more: Value) -> None:
        """What a fragment's header says: the offset in bytes, and whether more fragments follow."""
        code = self.code
        is_fragment = code.compare(code.or_(offset, more), "!=", 0)
        self.set(fragment_offset=offset, more_fragments=more, fragment=code.resize(is_fragment, I32))

    def _ipv6(self) -> None:
        code = self.code
        header = self.header(self.layer3.get(), Ipv6Header, "ipv6_truncated")
        first = code.resize(read(code, header, Ipv6Header, "version_class"), I32)
        self.refuse_if(code.compare(code.shr(first, 4), "!=", 6), "ipv6_version")
        for name in ("source_high", "source_low", "destination_high", "destination_low"):
            self.set(**{name: read(code, header, Ipv6Header, name)})
        payload = code.resize(read(code, header, Ipv6Header, "payload_length"), I32)
        self.set(version=6, ip_length=code.add(payload, ctypes.sizeof(Ipv6Header)))
        self.set(ttl=read(code, header, Ipv6Header, "hop_limit"))
        self.upper.set(code.resize(read(code, header, Ipv6Header, "next_header"), I32))
        self.on_addresses(6)

        after = code.add(self.layer3.get(), ctypes.sizeof(Ipv6Header))
        available = code.sub(self["length"], after)
        self.refuse_if(code.compare(code.resize(payload, I64), ">", available), "ipv6_payload_length")
        self.layer4.set(after)
        self.layer4_length.set(payload)
        done = self.code.function.append_basic_block("transport")
        self._extensions(0, done)
        code.builder.branch(done)
        code.builder.position_at_end(done)
        self.set(protocol=self.upper.get())
        no_header = code.or_(code.compare(self.elsewhere.get(), "!=", 0), code.compare(self.upper.get(), "==", _ICMP))
        with code.if_(no_header):
            self.upper.set(0)

    def _extensions(self, depth: int, done: ir.Block) -> None:
        """The extension header at that depth, if there is one, and those behind it."""
        code = self.code
        is_extension = _any_of(code, self.upper.get(), _EXTENSIONS)
        if depth == MOST_EXTENSIONS:
            self.refuse_if(is_extension, "ipv6_extension_nested")
            return
        with code.if_(is_extension):
            kind = self.upper.get()
            header = self.header(self.layer4.get(), Ipv6Extension, "ipv6_extension_truncated")
            self.upper.set(code.resize(read(code, header, Ipv6Extension, "next_header"), I32))
            length = code.resize(read(code, header, Ipv6Extension, "length"), I32)
            fragment = code.resize(read(code, header, Ipv6Extension, "fragment"), I32)
            is_fragment = code.compare(kind, "==", _FRAGMENT)
            size = code.shl(code.add(length, 1), 3)
            size = code.select(code.compare(kind, "==", _AUTHENTICATION), code.shl(code.add(length, 2), 2), size)
            size = code.select(is_fragment, ctypes.sizeof(Ipv6Extension), size)
            left = self.layer4_length.get()
            self.refuse_if(code.compare(size, ">", left), "ipv6_extension_truncated")
            self.layer4_length.set(code.sub(left, size))
            self.layer4.set(code.add(self.layer4.get(), code.resize(size, I64)))
            with code.if_(is_fragment):
                # a receiver puts together by the first header that makes a fragment; one behind it is for later
                with code.if_(code.compare(self["fragment"], "==", 0)):
                    self._fragment(code.and_(fragment, 0xFFF8), code.and_(fragment, 1))
                self.elsewhere.set(code.and_(fragment, 0xFFF8))
                with code.if_(code.compare(self.elsewhere.get(), "!=", 0)):
                    code.builder.branch(done)
            self._extensions(depth + 1, done)

    def _transport(self) -> None:
        code = self.code
        upper = self.upper.get()
        for protocol, write in ((_TCP, self._tcp), (_UDP, self._udp)):
            with code.if_(code.compare(upper, "==", protocol)):
                write()
        with code.if_(code.compare(upper, "==", _ICMP)):
            self._icmp(_ICMP, "icmp_truncated", ctypes.sizeof(IcmpHeader))
        with code.if_(code.compare(upper, "==", _ICMPV6)):
            self._icmp(_ICMPV6, "icmpv6_truncated", 4)

    def _tcp(self) -> None:
        code = self.code
        size = ctypes.sizeof(TcpHeader)
        self.refuse_if(code.compare(self.layer4_length.get(), "<", size), "tcp_truncated")
        header = self.header(self.layer4.get(), TcpHeader, "tcp_truncated")
        offset_flags = code.resize(read(code, header, TcpHeader, "offset_flags"), I32)
        length = code.shl(code.shr(offset_flags, 12), 2)
        self.refuse_if(code.compare(length, "<", size), "tcp_header_length")
        self.refuse_if(code.compare(length, ">", self.layer4_length.get()), "tcp_header_length")
        self._ports(header, TcpHeader, _TCP)
        self.set(tcp_flags=code.and_(offset_flags, 0x1FF), tcp_window=read(code, header, TcpHeader, "window"))
        for name in ("sequence", "acknowledgement"):
            self.set(**{name: read(code, header, TcpHeader, name)})

    def _udp(self) -> None:
        code = self.code
        size = ctypes.sizeof(UdpHeader)
        self.refuse_if(code.compare(self.layer4_length.get(), "<", size), "udp_truncated")
        header = self.header(self.layer4.get(), UdpHeader, "udp_truncated")
        length = code.resize(read(code, header, UdpHeader, "length"), I32)
        self.refuse_if(code.compare(length, "<", size), "udp_length")
        # a fragment holds less than the datagram, whose length this is
        with code.if_(code.compare(self["fragment"], "==", 0)):
            self.refuse_if(code.compare(length, ">", self.layer4_length.get()), "udp_length")
        self._ports(header, UdpHeader, _UDP)
        self.set(udp_length=length)

    def _ports(self, header: Value, structure: type[ctypes.Structure], protocol: int) -> None:
        self.set(transport=protocol)
        for name in ("source_port", "destination_port"):
            self.set(**{name: read(self.code, header, structure, name)})

    def _icmp(self, protocol: int, reason: str, size: int) -> None:
        code = self.code
        self.refuse_if(code.compare(self.layer4_length.get(), "<", size), reason)
        header = self.header(self.layer4.get(), IcmpHeader, reason, size)
        self.set(transport=protocol)
        self.set(icmp_type=read(code, header, IcmpHeader, "type"), icmp_code=read(code, header, IcmpHeader, "code"))


def _any_of(code: Code, value: Value, numbers: tuple[int, ...]) -> Value:
    found = code.compare(value, "==", numbers[0])
    for number in numbers[1:]:
        found = code.or_(found, code.compare(value, "==", number))
    return found


def _join(code: Code, high: Value, low: Value) -> Value:
    """Two neighbouring numbers as one of 64 bits."""
    return code.or_(code.shl(code.resize(high, I64), low.type.width), code.resize(low, I64))


def _opaque(code: Code, pointer: Value) -> Value:
    """The same pointer, in a register that LLVM can't look behind: what is compared is then what is read through.
    Without it LLVM may compute the pointer twice, and a verifier doesn't see that both are one."""
    return code.builder.asm(ir.FunctionType(PTR, [PTR]), "", "=r,0", [pointer], False)

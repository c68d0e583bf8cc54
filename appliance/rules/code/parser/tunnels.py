"""What a level wraps: where the next one begins, where it ends, and its ethertype.

      IP  4, 41 ──────────────────────────────────────────────────────── IPv4, IPv6
      IP  47    ── GRE, its checksum, key and sequence number ────────── ethertype
      UDP 4789  ── VXLAN ─────────────────────────────────────────────── Ethernet
      UDP 6081  ── GENEVE and its options ────────────────────────────── ethertype
      UDP 2152  ── GTP-U, its optional fields, its extension headers ─── IPv4, IPv6
      0x8847, IP 137 ── MPLS labels ──────────────────────────────────── IPv4, IPv6
      0x8864    ── PPPoE, PPP ────────────────────────────────────────── IPv4, IPv6

A header that its number names must be whole, or the frame is malformed. A UDP port names nothing for sure: any datagram
may go to it. So a whole datagram that has no room for what is wrapped is one like any other. In a first fragment it is
malformed all the same: the header is in the next one, where nobody reads it (RFC 7112 says so of IPv6).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from llvmlite import ir

from appliance.ir import I32, I64, U32, U64, Pointer, Variable
from appliance.rules.code.parser.bits import read
from appliance.rules.code.parser.cursor import Cursor, any_of, opaque_number
from appliance.rules.headers import (
    ETHERNET,
    GENEVE,
    GRE,
    GRE_KEY,
    GTP,
    GTP_EXTENSION,
    GTP_OPTIONAL,
    IPV4,
    IPV6,
    MPLS,
    PPPOE,
    UDP,
    VXLAN,
    Header,
)
from appliance.rules.matchers import ABSENT_NUMBERS
from appliance.rules.tunnels import ETHERNET_FRAME, IP_PROTOCOLS, MOST_GTP_EXTENSIONS, MOST_LABELS, Tunnel

_BYTE = Header("byte", 1, 0)
_WORDS = {VXLAN: "vxlan", GENEVE: "geneve", GTP: "gtp"}
NO_LABELS = {name: ABSENT_NUMBERS[name] for name in (f"mpls_{number}" for number in range(MOST_LABELS))}

_PACKETS = {4: IPV4.number, 6: IPV6.number}  # ethertypes, by the version that a packet begins with
_IN_PPP = {0x0021: IPV4.number, 0x0057: IPV6.number}
_MPLS = (MPLS.number, MPLS.number + 1)  # unicast and multicast, RFC 5332
_SESSION = 0x1100  # PPPoE's version, type and code of a packet of a session
_CHECKSUM, _SEQUENCE = 4, 4  # bytes of what GRE may have
_G_PDU = 255
_LARGEST_GTP_EXTENSION = 1023  # bytes, as a mask


class TunnelReader:
    """Writes what leads from a level to the one inside of it. For one thread."""

    def __init__(self, cursor: Cursor, kinds: Collection[Tunnel], inner: Callable[[], None]) -> None:
        """`inner()` writes how the function of a level is left with one more level."""
        self.cursor = cursor
        self.code = cursor.code
        self.kinds = kinds
        self.inner = inner
        labels = _MPLS if Tunnel.MPLS in kinds else ()
        self.ethertypes = (IPV4.number, IPV6.number, ETHERNET_FRAME, *labels)

    def write(self, ethertype: U32) -> None:
        """Behind everything else of a level of that ethertype."""
        of_ethertype = {Tunnel.MPLS: (_MPLS, self._mpls), Tunnel.PPPOE: ((PPPOE.number,), self._pppoe)}
        for kind, (numbers, write) in of_ethertype.items():
            if kind in self.kinds:
                with self.code.if_(any_of(self.code, ethertype, numbers)):
                    self._at_network()
                    write()
        of_protocol = {Tunnel.IP: self._ip, Tunnel.GRE: self._gre, Tunnel.MPLS: self._mpls}
        for kind, write in of_protocol.items():
            if kind in self.kinds:
                with self.code.if_(any_of(self.code, self.cursor.upper.get(), IP_PROTOCOLS[kind])):
                    write()
        of_port = {
            Tunnel.VXLAN: (VXLAN, self._vxlan),
            Tunnel.GENEVE: (GENEVE, self._geneve),
            Tunnel.GTP: (GTP, self._gtp),
        }
        if any(kind in self.kinds for kind in of_port):
            with self.code.if_(self.code.compare(self.cursor["transport"], "==", UDP.number)):
                for kind, (header, port_write) in of_port.items():
                    if kind in self.kinds:
                        is_here = self.code.compare(self.cursor["destination_port"], "==", header.number)
                        with self.code.if_(is_here):
                            self._datagram(header, port_write)

    # what each of them is

    def _ip(self) -> None:
        upper = self.cursor.upper.get()
        is_v4 = self.code.compare(upper, "==", 4)
        ethertype: U32 = self.code.select(is_v4, ir.Constant(I32, IPV4.number), IPV6.number)
        self._into(self.cursor.layer4.get(), ethertype)

    def _gre(self) -> None:
        code, cursor = self.code, self.cursor
        start = cursor.layer4.get()
        header = self._header(start, GRE, "gre_truncated")
        flags = read(code, header, GRE[0:16])
        # of another version, or with routing, it is none that Linux takes apart either (gre_parse_header)
        with code.if_(code.compare(code.and_(flags, 0x4007), "==", 0)):
            following = code.variable(I64, code.add(start, GRE.size))
            with code.if_(code.compare(read(code, header, GRE[0:1]), "!=", 0)):
                following.set(code.add(following.get(), _CHECKSUM))
            with code.if_(code.compare(read(code, header, GRE[2:3]), "!=", 0)):
                key = self._header(following.get(), GRE_KEY, "gre_truncated")
                cursor.read(key, GRE_KEY)
                cursor.set(gre_keyed=1)
                following.set(code.add(following.get(), GRE_KEY.size))
            with code.if_(code.compare(read(code, header, GRE[3:4]), "!=", 0)):
                following.set(code.add(following.get(), _SEQUENCE))
            cursor.refuse_if(code.compare(following.get(), ">", self._end()), "gre_truncated")
            self._into_ethertype(following.get(), read(code, header, GRE[16:32]))

    def _vxlan(self, header: Pointer) -> None:
        code, cursor = self.code, self.cursor
        start = code.add(self._payload(), VXLAN.size)
        is_valid = code.compare(read(code, header, VXLAN[4:5]), "!=", 0)
        with code.if_(is_valid), self._room(code.add(start, ETHERNET.size), "vxlan_truncated"):
            cursor.read(header, VXLAN)
            cursor.set(vxlan=1)
            self._into(start, ETHERNET_FRAME)

    def _geneve(self, header: Pointer) -> None:
        code, cursor = self.code, self.cursor
        options = code.resize(read(code, header, GENEVE[2:8] * 4), I64)
        start = code.add(code.add(self._payload(), GENEVE.size), options)
        is_valid = code.compare(read(code, header, GENEVE[0:2]), "==", 0)
        with code.if_(is_valid), self._room(start, "geneve_truncated"):
            cursor.read(header, GENEVE)
            cursor.set(geneve=1)
            self._into_ethertype(start, read(code, header, GENEVE[16:32]))

    def _gtp(self, header: Pointer) -> None:
        code, cursor = self.code, self.cursor
        flags, kind = read(code, header, GTP[0:8]), read(code, header, GTP[8:16])
        is_version_1 = code.compare(code.and_(flags, 0xF0), "==", 0x30)
        with code.if_(code.and_(is_version_1, code.compare(kind, "==", _G_PDU))):
            start = code.variable(I64, code.add(self._payload(), GTP.size))
            following = code.variable(I32, 0)
            with code.if_(code.compare(code.and_(flags, 7), "!=", 0)):
                optional = self._header(start.get(), GTP_OPTIONAL, "gtp_truncated")
                with code.if_(code.compare(code.and_(flags, 4), "!=", 0)):
                    following.set(read(code, optional, GTP_OPTIONAL[24:32]))
                start.set(code.add(start.get(), GTP_OPTIONAL.size))
            done = code.function.append_basic_block("pdu")
            self._gtp_extensions(start, following, done)
            code.builder.position_at_end(done)
            cursor.read(header, GTP)
            cursor.set(gtp=1)
            self._into_packet(start.get())

    def _gtp_extensions(self, start: Variable[U64], following: Variable[U32], done: ir.Block) -> None:
        """Each is a length in units of 4 bytes, its contents, and the type of the next one."""
        code, cursor = self.code, self.cursor
        for number in range(MOST_GTP_EXTENSIONS + 1):
            more = code.function.append_basic_block("extension")
            code.builder.cbranch(code.compare(following.get(), "==", 0), done, more)
            code.builder.position_at_end(more)
            if number == MOST_GTP_EXTENSIONS:
                cursor.refuse("gtp_extension_nested")
                return
            header = self._header(start.get(), GTP_EXTENSION, "gtp_truncated")
            size = code.resize(read(code, header, GTP_EXTENSION[0:8] * 4), I64)
            cursor.refuse_if(code.compare(size, "==", 0), "gtp_truncated")
            to_last = code.and_(opaque_number(code, code.sub(size, 1)), _LARGEST_GTP_EXTENSION)
            last = self._header(code.add(start.get(), to_last), _BYTE, "gtp_truncated")
            following.set(read(code, last, _BYTE[0:8]))
            start.set(code.add(start.get(), size))

    def _mpls(self) -> None:
        code, cursor = self.code, self.cursor
        start = code.variable(I64, cursor.layer4.get())
        cursor.set(**NO_LABELS)
        done = code.function.append_basic_block("bottom")
        for number in range(MOST_LABELS):
            header = self._header(start.get(), MPLS, "mpls_truncated")
            start.set(code.add(start.get(), MPLS.size))
            cursor.set(**{f"mpls_{number}": read(code, header, MPLS[0:20])}, mpls_depth=number + 1)
            deeper = code.function.append_basic_block("label")
            code.builder.cbranch(code.compare(read(code, header, MPLS[23:24]), "!=", 0), done, deeper)
            code.builder.position_at_end(deeper)
        cursor.refuse("mpls_nested")
        code.builder.position_at_end(done)
        self._into_packet(start.get())

    def _pppoe(self) -> None:
        code, cursor = self.code, self.cursor
        start = cursor.layer4.get()
        header = self._header(start, PPPOE, "pppoe_truncated")
        with code.if_(code.compare(read(code, header, PPPOE[0:16]), "==", _SESSION)):
            begin = code.add(start, PPPOE.size - 2)
            length = cursor.claimed(read(code, header, PPPOE[32:48]), begin, "pppoe_length")
            cursor.refuse_if(code.compare(length, "<", 2), "pppoe_length")
            cursor.layer4_length.set(code.add(length, PPPOE.size - 2))
            cursor.read(header, PPPOE)
            cursor.set(pppoe=1)
            protocol = read(code, header, PPPOE[48:64])
            for number, ethertype in _IN_PPP.items():
                with code.if_(code.compare(protocol, "==", number)):
                    self._into(code.add(start, PPPOE.size), ethertype)

    # where it goes on

    def _at_network(self) -> None:
        """What was at layer 3 wraps, and isn't IP."""
        cursor = self.cursor
        cursor.layer4.set(cursor.layer3.get())
        cursor.layer4_length.set(self.code.resize(cursor.left(cursor.layer3.get()), I32))

    def _datagram(self, header: Header, write: Callable[[Pointer], None]) -> None:
        """A datagram that has room for that header, as its own length says."""
        code, cursor = self.code, self.cursor
        left = cursor.layer4_length.get()
        length = read(code, cursor.header(cursor.layer4.get(), UDP, "udp_truncated"), UDP[32:48])
        cursor.layer4_length.set(code.select(code.compare(length, "<", left), length, left))
        reason = f"{_WORDS[header]}_truncated"
        with self._room(code.add(self._payload(), header.size), reason):
            write(cursor.header(self._payload(), header, reason))

    @contextmanager
    def _room(self, end: U64, reason: str) -> Iterator[None]:
        """What is written inside is for datagrams that go so far. A first fragment that doesn't is malformed."""
        code, cursor = self.code, self.cursor
        is_short = code.compare(end, ">", self._end())
        cursor.refuse_if(code.and_(is_short, code.not_(cursor.is_whole())), reason)
        with code.if_(code.not_(is_short)):
            yield

    def _header(self, offset: U64, header: Header, reason: str) -> Pointer:
        """A header that ends before what is at layer 4 does."""
        end = self.code.add(offset, header.size)
        self.cursor.refuse_if(self.code.compare(end, ">", self._end()), reason)
        return self.cursor.header(offset, header, reason)

    def _payload(self) -> U64:
        payload: U64 = self.code.add(self.cursor.layer4.get(), UDP.size)
        return payload

    def _end(self) -> U64:
        code, cursor = self.code, self.cursor
        end: U64 = code.add(cursor.layer4.get(), code.resize(cursor.layer4_length.get(), I64))
        return end

    def _into_packet(self, start: U64) -> None:
        """An IP packet, if it begins as one."""
        code = self.code
        with (
            code.if_(code.compare(start, "<", self._end())),
            self.cursor.header_if_there(start, _BYTE) as first,
        ):
            version = read(code, first, _BYTE[0:4])
            for number, ethertype in _PACKETS.items():
                with code.if_(code.compare(version, "==", number)):
                    self._into(start, ethertype)

    def _into_ethertype(self, start: U64, ethertype: U32) -> None:
        """What that ethertype says, if it is a level of ours."""
        with self.code.if_(any_of(self.code, ethertype, self.ethertypes)):
            self._into(start, ethertype)

    def _into(self, start: U64, ethertype: U32 | int) -> None:
        """The next level: from there to where the packet at layer 4 ends."""
        code, cursor = self.code, self.cursor
        cut = code.or_(cursor["level_cut"], cursor["fragment"])
        number = code.value(ethertype, I32)
        cursor.set(level_start=start, level_end=self._end(), level_type=number, level_cut=cut)
        self.inner()

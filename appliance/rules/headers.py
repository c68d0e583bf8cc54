"""Where the fields of packet headers stand: bits, counted as the RFCs draw them.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-------+-------+-----------+---+-------------------------------+
    |version|  IHL  |   DSCP    |ECN|         total length          |     IPV4[8:14] is DSCP, IPV4[4:8] * 4 the
    +-------+-------+-----------+---+-------------------------------+     header's length in bytes

Generated code (`code.parser`) and whatever else takes a frame apart read the same declarations: a number is big-endian,
the first bit on the wire is its highest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Bits:
    """The bits `first` to `end` - 1 of a header; the value is that number times `factor`."""

    header: Header
    first: int
    end: int
    factor: int = 1

    def __mul__(self, factor: int) -> Bits:
        return replace(self, factor=factor)

    @property
    def width(self) -> int:
        return self.end - self.first

    @property
    def offset(self) -> int:
        """The byte of the header that the first bit is in."""
        return self.first // 8

    @property
    def size(self) -> int:
        """Bytes that hold all of the bits."""
        return -(-self.end // 8) - self.offset

    @property
    def shift(self) -> int:
        """Bits of those bytes that stand behind the last one."""
        return 8 * (self.offset + self.size) - self.end

    @property
    def maximum(self) -> int:
        """The largest value that there can be."""
        return ((1 << self.width) - 1) * self.factor

    def read(self, header: bytes) -> int:
        """The value in a header that begins where `header` does."""
        number = int.from_bytes(header[self.offset : self.offset + self.size], "big")
        return (number >> self.shift & ((1 << self.width) - 1)) * self.factor


@dataclass(frozen=True, slots=True)
class Header:
    """A kind of header. `size` bytes of it have to be in a frame for it to be read at all; `number` is how the one
    before it names it: an ethertype or an IP protocol."""

    name: str
    size: int
    number: int

    def __getitem__(self, bits: slice) -> Bits:
        """`HEADER[first:end]`, in bits."""
        assert 0 <= bits.start < bits.stop <= 8 * self.size, f"{bits} is outside of {self.name}"
        return Bits(self, bits.start, bits.stop)


ETHERNET = Header("Ethernet", 14, 0)  # IEEE 802.3
VLAN = Header("VLAN tag", 4, 0x8100)  # IEEE 802.1Q, behind its tag protocol identifier
ARP = Header("ARP", 28, 0x0806)  # RFC 826, of IPv4 over Ethernet
IPV4 = Header("IPv4", 20, 0x0800)  # RFC 791 section 3.1
IPV6 = Header("IPv6", 40, 0x86DD)  # RFC 8200 section 3
IPV6_EXTENSION = Header("IPv6 extension", 8, 0)  # the first 8 bytes of any, RFC 8200 section 4
IPV6_FRAGMENT = Header("IPv6 fragment", 8, 44)  # RFC 8200 section 4.5

# What wraps packets. Of those that stand behind UDP, `number` is the port.
GRE = Header("GRE", 4, 47)  # RFC 2784 section 2
GRE_KEY = Header("GRE key", 4, 0)  # RFC 2890 section 2
VXLAN = Header("VXLAN", 8, 4789)  # RFC 7348 section 5
GENEVE = Header("GENEVE", 8, 6081)  # RFC 8926 section 3.4
GTP = Header("GTP-U", 8, 2152)  # 3GPP TS 29.281 section 5.1
GTP_OPTIONAL = Header("GTP-U optional fields", 4, 0)
GTP_EXTENSION = Header("GTP-U extension", 4, 0)  # the least there is of one, section 5.2
MPLS = Header("MPLS label", 4, 0x8847)  # RFC 3032 section 2.1
PPPOE = Header("PPPoE", 8, 0x8864)  # RFC 2516 section 4, with the protocol of PPP behind it

ICMP = Header("ICMP", 8, 1)  # RFC 792
IGMP = Header("IGMP", 8, 2)  # RFC 3376 section 4
TCP = Header("TCP", 20, 6)  # RFC 9293 section 3.1
UDP = Header("UDP", 8, 17)  # RFC 768
ESP = Header("ESP", 8, 50)  # RFC 4303 section 2
AH = Header("AH", 12, 51)  # RFC 4302 section 2
ICMPV6 = Header("ICMPv6", 4, 58)  # RFC 4443 section 2.1
OSPF = Header("OSPF", 16, 89)  # RFC 2328 section A.3.1 and RFC 5340 section A.3.1: what versions 2 and 3 share
VRRP = Header("VRRP", 8, 112)  # RFC 9568 section 5.1; version 2 has the same first four bytes
SCTP = Header("SCTP", 12, 132)  # RFC 9260 section 3.1

"""Link types: what stands in front of a captured packet, and the Ethernet frame that programs are shown instead.

A program of a box judges Ethernet frames, and captures of tunnels, of `any` or of loopback hold others. Where the
packet's own link header tells the protocol, an Ethernet header is written in front of the packet, over the link header
and what the file has before it (which has been read):

    … record header │ link header │ packet          becomes          … │ Ethernet header │ packet

The source's MAC address is taken over where the link header has one; addresses that nobody knows are zeros. Numbers and
layouts: https://www.tcpdump.org/linktypes.html.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

ETHERNET = 1
_ETHERNET_HEADER = struct.Struct("!6s6sH")
_NOBODY, _EVERYBODY = bytes(6), b"\xff" * 6
# include/uapi/linux/if_ether.h; 0x880B is PPP's in the IEEE's registry
_IPV4, _IPV6, _PPP, _PPPOE_DISCOVERY, _PPPOE_SESSION = 0x0800, 0x86DD, 0x880B, 0x8863, 0x8864
_LEAST_ETHERTYPE = 0x600  # below it, the number is a length (IEEE 802.3)
_LENGTHS_OF_LINUX = (0x0001, 0x0004)  # ETH_P_802_3 and ETH_P_802_2: frames that have a length there
# AF_INET everywhere; AF_INET6 of Linux, of NetBSD and OpenBSD, of FreeBSD, of Darwin
_FAMILIES = {2: _IPV4, 10: _IPV6, 24: _IPV6, 28: _IPV6, 30: _IPV6}
_PPP_PROTOCOLS = {0x0021: _IPV4, 0x0057: _IPV6}
_BROADCAST = 1  # LINUX_SLL_BROADCAST, the packet type


class LinkHeader(NamedTuple):
    """What a link header says: its size in bytes, and what the Ethernet header has to say instead."""

    size: int
    ethertype: int
    source: bytes = _NOBODY
    destination: bytes = _NOBODY


class NotConvertible(Exception):
    """The frame can't be shown as an Ethernet frame; the text says why."""


Read = Callable[[bytes], LinkHeader]
LONGEST_HEADER = 20  # bytes that a Read may want to see


@dataclass(frozen=True, slots=True)
class LinkType:
    """A kind of capture. `read` takes the frame's first bytes, and raises NotConvertible; Ethernet itself has none."""

    name: str
    read: Read | None = None


def as_ethernet(data: mmap.mmap, offset: int, captured: int, original: int, read: Read) -> tuple[int, int, int]:
    """The same frame with an Ethernet header: where it begins, its bytes that are there, and its true length."""
    first = data[offset : offset + min(captured, LONGEST_HEADER)]
    try:
        header = read(first)
    except (struct.error, IndexError) as error:
        raise NotConvertible("shorter than their link header") from error
    if header.size > captured:
        raise NotConvertible("shorter than their link header")
    start = offset + header.size - _ETHERNET_HEADER.size
    grown = _ETHERNET_HEADER.size - header.size
    ethertype = header.ethertype
    if ethertype < _LEAST_ETHERTYPE:
        if ethertype not in _LENGTHS_OF_LINUX:
            raise NotConvertible("of a protocol that no Ethernet frame has")
        ethertype = min(original - header.size, 1500)
    _ETHERNET_HEADER.pack_into(data, start, header.destination, header.source, ethertype)
    return start, captured + grown, original + grown


def _raw(first: bytes) -> LinkHeader:
    """Nothing stands in front of the IP packet, whose version tells what it is; what is neither is IPv4 gone wrong."""
    return LinkHeader(0, _IPV6 if first[0] >> 4 == 6 else _IPV4)


def _of_family(family: int) -> LinkHeader:
    if family not in _FAMILIES:
        raise NotConvertible("of an address family that isn't IP")
    return LinkHeader(4, _FAMILIES[family])


def _null(first: bytes) -> LinkHeader:
    """The family is in the byte order of the machine that wrote the capture, which need not be the file's."""
    (little,), (big,) = struct.unpack_from("<I", first), struct.unpack_from(">I", first)
    return _of_family(min(little, big))


def _loop(first: bytes) -> LinkHeader:
    return _of_family(*struct.unpack_from(">I", first))


def _sll(first: bytes) -> LinkHeader:
    """packet type (2 bytes), ARPHRD_ (2), address length (2), address (8), protocol (2)"""
    kind, _, length, address, protocol = struct.unpack_from("!HHH8sH", first)
    return LinkHeader(16, protocol, *_addresses(kind, length, address))


def _sll2(first: bytes) -> LinkHeader:
    """protocol (2 bytes), reserved (2), interface (4), ARPHRD_ (2), packet type (1), address length (1), address (8)"""
    protocol, kind, length, address = struct.unpack_from("!H8xBB8s", first)
    return LinkHeader(20, protocol, *_addresses(kind, length, address))


def _addresses(kind: int, length: int, address: bytes) -> tuple[bytes, bytes]:
    return address[:6] if length == 6 else _NOBODY, _EVERYBODY if kind == _BROADCAST else _NOBODY


def _ppp(first: bytes) -> LinkHeader:
    """Address and control (ff 03) may be left out, and the protocol's first byte, too, if it is 0 (RFC 1661, 6.5)."""
    start = 2 if first[:2] == b"\xff\x03" else 0
    size = 1 if first[start] & 1 else 2
    if size + start > len(first):
        raise NotConvertible("shorter than their link header")
    protocol = int.from_bytes(first[start : start + size], "big")
    known = _PPP_PROTOCOLS.get(protocol)
    return LinkHeader(start + size, known) if known else LinkHeader(start, _PPP)


def _ppp_with_direction(first: bytes) -> LinkHeader:
    header = _ppp(first[1:])
    return header._replace(size=header.size + 1)


def _hdlc(first: bytes) -> LinkHeader:
    """PPP, or Cisco's: address (0f or 8f), control, ethertype."""
    return _cisco(first) if first[0] in (0x0F, 0x8F) else _ppp(first)


def _cisco(first: bytes) -> LinkHeader:
    return LinkHeader(4, *struct.unpack_from("!H", first, 2))


def _pppoe(first: bytes) -> LinkHeader:
    """A PPPoE header; its code says whether a session's data follows."""
    return LinkHeader(0, _PPPOE_DISCOVERY if first[1] else _PPPOE_SESSION)


LINK_TYPES: dict[int, LinkType] = {
    0: LinkType("null/loopback", _null),
    ETHERNET: LinkType("Ethernet"),
    9: LinkType("PPP", _ppp),
    12: LinkType("raw IP", _raw),  # DLT_RAW, as some write it into files
    14: LinkType("raw IP", _raw),  # the same, of OpenBSD
    50: LinkType("PPP in HDLC framing", _hdlc),
    51: LinkType("PPPoE", _pppoe),
    101: LinkType("raw IP", _raw),
    104: LinkType("Cisco HDLC", _cisco),
    108: LinkType("loopback of OpenBSD", _loop),
    113: LinkType("Linux cooked (SLL)", _sll),
    166: LinkType("PPP of pppd", _ppp_with_direction),
    204: LinkType("PPP with direction", _ppp_with_direction),
    228: LinkType("raw IPv4", lambda first: LinkHeader(0, _IPV4)),
    229: LinkType("raw IPv6", lambda first: LinkHeader(0, _IPV6)),
    276: LinkType("Linux cooked (SLL2)", _sll2),
}


def known_link_types() -> str:
    """What can be replayed, in words, each kind once."""
    return ", ".join(dict.fromkeys(kind.name for kind in LINK_TYPES.values()))

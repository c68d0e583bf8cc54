"""What the parser must say of a frame, in plain Python from the RFCs: an oracle that shares no code with it, not even
the headers' declarations.

    read_frame(frame, depth, kinds) -> Read(fields, malformed, is_addressed)

`fields` are named as the rule language names them (`ip.src`, `outer.udp.dport`, `mpls.label` as a tuple); what isn't
there has no entry.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

KINDS = ("ip", "gre", "vxlan", "geneve", "gtp", "mpls", "pppoe")
_IPV4, _IPV6, _ETHERNET = 0x0800, 0x86DD, 0x6558
_MPLS = (0x8847, 0x8848)
_TAGS = (0x8100, 0x88A8, 0x9100, 0x9200)
_EXTENSIONS = (0, 43, 44, 51, 60, 135, 139, 140)
_MOST_TAGS, _MOST_EXTENSIONS, _MOST_LABELS, _MOST_GTP_EXTENSIONS = 4, 8, 8, 4


class Malformed(Exception):
    """The frame is malformed, for that reason."""


@dataclass
class Read:
    """A frame as it was read. `is_addressed`: as far as an IP packet's addresses."""

    fields: dict[str, Any] = field(default_factory=dict)
    malformed: str | None = None
    is_addressed: bool = False


@dataclass
class _Inner:
    """What a level wraps: an ethertype, and its bytes, less what other fragments have if `is_cut`."""

    ethertype: int
    data: bytes
    is_cut: bool


def read_frame(frame: bytes, depth: int = 0, kinds: Collection[str] = KINDS) -> Read:
    """Every level of a frame, down to so many tunnels."""
    read = Read()
    link: dict[str, Any] = {}
    tunnels: dict[str, Any] = {}
    walked = 0
    inner: _Inner | None = _Inner(_ETHERNET, frame, is_cut=False)
    packet: dict[str, Any] = {}
    outer: dict[str, Any] = {}
    try:
        while inner is not None:
            packet = {}
            level = _Level(inner, link, packet, tunnels, kinds)
            try:
                level.read()
            finally:
                if "ip.version" not in outer:
                    outer = {**level.link, **packet}
                link = level.link
            inner = level.inner
            if inner is not None and walked == depth:
                tunnels["tunnel.more"] = True
                break
            walked += inner is not None
    except Malformed as malformed:
        read.malformed = str(malformed)
    read.is_addressed = "ip.version" in outer
    read.fields = {**link, **packet, **tunnels, "tunnel.depth": walked}
    read.fields |= {f"outer.{name}": value for name, value in outer.items()}
    return read


def _need(data: bytes, size: int, reason: str) -> None:
    if len(data) < size:
        raise Malformed(reason)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


class _Level:
    """One level being read."""

    def __init__(
        self,
        inner: _Inner,
        link: dict[str, Any],
        packet: dict[str, Any],
        tunnels: dict[str, Any],
        kinds: Collection[str],
    ) -> None:
        self.ethertype, self.data, self.is_cut = inner.ethertype, inner.data, inner.is_cut
        self.link, self.packet, self.tunnels, self.kinds = link, packet, tunnels, kinds
        self.is_fragment = False
        self.inner: _Inner | None = None

    def read(self) -> None:
        if self.ethertype == _ETHERNET:
            self._ethernet()
        if self.ethertype == _IPV4:
            self._ipv4()
        elif self.ethertype == _IPV6:
            self._ipv6()
        elif self.ethertype in _MPLS and "mpls" in self.kinds:
            self._mpls(self.data)
        elif self.ethertype == 0x8864 and "pppoe" in self.kinds:
            self._pppoe()

    def _ethernet(self) -> None:
        self.link = {}
        _need(self.data, 14, "ethernet_truncated")
        self.link |= {"eth.dst": _number(self.data[:6]), "eth.src": _number(self.data[6:12])}
        self.ethertype, self.data = _number(self.data[12:14]), self.data[14:]
        tags: list[int] = []
        self.link["eth.type"] = self.ethertype
        while self.ethertype in _TAGS:
            if len(tags) == _MOST_TAGS:
                raise Malformed("vlan_nested")
            _need(self.data, 4, "vlan_truncated")
            tags.append(_number(self.data[:2]) & 0xFFF)
            self.ethertype, self.data = _number(self.data[2:4]), self.data[4:]
            self.link |= {"vlan.id": tuple(tags), "eth.type": self.ethertype}

    # IP

    def _addresses(self, version: int, source: bytes, destination: bytes, length: int, ttl: int) -> None:
        self.packet |= {"ip.version": version, "ip.len": length, "ip.ttl": ttl}
        self.packet |= {"ip.src": ipaddress.ip_address(source), "ip.dst": ipaddress.ip_address(destination)}

    def _fragment(self, offset: int, more: bool) -> None:
        self.is_fragment = bool(offset or more)
        self.packet |= {"ip.fragment": self.is_fragment, "ip.frag_offset": offset, "ip.flags.mf": more}

    def _fitting(self, length: int, data: bytes, reason: str) -> bytes:
        """The bytes that a header claims; what is in a first fragment may lack some."""
        if not self.is_cut:
            _need(data, length, reason)
        return data[:length]

    def _ipv4(self) -> None:
        data = self.data
        _need(data, 20, "ipv4_truncated")
        if data[0] >> 4 != 4:
            raise Malformed("ipv4_version")
        total, size, flags = _number(data[2:4]), (data[0] & 15) * 4, _number(data[6:8])
        self._addresses(4, data[12:16], data[16:20], total, data[8])
        self.packet["ip.proto"] = data[9]
        self._fragment((flags & 0x1FFF) * 8, bool(flags & 0x2000))
        if size < 20:
            raise Malformed("ipv4_header_length")
        if total < size:
            raise Malformed("ipv4_total_length")
        payload = self._fitting(total, data, "ipv4_total_length")
        _need(payload, size, "ipv4_truncated")
        if self.packet["ip.frag_offset"] == 0:
            self._behind_ah(data[9], payload[size:])

    def _behind_ah(self, protocol: int, payload: bytes) -> None:
        if protocol == 51:
            _need(payload, 8, "ipv4_ah_truncated")
            size = (payload[1] + 2) * 4
            if len(payload) >= 12:
                self.packet |= {"ah.spi": _number(payload[4:8]), "ah.sequence": _number(payload[8:12])}
            _need(payload, size, "ipv4_ah_truncated")
            protocol, payload = payload[0], payload[size:]
            if protocol == 51:
                raise Malformed("ipv4_ah_nested")
            self.packet["ip.proto"] = protocol
        if protocol != 58:
            self._transport(protocol, payload)

    def _ipv6(self) -> None:
        data = self.data
        _need(data, 40, "ipv6_truncated")
        if data[0] >> 4 != 6:
            raise Malformed("ipv6_version")
        length, following = _number(data[4:6]), data[6]
        self._addresses(6, data[8:24], data[24:40], length + 40, data[7])
        payload = self._fitting(length, data[40:], "ipv6_payload_length")
        self._fragment(0, more=False)
        for depth in range(_MOST_EXTENSIONS + 1):
            if following not in _EXTENSIONS:
                break
            if depth == _MOST_EXTENSIONS:
                raise Malformed("ipv6_extension_nested")
            _need(payload, 8, "ipv6_extension_truncated")
            kind, following = following, payload[0]
            size = {44: 8, 51: (payload[1] + 2) * 4}.get(kind, (payload[1] + 1) * 8)
            if kind == 51 and len(payload) >= 12:
                self.packet |= {"ah.spi": _number(payload[4:8]), "ah.sequence": _number(payload[8:12])}
            _need(payload, size, "ipv6_extension_truncated")
            if kind == 44:
                offset, more = _number(payload[2:4]) & 0xFFF8, bool(payload[3] & 1)
                if not self.is_fragment:
                    self._fragment(offset, more)
                if offset:
                    self.packet["ip.proto"] = following
                    return
            payload = payload[size:]
        self.packet["ip.proto"] = following
        if following != 1:
            self._transport(following, payload)

    # what stands in IP

    def _transport(self, protocol: int, payload: bytes) -> None:
        if protocol == 6:
            _need(payload, 20, "tcp_truncated")
            size = (payload[12] >> 4) * 4
            if size < 20 or size > len(payload):
                raise Malformed("tcp_header_length")
            self.packet |= {"tcp.sport": _number(payload[:2]), "tcp.dport": _number(payload[2:4])}
            self.packet["tcp.flags"] = _number(payload[12:14]) & 0x1FF
        elif protocol == 17:
            self._udp(payload)
        elif protocol == 1:
            _need(payload, 8, "icmp_truncated")
            self.packet |= {"icmp.type": payload[0], "icmp.code": payload[1]}
        elif protocol == 58:
            _need(payload, 4, "icmpv6_truncated")
            self.packet |= {"icmpv6.type": payload[0], "icmpv6.code": payload[1]}
        elif protocol == 137 and "mpls" in self.kinds:
            self._mpls(payload)
        elif protocol in (4, 41) and "ip" in self.kinds:
            self._wrap({4: _IPV4, 41: _IPV6}[protocol], payload)
        elif protocol == 47 and "gre" in self.kinds:
            self._gre(payload)

    def _udp(self, payload: bytes) -> None:
        _need(payload, 8, "udp_truncated")
        length = _number(payload[4:6])
        if length < 8 or (length > len(payload) and not (self.is_fragment or self.is_cut)):
            raise Malformed("udp_length")
        port, data = _number(payload[2:4]), payload[8:length]
        self.packet |= {"udp.sport": _number(payload[:2]), "udp.dport": port, "udp.length": length}
        wrappers = {4789: ("vxlan", self._vxlan), 6081: ("geneve", self._geneve), 2152: ("gtp", self._gtp)}
        if port in wrappers and wrappers[port][0] in self.kinds:
            name, read = wrappers[port]
            if self._has_room(data, 8, f"{name}_truncated"):
                read(data)

    # what wraps

    def _wrap(self, ethertype: int, data: bytes) -> None:
        self.inner = _Inner(ethertype, data, self.is_cut or self.is_fragment)

    def _wrap_ethertype(self, ethertype: int, data: bytes) -> None:
        labels = _MPLS if "mpls" in self.kinds else ()
        if ethertype in (_IPV4, _IPV6, _ETHERNET, *labels):
            self._wrap(ethertype, data)

    def _wrap_packet(self, data: bytes) -> None:
        ethertype = {4: _IPV4, 6: _IPV6}.get(data[0] >> 4) if data else None
        if ethertype is not None:
            self._wrap(ethertype, data)

    def _has_room(self, data: bytes, size: int, reason: str) -> bool:
        if self.is_cut or self.is_fragment:
            _need(data, size, reason)
        return len(data) >= size

    def _gre(self, data: bytes) -> None:
        _need(data, 4, "gre_truncated")
        flags, protocol = _number(data[:2]), _number(data[2:4])
        if flags & 0x4007:
            return
        at = 8 if flags & 0x8000 else 4
        if flags & 0x2000:
            _need(data, at + 4, "gre_truncated")
            self.tunnels["gre.key"] = _number(data[at : at + 4])
            at += 4
        at += 4 if flags & 0x1000 else 0
        _need(data, at, "gre_truncated")
        self._wrap_ethertype(protocol, data[at:])

    def _vxlan(self, data: bytes) -> None:
        if data[0] & 0x08 and self._has_room(data, 8 + 14, "vxlan_truncated"):
            self.tunnels["vxlan.vni"] = _number(data[4:7])
            self._wrap(_ETHERNET, data[8:])

    def _geneve(self, data: bytes) -> None:
        size = 8 + (data[0] & 0x3F) * 4
        if data[0] >> 6 == 0 and self._has_room(data, size, "geneve_truncated"):
            self.tunnels["geneve.vni"] = _number(data[4:7])
            self._wrap_ethertype(_number(data[2:4]), data[size:])

    def _gtp(self, data: bytes) -> None:
        if data[0] & 0xF0 != 0x30 or data[1] != 255:
            return
        teid, at, following = _number(data[4:8]), 8, 0
        if data[0] & 7:
            _need(data, 12, "gtp_truncated")
            following, at = data[11] if data[0] & 4 else 0, 12
        for number in range(_MOST_GTP_EXTENSIONS + 1):
            if following == 0:
                break
            if number == _MOST_GTP_EXTENSIONS:
                raise Malformed("gtp_extension_nested")
            _need(data, at + 4, "gtp_truncated")
            size = data[at] * 4
            if size == 0:
                raise Malformed("gtp_truncated")
            _need(data, at + size, "gtp_truncated")
            at += size
            following = data[at - 1]
        self.tunnels["gtp.teid"] = teid
        self._wrap_packet(data[at:])

    def _mpls(self, data: bytes) -> None:
        labels: list[int] = []
        for number in range(_MOST_LABELS):
            self.tunnels["mpls.label"] = tuple(labels)
            _need(data, 4 * number + 4, "mpls_truncated")
            entry = _number(data[4 * number : 4 * number + 4])
            labels.append(entry >> 12)
            self.tunnels["mpls.label"] = tuple(labels)
            if entry & 0x100:
                self._wrap_packet(data[4 * number + 4 :])
                return
        raise Malformed("mpls_nested")

    def _pppoe(self) -> None:
        data = self.data
        _need(data, 8, "pppoe_truncated")
        if data[:2] != b"\x11\x00":
            return
        length = _number(data[4:6])
        payload = self._fitting(length, data[6:], "pppoe_length")
        if len(payload) < 2:
            raise Malformed("pppoe_length")
        self.tunnels["pppoe.session_id"] = _number(data[2:4])
        ethertype = {0x0021: _IPV4, 0x0057: _IPV6}.get(_number(payload[:2]))
        if ethertype is not None:
            self._wrap(ethertype, payload[2:])

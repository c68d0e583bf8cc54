"""What rules mean, in plain Python: a walk through the list, first match wins. Frames are made of fields, not parsed.

An oracle that shares nothing with the compiler: `appliance.rules.walk` reads frames by the compiler's own parser.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from appliance.rules.conditions import Condition, HasBits, InAddresses, NoneInRanges
from appliance.rules.layers import Layer
from appliance.rules.model import Action, Direction, Mode, Rule, RuleSet
from appliance.rules.ranges import Ranges

TCP, UDP, SCTP, ICMP, ICMPV6 = 6, 17, 132, 1, 58
_ETHERNET = bytes.fromhex("020000000002020000000001")
_FRAGMENT_HEADER = 44


@dataclass(frozen=True)
class Packet:
    """An IP packet, or another frame if `version` is 0. `first` and `second` are what the header of layer 4 begins
    with: ports, or an ICMP message's type and code. `offset` is a fragment's, in units of 8 bytes."""

    version: int
    source: int = 0
    destination: int = 0
    protocol: int = 0
    first: int = 0
    second: int = 0
    ttl: int = 64
    offset: int = 0
    more: bool = False
    data: bytes = field(default=b"", compare=False)

    @property
    def transport(self) -> int:
        """The protocol whose header is there to be read, or 0."""
        known = (TCP, UDP, SCTP, ICMP if self.version == 4 else ICMPV6)
        return self.protocol if self.version and self.offset == 0 and self.protocol in known else 0

    def fields(self) -> dict[str, int]:
        """What conditions read, by the names of the parser's fields."""
        found = {"version": self.version, "source": self.source, "destination": self.destination}
        found |= {"protocol": self.protocol, "ip.ttl": self.ttl if self.version else 0}
        if self.transport in (TCP, UDP, SCTP):
            found |= {"source_port": self.first, "destination_port": self.second}
        elif self.transport:
            found |= {"icmp_type": self.first, "icmp_code": self.second}
        return found

    def frame(self) -> bytes:
        """Its bytes, the Ethernet header included."""
        if self.version == 0:
            return _ETHERNET + b"\x08\x06" + bytes(46)
        payload = self._layer4()
        if self.version == 4:
            flags = self.more << 13 | self.offset
            lengths = (0x45, 0, 20 + len(payload), 0, flags, self.ttl, self.protocol, 0)
            header = struct.pack("!BBHHHBBH", *lengths) + struct.pack("!II", self.source, self.destination)
            return _ETHERNET + b"\x08\x00" + header + payload
        following = self.protocol
        if self.offset or self.more:
            payload = struct.pack("!BBHI", self.protocol, 0, self.offset << 3 | self.more, 7) + payload
            following = _FRAGMENT_HEADER
        header = struct.pack("!IHBB", 6 << 28, len(payload), following, self.ttl)
        addresses = self.source.to_bytes(16, "big") + self.destination.to_bytes(16, "big")
        return _ETHERNET + b"\x86\xdd" + header + addresses + payload

    def _layer4(self) -> bytes:
        if self.transport == TCP:
            return struct.pack("!HHIIHHHH", self.first, self.second, 1, 1, 0x5002, 0, 0, 0)
        if self.transport == UDP:
            return struct.pack("!HHHH", self.first, self.second, 16, 0) + bytes(8)
        if self.transport == SCTP:
            return struct.pack("!HHII", self.first, self.second, 1, 0)
        if self.transport:
            return struct.pack("!BBHI", self.first, self.second, 0, 0)
        return bytes(range(200, 224))  # of another protocol or fragment, which must not be taken for ports


@dataclass(frozen=True)
class Judgement:
    """What becomes of a frame, and what counts it: rules that only count or are monitored, then who decides."""

    verdict: Action
    counted: tuple[str, ...]


def walk(rules: RuleSet, packet: Packet, way: Direction = Direction.IN) -> Judgement:
    """Every rule of that direction, in order. For sets without rates, retransmissions, allowlist, monitored policy."""
    fields, counted, is_monitored = packet.fields(), [], False
    for rule in rules.rules:
        if not rule.direction.covers(way) or (is_monitored and rule.mode is Mode.MONITOR):
            continue
        if not matches(rule, packet, fields):
            continue
        counted.append(rule.id)
        if rule.action is Action.COUNT:
            continue
        if rule.mode is Mode.ENFORCE:
            return Judgement(rule.action, tuple(counted))
        is_monitored = True
    has_policy = way is Direction.IN or rules.direction is not Direction.IN
    return Judgement(rules.policy, (*counted, "policy")) if has_policy else Judgement(Action.PASS, tuple(counted))


def matches(rule: Rule, packet: Packet, fields: dict[str, int]) -> bool:
    return all(_holds(condition, packet, fields) for condition in rule.conditions)


def _holds(condition: Condition, packet: Packet, fields: dict[str, int]) -> bool:
    if not _has(packet, condition.matcher.layer):
        return False
    numbers = [fields.get(name, 0) for name in condition.matcher.fields]
    if isinstance(condition, InAddresses):
        ranges = condition.addresses.v4 if packet.version == 4 else condition.addresses.v6
        return _in(numbers[0], ranges)
    if isinstance(condition, HasBits):
        return all(test.holds(numbers[0]) for test in condition.tests)
    if isinstance(condition, NoneInRanges):
        return not any(_in(number, condition.ranges) for number in numbers)
    return any(_in(number, condition.ranges) for number in numbers)


def _has(packet: Packet, layer: Layer) -> bool:
    versions = {Layer.IP: (4, 6), Layer.IPV4: (4,), Layer.IPV6: (6,)}
    transports = {Layer.TCP: TCP, Layer.UDP: UDP, Layer.SCTP: SCTP, Layer.ICMP: ICMP, Layer.ICMPV6: ICMPV6}
    if layer in transports:
        return packet.transport == transports[layer]
    return layer is Layer.FRAME or packet.version in versions.get(layer, ())


def _in(number: int, ranges: Ranges) -> bool:
    return any(low <= number <= high for low, high in ranges)


def judged(rules: RuleSet, packets: Sequence[Packet], way: Direction) -> list[Judgement]:
    """Many, each once."""
    known: dict[Packet, Judgement] = {}
    for packet in packets:
        if packet not in known:
            known[packet] = walk(rules, packet, way)
    return [known[packet] for packet in packets]

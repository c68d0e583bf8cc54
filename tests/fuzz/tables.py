"""Random rule sets of fields that lie in tables, some that don't among them, and packets at the edges of what they ask.

Values come from small pools, so that rules lie upon each other and packets hit them; edges are tried from both sides.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from appliance.errors import SourceLine
from appliance.rules.conditions import Condition, InAddresses, InRanges, NoneInRanges
from appliance.rules.matchers import MATCHERS
from appliance.rules.model import Action, Direction, Mode, Rule, RuleSet
from appliance.rules.ranges import Ranges, union
from appliance.rules.values import Addresses
from tests.rule_walk import ICMP, ICMPV6, SCTP, TCP, UDP, Packet

FILE = "random.yaml"
SIZES = (3, 30, 120, 500)
_V4_BASES = (0, 0x0A000000, 0x0A0A0000, 0xC0000200, 0xC6336400, 0xE0000001)
_V6_BASES = (0, 0x20010DB8 << 96, 0x20010DB8_00010000 << 64, (0x20010DB8 << 96) + 1, 0xFE80 << 112)
_PORTS = (0, 22, 53, 80, 443, 1023, 1024, 8080, 32768, 65535)
_PROTOCOLS = (0, ICMP, TCP, UDP, 47, 50, ICMPV6, 89, SCTP, 255)
_AH = 51  # is walked through in IPv4 as well
_EXTENSIONS, _NOTHING_FOLLOWS = (0, 43, 44, 51, 60, 135, 139, 140), 59  # RFC 8200; what the parser walks through
_BITS = {4: 32, 6: 128}


def random_rule_set(seed: int, size: int | None = None) -> RuleSet:
    chance = random.Random(seed)
    count = size or chance.choice(SIZES)
    plain = chance.random() < 0.5  # half of the sets have nothing that interrupts a table
    rules = tuple(_rule(chance, index, plain=plain) for index in range(count))
    return RuleSet(
        file=FILE,
        policy=chance.choice((Action.PASS, Action.DROP)),
        malformed=Action.DROP,
        mode=Mode.ENFORCE,
        direction=chance.choice((Direction.IN, Direction.BOTH)),
        allowlist=Addresses(),
        rules=rules,
        texts={FILE: "\n" * count},
    )


def _rule(chance: random.Random, index: int, *, plain: bool) -> Rule:
    names = chance.sample(list(_CONDITIONS), chance.choice((1, 2, 2, 3, 3, 4)))
    if not plain and chance.random() < 0.1:
        names.append("ip.ttl")
    actions = (Action.PASS, Action.DROP) if plain or chance.random() < 0.95 else (Action.COUNT,)
    return Rule(
        id=f"rule-{index}",
        index=index,
        conditions=tuple(_condition(chance, name) for name in names),
        action=chance.choice(actions),
        mode=Mode.MONITOR if chance.random() < 0.15 else Mode.ENFORCE,
        direction=chance.choice((Direction.IN, Direction.BOTH, Direction.BOTH, Direction.OUT)),
        rate=None,
        retransmit=None,
        description="",
        where=SourceLine(FILE, index + 1, 1),
    )


def _condition(chance: random.Random, name: str) -> Condition:
    matcher = MATCHERS[name]
    if name.endswith((".src", ".dst")):
        v4 = tuple(_prefix(chance, 4) for _ in range(chance.choice((0, 1, 1, 1, 2))))
        v6 = tuple(_prefix(chance, 6) for _ in range(chance.choice((0, 1, 1, 2))))
        return InAddresses(matcher, Addresses(() if name.startswith("ipv6") else union(v4), union(v6)))
    kind = NoneInRanges if len(matcher.fields) > 1 and chance.random() < 0.3 else InRanges
    return kind(matcher, _CONDITIONS.get(name, _small)(chance))


def _prefix(chance: random.Random, version: int) -> tuple[int, int]:
    bits = _BITS[version]
    length = chance.choice((0, 1, 8, bits // 2, bits * 3 // 4, bits - 1, bits, bits))
    low = _address(chance, version) >> (bits - length) << (bits - length)
    return low, low | (1 << bits - length) - 1


def _address(chance: random.Random, version: int) -> int:
    base = chance.choice(_V4_BASES if version == 4 else _V6_BASES)
    return (base + chance.choice((0, 0, 1, 2, 255, 256, 65536, 1 << 24, chance.getrandbits(30)))) % (
        1 << _BITS[version]
    )


def _port_ranges(chance: random.Random) -> Ranges:
    return union(_range(chance, _PORTS, 0xFFFF) for _ in range(chance.choice((1, 1, 1, 2, 5))))


def _protocols(chance: random.Random) -> Ranges:
    return union(_range(chance, _PROTOCOLS, 0xFF) for _ in range(chance.choice((1, 1, 2))))


def _small(chance: random.Random) -> Ranges:
    return (_range(chance, (0, 3, 8, 64, 128, 255), 0xFF),)


def _versions(chance: random.Random) -> Ranges:
    return (chance.choice(((4, 4), (6, 6), (4, 6))),)


def _range(chance: random.Random, ends: tuple[int, ...], largest: int) -> tuple[int, int]:
    low = chance.choice(ends)
    high = chance.choice((low, low, low, min(low + 7, largest), chance.choice(ends)))
    return min(low, high), max(low, high)


_CONDITIONS: dict[str, Callable[[random.Random], Ranges]] = {
    **dict.fromkeys(("ip.src", "ip.dst", "ipv6.src", "ipv6.dst"), _small),
    **dict.fromkeys(("tcp.sport", "tcp.dport", "tcp.port", "udp.sport", "udp.dport", "udp.port"), _port_ranges),
    **dict.fromkeys(("sctp.sport", "sctp.dport", "sctp.port"), _port_ranges),
    **dict.fromkeys(("icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code"), _small),
    "ip.proto": _protocols,
    "ip.version": _versions,
}


def random_packet(chance: random.Random, rules: RuleSet) -> Packet:
    """A packet that means to match one of the rules, and may miss it by one; or any."""
    version = chance.choice((4, 4, 4, 6, 6, 6, 0))
    if version == 0:
        return Packet(0)
    packet = Packet(version, _address(chance, version), _address(chance, version), chance.choice(_PROTOCOLS))
    packet = replace(packet, first=chance.choice(_PORTS), second=chance.choice(_PORTS), ttl=chance.choice((1, 64, 255)))
    if chance.random() < 0.8:
        for condition in chance.choice(rules.rules).conditions:
            packet = _towards(chance, packet, condition)
    if chance.random() < 0.15:
        packet = replace(packet, offset=chance.choice((0, 0, 1, 185)), more=True)
    if packet.protocol in (_EXTENSIONS if packet.version == 6 else (_AH,)):
        packet = replace(packet, protocol=_NOTHING_FOLLOWS)
    if packet.transport in (ICMP, ICMPV6):
        packet = replace(packet, first=packet.first & 0xFF, second=packet.second & 0xFF)
    return packet


def _towards(chance: random.Random, packet: Packet, condition: Condition) -> Packet:
    header, _, name = condition.matcher.name.partition(".")
    if isinstance(condition, InAddresses):
        ranges = condition.addresses.v4 if packet.version == 4 else condition.addresses.v6
        side = "source" if name == "src" else "destination"
        return replace(packet, **{side: _edge(chance, ranges, (1 << _BITS[packet.version]) - 1)}) if ranges else packet
    assert isinstance(condition, InRanges | NoneInRanges)
    protocols = {"tcp": TCP, "udp": UDP, "sctp": SCTP, "icmp": ICMP, "icmpv6": ICMPV6}
    if header in protocols:
        largest = 0xFF if header.startswith("icmp") else 0xFFFF
        place = {"sport": "first", "dport": "second", "type": "first", "code": "second"}.get(name)
        place = place or chance.choice(("first", "second"))
        return replace(packet, protocol=protocols[header], **{place: _edge(chance, condition.ranges, largest)})
    if name == "proto":
        return replace(packet, protocol=_edge(chance, condition.ranges, 0xFF))
    return packet


def _edge(chance: random.Random, ranges: Ranges, largest: int) -> int:
    """A number at an end of one of the ranges, beside it, or anywhere in it."""
    low, high = chance.choice(ranges)
    number = chance.choice((low, high, low - 1, high + 1, chance.randint(low, high)))
    return min(max(number, 0), largest)

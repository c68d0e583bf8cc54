"""Random rule sets over random frames, made for each other: what conditions ask for is what some frame has, or nearly.

Everything comes from the tables (`MATCHERS`, the kinds of value), so that a new field takes part by being there.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_LSRR, IPOption_Router_Alert, IPOption_RR
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Dot1Q, Ether

from appliance.errors import SourceLine
from appliance.rules.conditions import (
    BitTest,
    Condition,
    HasBits,
    InAddresses,
    InCombinations,
    InRanges,
    InSets,
    Membership,
    NoneInRanges,
    layers,
)
from appliance.rules.document.fields import FieldReader
from appliance.rules.document.keys import read_key
from appliance.rules.layers import Layer
from appliance.rules.matchers import ABSENT_NUMBERS, MATCHERS, OUTER_MATCHERS, Matcher, version_of
from appliance.rules.model import Action, Direction, LiveSet, Mode, Reject, RejectBy, Rule, RuleSet
from appliance.rules.ranges import Range, Ranges, union
from appliance.rules.remembered import Block, KeyPart, Rate, Retransmit
from appliance.rules.sets.contents import Packer
from appliance.rules.sets.elements import ElementType
from appliance.rules.tunnels import MOST_DEPTH, Tunnel, Tunnels
from appliance.rules.values import (
    V4_MAXIMUM,
    Addresses,
    AddressKind,
    BadValue,
    FlagsKind,
    NumberKind,
    OptionKind,
    SetType,
    TruthKind,
)
from appliance.rules.walk import Dissected
from appliance.rules.walk.conditions import numbers_of
from tests.fuzz.nested_frames import nested_frame

COMBINED = (SetType.PREFIX, SetType.PORT)
HOSTS = ("192.0.2.1", "192.0.2.77", "198.51.100.9", "10.1.2.3")
HOSTS6 = ("2001:db8::1", "2001:db8::2", "2001:db8:1::1", "fe80::1")
FILE = "random.yaml"
NESTED = 200  # templates with tunnels


@cache
def templates() -> tuple[bytes, ...]:
    """Frames of every layer that a rule can ask for, whole and well made."""
    ether = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
    tagged = ether / Dot1Q(vlan=7) / Dot1Q(vlan=9)
    v4, v6 = IP(src=HOSTS[0], dst=HOSTS[2]), IPv6(src=HOSTS6[0], dst=HOSTS6[2])
    upper = (
        TCP(sport=1000, dport=80, flags="S", seq=7),
        TCP(sport=80, dport=1000, flags="SA", seq=99, ack=8),
        TCP(sport=1000, dport=80, flags="A", seq=8, ack=100),
        UDP(sport=53, dport=1000) / b"payload",
    )
    frames = [link / ip / each for link in (ether, tagged) for ip in (v4, v6) for each in upper]
    frames += [ether / v4 / ICMP(), ether / v6 / ICMPv6EchoRequest(), ether / ARP(), tagged / ARP()]
    frames += [ether / IP(options=[IPOption_RR(), IPOption_LSRR(), IPOption_Router_Alert()]) / UDP()]
    frames += [ether / IP(flags="MF") / UDP(), ether / IP(frag=5) / b"rest of it", ether / IP(proto=50) / bytes(20)]
    frames += [ether / v6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(m=1) / UDP(), ether / b"no packet"]
    chance = random.Random(1)
    return (*(bytes(frame) for frame in frames), *(nested_frame(chance) for _ in range(NESTED)))


# what rule sets open: nothing, often; else all kinds, or some
TUNNELS = (
    *(None, None, None),
    Tunnels(1, frozenset(Tunnel)),
    Tunnels(MOST_DEPTH, frozenset(Tunnel)),
    Tunnels(2, frozenset([Tunnel.GRE, Tunnel.VXLAN, Tunnel.MPLS])),
)


def _per(*texts: str) -> tuple[KeyPart, ...]:
    def refuse(number: int, bad: BadValue) -> None:
        raise bad

    return read_key(list(texts), FieldReader(TUNNELS[-1]), refuse)


# what rates are per
_PER = tuple(
    _per(*texts)
    for texts in (
        (),
        ("ip.src",),
        ("ip.dst",),
        ("ip.src/24/48",),
        ("ip.dst/128",),
        ("ipv6.src/20",),
        ("ip.src/9", "tcp.dport"),
        ("eth.src", "udp.length"),
        ("flow",),
        ("flow", "ip.ttl"),
    )
)


_OUTER_PER = (*_PER, _per("outer.ip.src"), _per("outer.ip.dst/16/48", "gre.key"), _per("outer.udp.dport", "ip.src"))


def random_frame(chance: random.Random) -> bytes:
    """A template, as it is, with other hosts and ports, or with bytes changed or cut away."""
    frame = bytearray(chance.choice(templates()))
    for _ in range(chance.choice((0, 0, 1, 2, 4))):
        place = chance.randrange(len(frame))
        frame[place] = chance.choice((chance.randrange(256), frame[place] ^ 1 << chance.randrange(8)))
    if chance.random() < 0.05:
        del frame[chance.randrange(len(frame)) :]
    elif chance.random() < 0.3:
        frame += bytes(chance.randrange(40))
    return bytes(frame)


def random_rule_set(
    chance: random.Random, frames: Sequence[Dissected], tunnels: Tunnels | None = None, most: int = 25
) -> RuleSet:
    """Up to so many rules, about those frames, which were dissected with those tunnels."""
    matchers = {**MATCHERS, **OUTER_MATCHERS} if tunnels else MATCHERS
    rules = tuple(_rule(chance, frames, matchers, index) for index in range(chance.randrange(most + 1)))
    allowed = _addresses(chance, frames, "source") if chance.random() < 0.2 else Addresses()
    live = {name for rule in rules for condition in rule.conditions for name in _sets_of(condition)}
    return RuleSet(
        file=FILE,
        policy=chance.choice((Action.PASS, Action.DROP)),
        malformed=chance.choice((Action.PASS, Action.DROP)),
        mode=chance.choice((Mode.ENFORCE, Mode.ENFORCE, Mode.MONITOR)),
        direction=chance.choice(tuple(Direction)),
        allowlist=allowed,
        rules=rules,
        texts={FILE: ""},
        tunnels=tunnels,
        sets={found.name: found for found in _live_sets(chance, frames) if found.name in live},
    )


def _rule(chance: random.Random, frames: Sequence[Dissected], matchers: Mapping[str, Matcher], index: int) -> Rule:
    names = chance.sample(sorted(matchers), chance.choice((0, 1, 1, 2, 2, 3)))
    conditions = tuple(condition for name in names for condition in _conditions(chance, frames, matchers[name]))
    rate, retransmit = None, None
    kind = chance.random()
    if kind < 0.15:
        rate = _rate(chance, _PER if matchers is MATCHERS else _OUTER_PER)
    elif kind < 0.35 and any(Layer.TCP in layers(condition) for condition in conditions):
        retransmit = Retransmit(chance.choice((0.001, 0.5)), 8, chance.choice((0.01, 600)), 65536, 65536)
    action = chance.choice((Action.PASS, Action.DROP, Action.DROP, Action.COUNT))
    if chance.random() < 0.2:
        action = chance.choice((Action.BLOCK, Action.REJECT, Action.MARK, Action.REDIRECT))
    blocks = action is Action.BLOCK or (action is Action.DROP and rate and rate.per)
    return Rule(
        id=f"r{index}",
        index=index,
        conditions=conditions,
        action=action,
        mode=chance.choice((Mode.ENFORCE, Mode.ENFORCE, Mode.ENFORCE, Mode.MONITOR)),
        direction=chance.choice(tuple(Direction)),
        rate=rate,
        retransmit=retransmit,
        description="",
        where=SourceLine(FILE, index + 1, 1),
        block=_block(chance, rate) if blocks else None,
        reject=_reject(chance) if action is Action.REJECT else None,
        dscp=chance.randrange(64) if action is Action.MARK else None,
        to=chance.choice(("eth2", "eth3")) if action is Action.REDIRECT else None,
    )


def _block(chance: random.Random, rate: Rate | None) -> Block:
    """By what the rate is per, or by hosts and networks."""
    by = rate.per if rate and rate.per else _per(chance.choice(("ip.src", "ip.src/8", "ip.src/16/32")))
    return Block(chance.choice((0.001, 1, 600)), by, 65536)


def _reject(chance: random.Random) -> Reject:
    pps = chance.choice((1, 100))
    return Reject(chance.choice(tuple(RejectBy)), Rate("pps", pps, pps, (), 0))


def _sets_of(condition: Condition) -> tuple[str, ...]:
    if isinstance(condition, InSets):
        return tuple(name for membership in condition.memberships for name in membership.sets)
    return condition.sets if isinstance(condition, InCombinations) else ()


def _live_sets(chance: random.Random, frames: Sequence[Dissected]) -> list[LiveSet]:
    """One of each type, called by it, and one of addresses with ports, with what some frames have."""
    hosts = [str(ipaddress.IPv4Address(frame.address("source"))) for frame in frames if frame["version"] == 4]
    hosts += [str(ipaddress.IPv6Address(frame.address("source"))) for frame in frames if frame["version"] == 6]
    values = {
        SetType.PREFIX: hosts,
        SetType.PORT: [frame["destination_port"] for frame in frames],
        SetType.MAC: [frame["eth.src"].to_bytes(6, "big").hex(":") for frame in frames],
        SetType.NUMBER: [*(frame["length"] for frame in frames), *ABSENT_NUMBERS.values()],
    }
    types = [*((each,) for each in SetType), COMBINED]
    found = []
    for each in types:
        packer = Packer(ElementType(each))
        elements = [[chance.choice(values[part]) for part in each] for _ in range(chance.choice((0, 3, 40)))]
        packer.add([element if len(each) > 1 else element[0] for element in elements], _never)
        name = "-".join(part.value for part in each)
        sizes = tuple(1024 for _ in ElementType(each).parts)
        found.append(LiveSet(name, ElementType(each), sizes, packer.contents()))
    return found


def _never(number: int, bad: BadValue) -> None:
    raise bad


def _rate(chance: random.Random, keys: Sequence[tuple[KeyPart, ...]]) -> Rate:
    per = chance.choice(keys)
    if chance.random() < 0.5:
        rate = Rate("pps", chance.choice((1, 100, 12345.678)), chance.choice((1, 5, 100)), per, 65536)
    else:
        rate = Rate("bps", chance.choice((8000, 1e6, 98765.4321)), chance.choice((1514, 5000)), per, 65536)
    if chance.random() < 0.7:
        return rate
    return replace(rate, until=rate.amount * chance.choice((0.1, 0.5, 1)), hold=chance.choice((0.01, 1.0, 60.0)))


def _conditions(chance: random.Random, frames: Sequence[Dissected], matcher: Matcher) -> list[Condition]:
    kind = matcher.kind
    if isinstance(kind, AddressKind | NumberKind) and not isinstance(kind, OptionKind) and chance.random() < 0.2:
        return _in_sets(chance, matcher, kind)
    if matcher.holds_both_families:
        found = _addresses(chance, frames, matcher.fields[0])
        return [
            InAddresses(
                matcher, found if isinstance(kind, AddressKind) and 4 in kind.families else Addresses((), found.v6)
            )
        ]
    if isinstance(kind, FlagsKind):
        return [HasBits(matcher, tuple(_bit_test(chance, kind) for _ in range(chance.choice((1, 1, 2)))))]
    largest = kind.maximum if isinstance(kind, NumberKind) else {AddressKind: V4_MAXIMUM, TruthKind: 1}[type(kind)]
    ranges = _ranges(chance, [number for frame in frames for number in numbers_of(matcher, frame)] or [0], largest)
    if len(matcher.fields) > 1 and chance.random() < 0.5:
        return [NoneInRanges(matcher, ranges)]
    return [InRanges(matcher, ranges)]


def _in_sets(chance: random.Random, matcher: Matcher, kind: AddressKind | NumberKind) -> list[Condition]:
    """The set of the field's type; of an address, maybe that with a port beside it."""
    negated = chance.random() < 0.3
    if isinstance(kind, AddressKind) and chance.random() < 0.5:
        port = MATCHERS[chance.choice(("tcp.dport", "udp.dport"))]
        return [InCombinations((matcher, port), ("-".join(part.value for part in COMBINED),), negated)]
    nothing: Ranges | Addresses = Addresses() if matcher.holds_both_families else ()
    return [InSets(matcher, (Membership(nothing, (kind.set_type.value,)),), negated)]


def _bit_test(chance: random.Random, kind: FlagsKind) -> BitTest:
    mask = sum({chance.choice(list(kind.bits.values())) for _ in range(chance.choice((1, 2, 3)))})
    return BitTest(mask, chance.choice((0, mask)), negated=chance.random() < 0.3)


def _ranges(chance: random.Random, values: Sequence[int], largest: int) -> Ranges:
    """Few ranges, or enough for a map."""
    many = chance.choice((1, 1, 2, 5, 80))
    return union(_range(chance, chance.choice(values), largest) for _ in range(many))


def _range(chance: random.Random, value: int, largest: int) -> Range:
    low = min(max(value + chance.choice((0, 0, 0, -1, 1, -100)), 0), largest)
    return low, min(low + chance.choice((0, 0, 1, 100, largest)), largest)


def _addresses(chance: random.Random, frames: Sequence[Dissected], side: str) -> Addresses:
    found: dict[int, list[Range]] = {4: [], 6: []}
    for _ in range(chance.choice((1, 1, 3, 70))):
        frame = chance.choice(frames)
        bits = 128 if frame[version_of(side)] == 6 else 32
        host = bits - chance.choice((8, 24, 31, bits, bits, bits // 2))
        low = frame.address(side) >> host << host
        found[6 if bits == 128 else 4].append((low & (1 << bits) - 1, (low | (1 << host) - 1) & (1 << bits) - 1))
    return Addresses(union(found[4]), union(found[6]))

"""A rule as boxes: what a table's records can say. A rule that needs too many of them, or asks for something that no
table has, has none, and stays code.

A box is a prefix of each address and a range of everything else; a rule is the boxes that all its conditions have in
common: several prefixes or ranges multiply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

from appliance.rules.classifier.layout import DESTINATION, GUARDS, PROTOCOL, SOURCE, WORD_BITS, Family
from appliance.rules.conditions import Condition, InAddresses, InCombinations, InRanges, InSets, NoneInRanges
from appliance.rules.layers import AnyLayer, Layer
from appliance.rules.model import Rule
from appliance.rules.ranges import Range, Ranges, complement, intersection, prefixes
from appliance.rules.values import Addresses

MOST_BOXES = 32  # of one rule and family

Box = tuple[int, ...]  # value and mask of each address word, low, high
_PORTS: tuple[Range, ...] = ((0, SOURCE.largest),)
_LOW_WORD = (1 << WORD_BITS) - 1

# protocols whose first header fields stand in the lanes of the ports
_TRANSPORTS = {Layer.TCP: 6, Layer.UDP: 17, Layer.SCTP: 132, Layer.ICMP: 1, Layer.ICMPV6: 58}
_LANE_OF_FIELD = {"source_port": 0, "destination_port": 1, "icmp_type": 0, "icmp_code": 1}
_VERSIONS = {Layer.IPV4: (4,), Layer.IPV6: (6,), Layer.ICMP: (4,), Layer.ICMPV6: (6,)}

_Pair = tuple[Ranges, Ranges]  # of the two lanes of ports


@dataclass(slots=True)
class _Wanted:
    """What a rule asks for, as far as its conditions have been read. `ports` are alternatives."""

    versions: Ranges = ((4, 4), (6, 6))
    protocols: Ranges = ((0, PROTOCOL.largest),)
    ports: tuple[_Pair, ...] = ((_PORTS, _PORTS),)
    source: tuple[Addresses, ...] = ()
    destination: tuple[Addresses, ...] = ()
    is_ip: bool = False


def _address(wanted: _Wanted, condition: Condition) -> None:
    assert isinstance(condition, InAddresses)
    if condition.matcher.fields == ("source",):
        wanted.source += (condition.addresses,)
    else:
        wanted.destination += (condition.addresses,)


def _version(wanted: _Wanted, condition: Condition) -> None:
    assert isinstance(condition, InRanges)
    wanted.versions = intersection(wanted.versions, condition.ranges)


def _protocol(wanted: _Wanted, condition: Condition) -> None:
    assert isinstance(condition, InRanges)
    doubled = tuple((2 * low, 2 * high + 1) for low, high in condition.ranges)
    wanted.protocols = intersection(wanted.protocols, doubled)


def _ports(wanted: _Wanted, condition: Condition) -> None:
    assert isinstance(condition, InRanges | NoneInRanges)
    lanes = [_LANE_OF_FIELD[field] for field in condition.matcher.fields]
    alternatives: list[_Pair] = []
    if isinstance(condition, InRanges):
        alternatives += [_pair({lane: condition.ranges}) for lane in lanes]
    else:
        rest = complement(condition.ranges, SOURCE.largest)
        alternatives.append(_pair(dict.fromkeys(lanes, rest)))
    wanted.ports = tuple(
        (intersection(one[0], other[0]), intersection(one[1], other[1]))
        for one, other in product(wanted.ports, alternatives)
    )


def _pair(lanes: Mapping[int, Ranges]) -> _Pair:
    return lanes.get(0, _PORTS), lanes.get(1, _PORTS)


# the matchers that a table has words for
_READ: dict[str, Callable[[_Wanted, Condition], None]] = {
    "ip.src": _address,
    "ip.dst": _address,
    "ipv6.src": _address,
    "ipv6.dst": _address,
    "ip.version": _version,
    "ip.proto": _protocol,
    "tcp.sport": _ports,
    "tcp.dport": _ports,
    "tcp.port": _ports,
    "udp.sport": _ports,
    "udp.dport": _ports,
    "udp.port": _ports,
    "sctp.sport": _ports,
    "sctp.dport": _ports,
    "sctp.port": _ports,
    "icmp.type": _ports,
    "icmp.code": _ports,
    "icmpv6.type": _ports,
    "icmpv6.code": _ports,
}


def boxes(rule: Rule, families: tuple[Family, ...]) -> dict[Family, list[Box]] | None:
    """The boxes of a rule in each family, none in one that it can't match. None if it can't lie in a table."""
    wanted = _Wanted()
    for condition in rule.conditions:
        if isinstance(condition, InSets | InCombinations):
            return None  # what is in a live set is not known when tables are laid out
        read = _READ.get(condition.matcher.name)
        if read is None:
            return None
        wanted.is_ip = True
        _layer(wanted, condition.matcher.layer)
        read(wanted, condition)
    if not wanted.is_ip:
        return None
    found = {family: _boxes(wanted, family) for family in families}
    return found if all(each is not None for each in found.values()) else None  # type: ignore[return-value]


def _layer(wanted: _Wanted, layer: AnyLayer) -> None:
    """What a condition says by its layer alone."""
    if layer in _TRANSPORTS:
        there = 2 * _TRANSPORTS[layer] + 1
        wanted.protocols = intersection(wanted.protocols, ((there, there),))
    if layer in _VERSIONS:
        wanted.versions = intersection(wanted.versions, tuple((each, each) for each in _VERSIONS[layer]))


def _boxes(wanted: _Wanted, family: Family) -> list[Box] | None:
    """None for too many."""
    if not intersection(wanted.versions, ((family.version, family.version),)):
        return []
    sides = [_prefixes(side, family) for side in (wanted.source, wanted.destination)]
    pairs = [(source, destination) for pair in wanted.ports for source, destination in product(*pair)]
    number = len(sides[0]) * len(sides[1]) * len(pairs) * len(wanted.protocols)
    if number > MOST_BOXES:
        return None
    addresses = [_words(source, destination, family) for source, destination in product(*sides)]
    ranges = [_edges(*ports, protocol) for ports, protocol in product(pairs, wanted.protocols)]
    return [(*words, low, high | GUARDS) for words, (low, high) in product(addresses, ranges)]


def _prefixes(side: tuple[Addresses, ...], family: Family) -> list[tuple[int, int]]:
    """Value and mask of every prefix; one too many is as many as there are."""
    everything = (1 << family.address_bits) - 1
    ranges: Ranges = ((0, everything),)
    for each in side:
        ranges = intersection(ranges, each.v4 if family.version == 4 else each.v6)
    found = []
    for value, length in prefixes(ranges, family.address_bits):
        found.append((value, everything ^ everything >> length))
        if len(found) > MOST_BOXES:
            break
    return found


def _edges(source: Range, destination: Range, protocol: Range) -> Range:
    """The last word of the least and of the greatest that are in all three ranges."""
    low, high = (
        source[end] << SOURCE.at | destination[end] << DESTINATION.at | protocol[end] << PROTOCOL.at for end in (0, 1)
    )
    return low, high


def _words(source: tuple[int, int], destination: tuple[int, int], family: Family) -> tuple[int, ...]:
    """Value and mask of each word of both addresses."""
    joined = [high << family.address_bits | low for high, low in zip(source, destination, strict=True)]
    shifts = range(2 * family.address_bits - WORD_BITS, -1, -WORD_BITS)
    return tuple(each >> shift & _LOW_WORD for shift in shifts for each in joined)

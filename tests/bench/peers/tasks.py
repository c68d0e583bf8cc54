"""What Tidegate and its peers are asked: lists and rules as plain data, and the flows of the frames that meet them.

One seed, one task. Every frame is 64 bytes of UDP in IPv4, to an Ethernet address that nobody has, so that the far
host's stack counts it and lets it go. Each is of another flow than the one before it.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

FLOWS = 1 << 14  # different ones of one kind of traffic
SEED = 10
LISTED = "listed"  # the traffic of a blocklist that is dropped

# Of a blocklist: every prefix lies in a block of 256 addresses of its own, so none overlaps another.
BLOCKS = range(1 << 16, 224 << 16)  # 1.0.0.0/24 to 223.255.255.0/24
BLOCK_BITS = 8
LENGTHS, LENGTH_WEIGHTS = (32, 24, 25, 26, 27, 28, 29, 30), (50, 30, 4, 4, 3, 3, 3, 3)

# Of rules of five fields: addresses of rules and of frames lie in these networks, ports of frames above every rule's.
SOURCES, DESTINATIONS = (10 << 24, 8), (198 << 24 | 18 << 16, 15)
RULE_LENGTHS = (16, 20, 24, 24, 28, 32)
HIGHEST_RULE_PORT, LOWEST_FRAME_PORT, HIGHEST_PORT = 29_999, 40_000, 65_535
PROTOCOLS = {"udp": 17, "tcp": 6}

_ETHERNET = bytes.fromhex("0200000000990200000000010800")
_PAYLOAD = bytes(22)
_UDP_LENGTH = 8 + len(_PAYLOAD)
_IP_START = struct.pack("!BBHHH", 0x45, 0, 20 + _UDP_LENGTH, 0, 0)
_TTL_AND_PROTOCOL = bytes((64, PROTOCOLS["udp"]))


class Prefix(NamedTuple):
    """An IPv4 prefix: the address as a number, no bit set behind the length."""

    address: int
    length: int

    def __str__(self) -> str:
        address = ".".join(map(str, self.address.to_bytes(4, "big")))
        return address if self.length == 32 else f"{address}/{self.length}"

    def overlaps(self, other: Prefix) -> bool:
        return not (self.address ^ other.address) >> 32 - min(self.length, other.length)


class Flow(NamedTuple):
    """Addresses and ports of a frame, as numbers."""

    source: int
    destination: int
    sport: int
    dport: int

    @property
    def wire(self) -> bytes:
        """The end of IPv4's header, from TTL on, and the ports. A wrong checksum would end on its way in a bridge."""
        addresses = struct.pack("!II", self.source, self.destination)
        words = struct.unpack(f"!{len(_IP_START) // 2 + 5}H", _IP_START + _TTL_AND_PROTOCOL + addresses)
        total = sum(words)
        total = (total & 0xFFFF) + (total >> 16)
        checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
        ports = struct.pack("!HH", self.sport, self.dport)
        return _TTL_AND_PROTOCOL + checksum.to_bytes(2, "big") + addresses + ports


class Ports(NamedTuple):
    """A range of ports, both ends in it."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def overlaps(self, other: Ports) -> bool:
        return self.first <= other.last and other.first <= self.last


class FiveFields(NamedTuple):
    """What a rule compares."""

    source: Prefix
    destination: Prefix
    protocol: str
    sport: Ports
    dport: Ports

    def overlaps(self, other: FiveFields) -> bool:
        """Whether a frame could be of both."""
        return (
            self.protocol == other.protocol
            and self.source.overlaps(other.source)
            and self.destination.overlaps(other.destination)
            and self.sport.overlaps(other.sport)
            and self.dport.overlaps(other.dport)
        )


@dataclass(frozen=True, slots=True)
class Blocklist:
    """Frames from these prefixes are dropped, all others pass. `traffic` has flows by what they are."""

    name: str
    prefixes: Sequence[Prefix]
    traffic: Mapping[str, Sequence[Flow]] = field(repr=False)

    @property
    def single(self) -> bool:
        """Whether every prefix is one address."""
        return all(prefix.length == 32 for prefix in self.prefixes)


@dataclass(frozen=True, slots=True)
class RuleList:
    """Frames that one of these rules matches are dropped; none of the `traffic` is."""

    name: str
    rules: Sequence[FiveFields]
    traffic: Mapping[str, Sequence[Flow]] = field(repr=False)


Task = Blocklist | RuleList


def blocklist(count: int, *, single: bool = False, flows: int = FLOWS) -> Blocklist:
    """`count` prefixes of 24 to 32 bits, or that many `single` addresses; half of the first kind are addresses, too."""
    choice = random.Random(SEED)
    blocks = choice.sample(BLOCKS, count)
    lengths = [32] * count if single else choice.choices(LENGTHS, LENGTH_WEIGHTS, k=count)
    prefixes = [
        Prefix((block << BLOCK_BITS | choice.getrandbits(BLOCK_BITS)) >> 32 - length << 32 - length, length)
        for block, length in zip(blocks, lengths, strict=True)
    ]
    listed = [_inside(choice, choice.choice(prefixes)) for _ in range(flows)]
    taken = set(blocks)
    free = [block for block in choice.choices(BLOCKS, k=2 * flows) if block not in taken][:flows]
    unlisted = [block << BLOCK_BITS | choice.getrandbits(BLOCK_BITS) for block in free]
    what = "addresses" if single else "prefixes"
    traffic = {LISTED: _flows(choice, listed), "not listed": _flows(choice, unlisted)}
    return Blocklist(f"blocklist of {count:,} {what}", prefixes, traffic)


def rule_list(count: int, *, flows: int = FLOWS) -> RuleList:
    """`count` rules. No two overlap: a concatenated set of nftables may then say the same as a chain."""
    choice = random.Random(SEED)
    kept: dict[int, list[FiveFields]] = {}  # by the first 16 bits of the source, which every rule names
    for _ in range(count):
        rule = next(rule for rule in _rules(choice) if not _met(rule, kept))
        kept.setdefault(rule.source.address >> 16, []).append(rule)
    rules = [rule for group in kept.values() for rule in group]
    choice.shuffle(rules)
    sources = [_inside(choice, Prefix(*SOURCES)) for _ in range(flows)]
    return RuleList(f"{count:,} rules of five fields, none matching", rules, {"": _flows(choice, sources)})


def _met(rule: FiveFields, kept: Mapping[int, Sequence[FiveFields]]) -> bool:
    return any(rule.overlaps(other) for other in kept.get(rule.source.address >> 16, ()))


def _rules(choice: random.Random) -> Iterator[FiveFields]:
    while True:
        yield FiveFields(
            _prefix(choice, Prefix(*SOURCES)),
            _prefix(choice, Prefix(*DESTINATIONS)),
            choice.choice(tuple(PROTOCOLS)),
            choice.choice((Ports(0, HIGHEST_PORT), Ports(1024, HIGHEST_PORT), _ports(choice))),
            _ports(choice),
        )


def _prefix(choice: random.Random, within: Prefix) -> Prefix:
    length = choice.choice(RULE_LENGTHS)
    return Prefix(_inside(choice, within) >> 32 - length << 32 - length, length)


def _ports(choice: random.Random) -> Ports:
    first = choice.randrange(1, HIGHEST_RULE_PORT)
    return Ports(first, choice.choice((first, first, min(first + choice.randrange(1, 1000), HIGHEST_RULE_PORT))))


def _inside(choice: random.Random, prefix: Prefix) -> int:
    return prefix.address | choice.getrandbits(32) & (1 << 32 - prefix.length) - 1


def _flows(choice: random.Random, sources: Sequence[int]) -> list[Flow]:
    ports = range(LOWEST_FRAME_PORT, HIGHEST_PORT)
    destination = Prefix(*DESTINATIONS)
    return [
        Flow(source, _inside(choice, destination), choice.choice(ports), choice.choice(ports)) for source in sources
    ]


def frame(flow: Flow) -> bytes:
    """A frame of the flow. UDP's checksum is left out, as it may."""
    return _ETHERNET + _IP_START + flow.wire + struct.pack("!HH", _UDP_LENGTH, 0) + _PAYLOAD

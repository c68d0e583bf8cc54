"""The kinds of value that a rule set can name: what they are called, how large they are, and which have names.

Everything becomes ranges: of plain numbers, or of IPv4 and IPv6 addresses side by side (`reading`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from appliance.rules.names import (
    ARP_OPCODES,
    CT_STATES,
    DSCPS,
    ECNS,
    ETHERTYPES,
    ICMP_TYPES,
    ICMPV6_TYPES,
    IGMP_TYPES,
    IP_OPTIONS,
    OSPF_TYPES,
    PROTOCOLS,
    TCP_FLAGS,
)
from appliance.rules.ranges import Ranges
from appliance.rules.services import SERVICES

V4_MAXIMUM = (1 << 32) - 1
V6_MAXIMUM = (1 << 128) - 1


class BadValue(ValueError):
    """A value that can't be read. `what` and `hint` are for the user; the caller knows the place."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class SetType(Enum):
    """What the elements of a named set are."""

    PREFIX = "prefix"
    PORT = "port"
    MAC = "mac"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class NumberKind:
    """Numbers from 0 to `maximum`, some with a name. Those of `size` bytes may be written as bytes: 47:45:54:20."""

    name: str
    maximum: int
    set_type: SetType = SetType.NUMBER
    names: Mapping[str, int] = field(default_factory=dict)
    size: int = 0

    @property
    def is_in_sets(self) -> bool:
        """Whether a named set can hold such numbers."""
        return not self.size


BITS_OF_WORD = 64


@dataclass(frozen=True, slots=True)
class OptionKind(NumberKind):
    """Types of options. A header may have several: they are bits, in words of BITS_OF_WORD, the lowest types first."""

    @property
    def is_in_sets(self) -> bool:
        """They are asked for one by one, and not looked for."""
        return False

    def words(self, ranges: Ranges) -> tuple[int, ...]:
        """The bits of the types in the ranges."""
        bits = sum((1 << (high + 1)) - (1 << low) for low, high in ranges)
        return tuple(bits >> at & ((1 << BITS_OF_WORD) - 1) for at in range(0, self.maximum + 1, BITS_OF_WORD))

    def types(self, words: Sequence[int]) -> tuple[int, ...]:
        """The types whose bits are set."""
        bits = sum(word << BITS_OF_WORD * number for number, word in enumerate(words))
        return tuple(number for number in range(self.maximum + 1) if bits >> number & 1)


@dataclass(frozen=True, slots=True)
class AddressKind:
    """IPv4 and IPv6 prefixes; an element's family decides which packets it can match."""

    name: str = "IP prefix"
    set_type: SetType = SetType.PREFIX
    families: tuple[int, ...] = (4, 6)


@dataclass(frozen=True, slots=True)
class FlagsKind:
    """A field of named bits."""

    name: str
    bits: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TruthKind:
    """true or false."""

    name: str = "truth value"


Kind = NumberKind | AddressKind | FlagsKind | TruthKind


@dataclass(frozen=True, slots=True)
class Addresses:
    """A set of IP addresses: IPv4 as 32-bit and IPv6 as 128-bit numbers, in the order that people read them."""

    v4: Ranges = ()
    v6: Ranges = ()

    def __bool__(self) -> bool:
        return bool(self.v4 or self.v6)


MAC_BITS = 48
MAC = NumberKind("MAC address", (1 << MAC_BITS) - 1, SetType.MAC)
PORT = NumberKind("port", 0xFFFF, SetType.PORT, names=SERVICES)
BYTE = NumberKind("number", 0xFF)
SHORT = NumberKind("number", 0xFFFF)
NUMBER = NumberKind("number", (1 << 32) - 1)
VLAN_ID = NumberKind("VLAN id", 0xFFF)
ETHERTYPE = NumberKind("ethertype", 0xFFFF, names=ETHERTYPES)
PROTOCOL = NumberKind("IP protocol", 0xFF, names=PROTOCOLS)
ICMP_TYPE = NumberKind("ICMP type", 0xFF, names=ICMP_TYPES)
ICMPV6_TYPE = NumberKind("ICMPv6 type", 0xFF, names=ICMPV6_TYPES)
IGMP_TYPE = NumberKind("IGMP type", 0xFF, names=IGMP_TYPES)
OSPF_TYPE = NumberKind("OSPF type", 0xFF, names=OSPF_TYPES)
ARP_OPCODE = NumberKind("ARP operation", 0xFFFF, names=ARP_OPCODES)
DSCP = NumberKind("DSCP", 0x3F, names=DSCPS)
CT_STATE = NumberKind("connection state", 4, names=CT_STATES)
ECN = NumberKind("ECN codepoint", 3, names=ECNS)
IP_OPTION = OptionKind("IPv4 option", 0xFF, names=IP_OPTIONS)
PREFIX = AddressKind()
PREFIX_V4 = AddressKind("IPv4 prefix", families=(4,))
PREFIX_V6 = AddressKind("IPv6 prefix", families=(6,))
FLAGS = FlagsKind("TCP flag", TCP_FLAGS)
TRUTH = TruthKind()

ELEMENT_KINDS: dict[SetType, NumberKind | AddressKind] = {
    SetType.PREFIX: PREFIX,
    SetType.PORT: PORT,
    SetType.MAC: MAC,
    SetType.NUMBER: NUMBER,
}

"""How a table lies in its two maps, and what a frame is to it. Both are arrays; numbers are little-endian.

What is known of a frame is words of 64 bits. Those of addresses come first, then one for everything else:

    IPv4   source:32 destination:32 │ rest
    IPv6   source, high │ source, low │ destination, high │ destination, low │ rest

    rest   63        50   49  48        40   36  35         20   16  15         0
           ┌───────────┬─────┬────────────┬─────┬─────────────┬─────┬────────────┐
           │ 0         │  0  │ protocol   │  0  │ destination │  0  │ source     │
           └───────────┴─────┴────────────┴─────┴─────────────┴─────┴────────────┘

A port is that of TCP, UDP or SCTP; an ICMP message has its type in place of the source port and its code in place of
the destination port. `protocol` is twice IP's number, and one more if the header of layer 4 is in the frame: fragments
behind the first have none. Above each number stands a guard, so that all of them are compared at once: high + guards -
rest keeps the guards of the numbers that aren't above `high`, and rest + guards - low those that aren't below `low`.

    map of records   value, mask of each address word, then low, then high + guards; bits 50 to 63 of those two are the
                     halves of the rule's number, which the comparison does not disturb
    map of nodes     0, 2, 4 …  the lowest number of a rule in a tree
                     1, 3, 5 …  its root; NOTHING is the lowest number behind the last tree
                     then the children of all nodes, those of one side by side

    node   63  62     51  50 48  47 46 45    40 39 38 37   32  31                       0
           ┌──┬─────────┬───────┬─────┬────────┬─────┬───────┬──────────────────────────┐
           │0 │         │ word  │     │ right  │     │ left  │ index of the first child │     a cut
           ├──┼─────────┴───────┴─────┴────────┴─────┴───────┼──────────────────────────┤
           │1 │                 number of records            │ index of the first       │     a leaf
           └──┴──────────────────────────────────────────────┴──────────────────────────┘

Trees stand in the order of their lowest numbers: when what was found is lower, nothing better comes.

A cut takes some neighbouring bits of a word, (word << left) >> right, as the number of the child. A leaf's records
stand in the order of their rules.
"""

from __future__ import annotations

from dataclasses import dataclass

WORD_BITS = 64
MOST_TREES = 8
MOST_CUTS = 12  # from a root to a leaf
MOST_RECORDS = 64  # in a leaf
NODE_SIZE = 8  # bytes

LEAF = 1 << 63
WORD_AT, RIGHT_AT, LEFT_AT, COUNT_AT = 48, 40, 32, 32
SHIFT_MASK, COUNT_MASK, FIRST_MASK = 0x3F, 0xFF, 0xFFFFFFFF

NUMBER_AT, NUMBER_HALF = 50, 14
VERDICT_BITS = 2  # of a rule's number: what the program answers
NOTHING = (1 << 2 * NUMBER_HALF) - 1  # no rule has that number


@dataclass(frozen=True, slots=True)
class Lane:
    """A number in the last word: its lowest bit and its width; the guard stands above."""

    at: int
    bits: int

    @property
    def largest(self) -> int:
        return (1 << self.bits) - 1

    @property
    def guard(self) -> int:
        return 1 << (self.at + self.bits)

    @property
    def mask(self) -> int:
        return self.largest << self.at


SOURCE, DESTINATION, PROTOCOL = LANES = (Lane(0, 16), Lane(20, 16), Lane(40, 9))
GUARDS = sum(lane.guard for lane in LANES)


@dataclass(frozen=True, slots=True)
class Family:
    """An IP version: its words of addresses, and what a prefix must have of bits to be called narrow."""

    version: int
    address_bits: int
    narrow: int

    @property
    def address_words(self) -> int:
        return 2 * self.address_bits // WORD_BITS

    @property
    def words(self) -> int:
        return self.address_words + 1

    @property
    def record_size(self) -> int:
        """Bytes."""
        return 2 * WORD_BITS // 8 * self.words


V4, V6 = FAMILIES = (Family(4, 32, narrow=8), Family(6, 128, narrow=16))


@dataclass(frozen=True, slots=True)
class Table:
    """The values of both maps, one behind the other."""

    family: Family
    nodes: bytes
    records: bytes


def rule_number(index: int, verdict: int) -> int:
    """The number of a rule in a table: rules in order, and what XDP answers (DROP 1, PASS 2) in the lowest bits."""
    return index << VERDICT_BITS | verdict

"""Tables in plain Python: random boxes and frames, what a frame is to a table, and a table asked as layout.py draws it.

Numbers come from small pools, so that boxes lie upon each other and frames hit them.
"""

from __future__ import annotations

import random
import struct

import numpy as np

from appliance.rules.classifier.boxes import Box
from appliance.rules.classifier.cuts import Integers
from appliance.rules.classifier.layout import (
    COUNT_AT,
    COUNT_MASK,
    FIRST_MASK,
    GUARDS,
    LANES,
    LEAF,
    LEFT_AT,
    MOST_CUTS,
    MOST_RECORDS,
    MOST_TREES,
    NODE_SIZE,
    NOTHING,
    NUMBER_AT,
    NUMBER_HALF,
    RIGHT_AT,
    SHIFT_MASK,
    WORD_AT,
    WORD_BITS,
    Family,
    Lane,
    Table,
)
from appliance.rules.classifier.ternary import Patterns
from tests.rule_walk import Packet

Frame = tuple[int, ...]  # the words that are known of it

_ALL_ONES = (1 << WORD_BITS) - 1
_LANE_POOL = (0, 1, 6, 12, 13, 80, 81, 443, 1023, 1024, 0x8000, 0xFFFF)


def random_boxes(chance: random.Random, family: Family, count: int) -> list[Box]:
    """Prefixes in every address word, from none of the bits to all, and ranges in every lane."""
    return [_box(chance, family) for _ in range(count)]


def _box(chance: random.Random, family: Family) -> Box:
    parts: list[int] = []
    for _ in range(family.address_words):
        mask = _ALL_ONES ^ _ALL_ONES >> chance.choice((0, 0, 8, 16, 24, 32, 33, 48, 63, 64))
        parts += [_word(chance) & mask, mask]
    low = high = 0
    for lane in LANES:
        ends = sorted(_number(chance, lane) for _ in range(2))
        ends = chance.choice(([0, lane.largest], [ends[0], ends[0]], ends))
        low, high = low | ends[0] << lane.at, high | ends[1] << lane.at
    return (*parts, low, high | GUARDS)


def _word(chance: random.Random) -> int:
    return chance.choice((0, 10 << 56, 10 << 56 | 7 << 24, 0x20010DB8 << 32, chance.getrandbits(WORD_BITS)))


def _number(chance: random.Random, lane: Lane) -> int:
    return min(chance.choice(_LANE_POOL), lane.largest)


def random_frame(chance: random.Random, boxes: list[Box]) -> Frame:
    """A frame in one of the boxes, or just beside it."""
    *addresses, low, high = chance.choice(boxes)
    pairs = zip(addresses[::2], addresses[1::2], strict=True)
    words = [value | chance.choice((0, _ALL_ONES, chance.getrandbits(WORD_BITS))) & ~mask for value, mask in pairs]
    if chance.random() < 0.2:
        words[0] ^= 1 << chance.randrange(WORD_BITS)
    rest = 0
    for lane in LANES:
        ends = [number >> lane.at & lane.largest for number in (low, high)]
        number = chance.choice((*ends, ends[0] - 1, ends[1] + 1, chance.randint(*ends)))
        rest |= min(max(number, 0), lane.largest) << lane.at
    return (*words, rest)


def holds(box: Box, frame: Frame) -> bool:
    """Whether the frame is in the box."""
    *addresses, low, high = box
    pairs = zip(frame, addresses[::2], addresses[1::2], strict=False)
    numbers = ([each >> lane.at & lane.largest for each in (low, frame[-1], high)] for lane in LANES)
    return all((word ^ value) & mask == 0 for word, value, mask in pairs) and all(
        least <= number <= most for least, number, most in numbers
    )


def first_of(boxes: list[Box], numbers: list[int], frame: Frame) -> int:
    """What a walk through the list gives."""
    return next((number for box, number in zip(boxes, numbers, strict=True) if holds(box, frame)), NOTHING)


def patterns_of(boxes: list[Box]) -> Patterns:
    columns = np.array(boxes, np.uint64)
    return Patterns.of(columns[:, :-2], columns[:, -2], columns[:, -1] & ~np.uint64(GUARDS))


def everything(boxes: list[Box]) -> Integers:
    return np.arange(len(boxes))


def frame_of(packet: Packet, family: Family) -> Frame:
    """What an IP packet of that family is to a table."""
    first, second = (packet.first, packet.second) if packet.transport else (0, 0)
    numbers = (first, second, 2 * packet.protocol + bool(packet.transport))
    rest = sum(number << lane.at for number, lane in zip(numbers, LANES, strict=True))
    joined = packet.source << family.address_bits | packet.destination
    shifts = range(2 * family.address_bits - WORD_BITS, -1, -WORD_BITS)
    return (*(joined >> shift & _ALL_ONES for shift in shifts), rest)


def ask(table: Table, frame: Frame) -> int:
    """The lowest number of a rule that matches, found as the code in BPF finds it, or NOTHING."""
    nodes = struct.unpack(f"<{len(table.nodes) // NODE_SIZE}Q", table.nodes)
    size = table.family.record_size
    records = [
        struct.unpack_from(f"<{size // 8}Q", table.records, start) for start in range(0, len(table.records), size)
    ]
    found, tree = NOTHING, 0
    while nodes[2 * tree] < found:
        assert tree < MOST_TREES
        leaf = descend(nodes, nodes[2 * tree + 1], frame)
        first, count = leaf & FIRST_MASK, leaf >> COUNT_AT & COUNT_MASK
        assert count <= MOST_RECORDS
        found = min([found, *(_number_of(each) for each in records[first : first + count] if _is_in(each, frame))])
        tree += 1
    return found


def descend(nodes: tuple[int, ...], node: int, frame: Frame) -> int:
    """The leaf that the frame comes to."""
    for _ in range(MOST_CUTS):
        if node & LEAF:
            break
        left, right = (node >> at & SHIFT_MASK for at in (LEFT_AT, RIGHT_AT))
        node = nodes[(node & FIRST_MASK) + ((frame[node >> WORD_AT & 7] << left & _ALL_ONES) >> right)]
    assert node & LEAF
    return node


def _is_in(record: tuple[int, ...], frame: Frame) -> bool:
    """With the guards, as layout.py says it."""
    *addresses, low, high = record
    inside = (high - frame[-1]) & ((frame[-1] | GUARDS) - low) & GUARDS
    pairs = zip(frame, addresses[::2], addresses[1::2], strict=False)
    return inside == GUARDS and all((word ^ value) & mask == 0 for word, value, mask in pairs)


def _number_of(record: tuple[int, ...]) -> int:
    return record[-1] >> NUMBER_AT << NUMBER_HALF | record[-2] >> NUMBER_AT

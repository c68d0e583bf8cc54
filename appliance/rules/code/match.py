"""Conditions as branches: each goes on where it holds, and leaves for a block of the caller's where it doesn't.

Ranges become a balanced tree of compares: `n` ranges cost about log2(n) of them. What is too large for that becomes a
map, whose contents travel beside the object.
"""

from __future__ import annotations

from llvmlite import ir

from appliance.ir import I32, I64, I128, U1, U64, Code, N, Number, Pointer
from appliance.rules.code.bpf_module import BpfModule
from appliance.rules.code.fields import Numbers
from appliance.rules.code.lookups.live_sets import LiveSetMatching
from appliance.rules.code.lookups.set_maps import LOW_HALF, SetMaps
from appliance.rules.conditions import (
    BitTest,
    Condition,
    HasBits,
    InAddresses,
    InCombinations,
    InRanges,
    InSets,
    NoneInRanges,
    layers,
)
from appliance.rules.layers import PRESENCE, AnyLayer
from appliance.rules.matchers import version_of
from appliance.rules.ranges import Ranges
from appliance.rules.values import Addresses, OptionKind

_ORDER = list(PRESENCE)
MOST_COMPARES = 64  # ranges; a larger set is a map
_LOOKUP = 30  # compares that one in a live set's map is worth
LARGEST_IN_BITMAP = 0xFFFF  # 8 KiB of bits; sets with a number above it are tries


class Matching:
    """Writes the conditions of rules into one function. For one thread."""

    def __init__(self, module: BpfModule, code: Code, fields: Numbers, sets: SetMaps) -> None:
        self.module = module
        self.code = code
        self.fields = fields
        self.sets = sets
        self.key = code.buffer(-(-sets.largest_key // 8) * 8)  # of a set's map: a trie's data begins at 4
        self.live = LiveSetMatching(self)

    def block(self, name: str) -> ir.Block:
        return self.code.function.append_basic_block(name)

    def unless(self, condition: U1, otherwise: ir.Block) -> None:
        """Leave for `otherwise` unless the condition holds."""
        go_on = self.block("holds")
        self.code.builder.cbranch(condition, go_on, otherwise)
        self.code.builder.position_at_end(go_on)

    def conditions(self, conditions: tuple[Condition, ...], otherwise: ir.Block) -> None:
        """Leave for `otherwise` unless every condition holds; what tells most frames apart comes first."""
        needed = {layer for condition in conditions for layer in layers(condition)}
        for layer in sorted(needed, key=_ORDER.index, reverse=True):
            self.presence(layer, otherwise)
        for condition in sorted(conditions, key=cost):
            if isinstance(condition, HasBits):
                for test in condition.tests:
                    self.unless(self._bits(self.fields[condition.matcher.fields[0]], test), otherwise)
            elif isinstance(condition, InAddresses):
                self.addresses(condition.matcher.fields[0], condition.addresses, otherwise)
            elif isinstance(condition, InSets):
                self.live.in_sets(condition, otherwise)
            elif isinstance(condition, InCombinations):
                self.live.in_combinations(condition, otherwise)
            elif isinstance(condition.matcher.kind, OptionKind):
                self._options(condition, otherwise)
            elif isinstance(condition, NoneInRanges):
                self._none_in_ranges(condition, otherwise)
            else:
                self._ranges(condition, otherwise)

    def presence(self, layer: AnyLayer, otherwise: ir.Block) -> None:
        """Leave for `otherwise` unless the frame has that layer."""
        needed = PRESENCE[layer]
        if needed is not None:
            self.unless(self.code.compare(self.fields[needed.field], needed.relation, needed.number), otherwise)

    def _bits(self, value: N, test: BitTest) -> U1:
        return self.code.compare(self.code.and_(value, test.mask), "!=" if test.negated else "==", test.wanted)

    def _options(self, condition: InRanges | NoneInRanges, otherwise: ir.Block) -> None:
        """Of the types that are there, one lies in the ranges, or none does."""
        code, matcher = self.code, condition.matcher
        assert isinstance(matcher.kind, OptionKind)
        found: U64 = code.value(0, I64)
        for field, mask in zip(matcher.fields, matcher.kind.words(condition.ranges), strict=True):
            found = code.or_(found, code.and_(self.fields[field], mask)) if mask else found
        self.unless(code.compare(found, "!=" if isinstance(condition, InRanges) else "==", 0), otherwise)

    def _ranges(self, condition: InRanges, otherwise: ir.Block) -> None:
        found = self.block("found")
        for field in condition.matcher.fields:
            other = self.block("other")
            self.tree(self.fields[field], condition.ranges, found, other)
            self.code.builder.position_at_end(other)
        self.code.builder.branch(otherwise)
        self.code.builder.position_at_end(found)

    def _none_in_ranges(self, condition: NoneInRanges, otherwise: ir.Block) -> None:
        for field in condition.matcher.fields:
            other = self.block("other")
            self.tree(self.fields[field], condition.ranges, otherwise, other)
            self.code.builder.position_at_end(other)

    def addresses(self, side: str, addresses: Addresses, otherwise: ir.Block) -> None:
        """Leave for `otherwise` unless the frame's `source` or `destination` is among the addresses."""
        found, not_v4 = self.block("found"), self.block("not_v4")
        version = self.fields[version_of(side)]
        if addresses.v4:
            self.unless(self.code.compare(version, "==", 4), not_v4)
            self.family(side, 4, addresses.v4, found, otherwise)
        else:
            self.code.builder.branch(not_v4)
        self.code.builder.position_at_end(not_v4)
        if addresses.v6:
            self.unless(self.code.compare(version, "==", 6), otherwise)
            self.family(side, 6, addresses.v6, found, otherwise)
        else:
            self.code.builder.branch(otherwise)
        self.code.builder.position_at_end(found)

    def family(self, side: str, family: int, ranges: Ranges, found: ir.Block, otherwise: ir.Block) -> None:
        """Where a frame of that family goes by its `source` or `destination`."""
        code = self.code
        high, low = self.fields[f"{side}_high"], self.fields[f"{side}_low"]
        if len(ranges) > MOST_COMPARES:
            return self._trie(family, ranges, high, low, found, otherwise)
        if family == 4:
            return self.tree(code.resize(low, I32), ranges, found, otherwise)
        if all(a & LOW_HALF == 0 and b & LOW_HALF == LOW_HALF for a, b in ranges):
            return self.tree(high, tuple((a >> 64, b >> 64) for a, b in ranges), found, otherwise)
        value = code.or_(code.shl(code.resize(high, I128), 64), code.resize(low, I128))
        return self.tree(value, ranges, found, otherwise)

    def tree(self, value: N, ranges: Ranges, found: ir.Block, otherwise: ir.Block) -> None:
        """Go to `found` if the value is in the ranges, else to `otherwise`."""
        code = self.code
        if len(ranges) > MOST_COMPARES:
            is_small = ranges[-1][1] <= LARGEST_IN_BITMAP
            return (self._bitmap if is_small else self._number_trie)(value, ranges, found, otherwise)
        if not ranges:
            code.builder.branch(otherwise)
            return None
        if len(ranges) == 1:
            code.builder.cbranch(self._in(value, *ranges[0]), found, otherwise)
            return None
        middle = len(ranges) // 2
        below, above = self.block("below"), self.block("above")
        code.builder.cbranch(code.compare(value, "<", ranges[middle][0]), below, above)
        code.builder.position_at_end(below)
        self.tree(value, ranges[:middle], found, otherwise)
        code.builder.position_at_end(above)
        return self.tree(value, ranges[middle:], found, otherwise)

    def _in(self, value: N, low: int, high: int) -> U1:
        code = self.code
        maximum = (1 << value.type.width) - 1
        if low == high:
            return code.compare(value, "==", low)
        if low == 0:
            return code.compare(value, "<=", min(high, maximum))
        if high >= maximum:
            return code.compare(value, ">=", low)
        return code.compare(code.sub(value, low), "<=", high - low)

    def _trie(self, family: int, ranges: Ranges, high: U64, low: U64, found: ir.Block, otherwise: ir.Block) -> None:
        code = self.code
        if family == 4:
            trie = self.sets.trie("set4", ranges, 32)
            code.store(code.swap_bytes(code.resize(low, I32)), code.at(self.key, 4), align=4)
            return self.ask_trie(trie, 32, found, otherwise)
        trie = self.sets.trie("set6", ranges, 128)
        self._key_half(4, high)
        self._key_half(12, low)
        return self.ask_trie(trie, 128, found, otherwise)

    def _number_trie(self, value: Number, ranges: Ranges, found: ir.Block, otherwise: ir.Block) -> None:
        """Numbers of up to 64 bits that are too large for a bitmap: MAC addresses, lengths."""
        trie = self.sets.trie("nums", ranges, 64)
        self._key_half(4, self.code.resize(value, I64))
        self.ask_trie(trie, 64, found, otherwise)

    def _key_half(self, offset: int, number: U64) -> None:
        """64 bits of a trie's key, in network order, by quarters of an address: the key is aligned for no more."""
        code = self.code
        swapped = code.swap_bytes(number)
        code.store(code.resize(swapped, I32), code.at(self.key, offset), align=4)
        code.store(code.resize(code.shr(swapped, 32), I32), code.at(self.key, offset + 4), align=4)

    def ask_trie(self, trie: Pointer, bits: int, found: ir.Block, otherwise: ir.Block) -> None:
        """Go to `found` if the trie has a prefix of the number in the key."""
        code = self.code
        code.store(ir.Constant(I32, bits), self.key, align=4)
        value = self.module.helper(code, "map_lookup_elem", trie, self.key)
        code.builder.cbranch(code.is_null(value), otherwise, found)

    def _bitmap(self, value: Number, ranges: Ranges, found: ir.Block, otherwise: ir.Block) -> None:
        code = self.code
        bitmap = self.sets.bitmap("bits", ranges)
        code.store(code.shr(code.resize(value, I32), 6), self.key, align=4)
        word = self.module.helper(code, "map_lookup_elem", bitmap, self.key)
        self.unless(code.compare(code.integer(word), "!=", 0), otherwise)
        bit = code.shr(code.load(word, I64, align=8), code.and_(code.resize(value, I64), 63))
        code.builder.cbranch(code.compare(code.and_(bit, 1), "!=", 0), found, otherwise)


def cost(condition: Condition) -> int:
    """Roughly how many compares a condition takes."""
    if isinstance(condition, HasBits):
        return len(condition.tests)
    if isinstance(condition, InSets):
        return _LOOKUP * len(condition.matcher.fields) * sum(1 + len(each.sets) for each in condition.memberships)
    if isinstance(condition, InCombinations):
        return _LOOKUP * len(condition.sets)
    if isinstance(condition, InAddresses):
        v4, v6 = condition.addresses.v4, condition.addresses.v6
        return 1 + 2 * min(len(v4), MOST_COMPARES) + 4 * min(len(v6), MOST_COMPARES)
    return len(condition.matcher.fields) * min(len(condition.ranges), MOST_COMPARES)

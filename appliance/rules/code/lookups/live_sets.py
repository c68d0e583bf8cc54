"""Conditions on live sets: the frame's values become a key, and the set's map is asked.

    constants? ──no──> key ── map_lookup_elem ── null? ──> the next set … ──> it doesn't hold
        └─────────────────────────└──────────────────────> it holds

A set of addresses has a map for each IP family, and so is a frame of that family alone a reason to ask it. The key is
built on the stack, dense, as `rules.sets.elements` draws it, so that its parts are aligned for two bytes, or four.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from llvmlite import ir

from appliance.ir import I16, I32, I64, U1, Code, N, Number, Pointer
from appliance.rules.code.fields import Numbers
from appliance.rules.code.lookups.set_maps import SetMaps
from appliance.rules.conditions import InCombinations, InSets, Membership
from appliance.rules.layers import OUTER
from appliance.rules.matchers import ABSENT_NUMBERS, Matcher, version_of
from appliance.rules.ranges import Ranges
from appliance.rules.sets.elements import Part
from appliance.rules.values import Addresses, AddressKind

# fields of two halves; an IPv4 address is in the low one
ADDRESSES = frozenset({"source", "destination", f"{OUTER}source", f"{OUTER}destination"})
NO_ADDRESS = (0,)  # the families of a set whose elements hold none


class Branches(Protocol):
    """What conditions on live sets stand on, as `match.Matching` writes it. `key` is room for a key of any set."""

    code: Code
    fields: Numbers
    sets: SetMaps
    key: Pointer

    def block(self, name: str) -> ir.Block: ...

    def unless(self, condition: U1, otherwise: ir.Block) -> None: ...

    def addresses(self, side: str, addresses: Addresses, otherwise: ir.Block) -> None: ...

    def tree(self, value: N, ranges: Ranges, found: ir.Block, otherwise: ir.Block) -> None: ...

    def ask_trie(self, trie: Pointer, bits: int, found: ir.Block, otherwise: ir.Block) -> None: ...


class LiveSetMatching:
    """Writes the conditions on live sets into one function. For one thread."""

    def __init__(self, matching: Branches) -> None:
        self.matching = matching
        self.code = matching.code
        self.fields = matching.fields

    def in_sets(self, condition: InSets, otherwise: ir.Block) -> None:
        """Leave for `otherwise` unless one of the fields has every membership; or, negated, if one has."""
        block, builder = self.matching.block, self.code.builder
        found = block("found")
        for field in condition.matcher.fields:
            other = block("other")
            if field in ABSENT_NUMBERS:  # which a set may hold: it is asked in wider numbers than the field's
                self.matching.unless(self.code.compare(self.fields[field], "!=", ABSENT_NUMBERS[field]), other)
            for membership in condition.memberships:
                member = block("member")
                self._membership(condition.matcher, field, membership, member, other)
                builder.position_at_end(member)
            builder.branch(found)
            builder.position_at_end(other)
        self._branch_on(found, condition.negated, otherwise)

    def in_combinations(self, condition: InCombinations, otherwise: ir.Block) -> None:
        """Leave for `otherwise` unless the fields are an element of one of the sets; or, negated, if they are."""
        found = self.matching.block("found")
        fields = [matcher.fields[0] for matcher in condition.matchers]
        for name in condition.sets:
            self._ask_each(name, condition.matchers, fields, found)
        self._branch_on(found, condition.negated, otherwise)

    def _branch_on(self, found: ir.Block, negated: bool, otherwise: ir.Block) -> None:
        """What is written next is reached where the condition holds. It is found in `found`, and not where we are."""
        builder = self.code.builder
        if not negated:
            builder.branch(otherwise)
            builder.position_at_end(found)
            return
        holds = self.matching.block("holds")
        builder.branch(holds)
        builder.position_at_end(found)
        builder.branch(otherwise)
        builder.position_at_end(holds)

    def _membership(
        self, matcher: Matcher, field: str, wanted: Membership, found: ir.Block, otherwise: ir.Block
    ) -> None:
        """Go to `found` if the field is among the constants or in one of the sets, else to `otherwise`."""
        matching, builder = self.matching, self.code.builder
        unlisted = matching.block("unlisted")
        if isinstance(wanted.constants, Addresses):
            matching.addresses(field, wanted.constants, unlisted)
            builder.branch(found)
        else:
            matching.tree(self.fields[field], wanted.constants, found, unlisted)
        builder.position_at_end(unlisted)
        for name in wanted.sets:
            self._ask_each(name, (matcher,), (field,), found)
        builder.branch(otherwise)

    def _ask_each(self, name: str, matchers: Sequence[Matcher], fields: Sequence[str], found: ir.Block) -> None:
        """Go to `found` if the set has the values; what is written next is reached if it hasn't."""
        families = _families(matchers)
        if not any(matcher.holds_both_families for matcher in matchers):
            self.ask(name, fields, families[0], found)  # an address that isn't the packet's own is IPv4's
            return
        missing = self.matching.block("missing")
        versions = {version_of(field) for field in fields if field in ADDRESSES}
        for family in families:
            other = self.matching.block("other")
            for version in sorted(versions):
                self.matching.unless(self.code.compare(self.fields[version], "==", family), other)
            self.ask(name, fields, family, found)
            self.code.builder.branch(missing)
            self.code.builder.position_at_end(other)
        self.code.builder.branch(missing)
        self.code.builder.position_at_end(missing)

    def ask(self, name: str, fields: Sequence[str], family: int, found: ir.Block) -> None:
        """The same for a frame that is known to be of that IP family, or for values without an address (0). `fields`
        are in the order of the set's types."""
        matching = self.matching
        map_, part = matching.sets.live(name, family)
        order = matching.sets.type_of(name).order
        missing = matching.block("missing")
        self._write_key([fields[number] for number in order], part)
        matching.ask_trie(map_, 8 * sum(part.widths), found, missing)
        self.code.builder.position_at_end(missing)

    def _write_key(self, fields: Sequence[str], part: Part) -> None:
        offset = 4
        for field, width in zip(fields, part.widths, strict=True):
            if width == 16:
                self._put(self.fields[f"{field}_high"], offset, 8)
                self._put(self.fields[f"{field}_low"], offset + 8, 8)
            else:
                self._put(self.fields[f"{field}_low" if field in ADDRESSES else field], offset, width)
            offset += width

    def _put(self, value: Number, offset: int, width: int) -> None:
        """The low `width` bytes of the value in network order, by pieces of four or two bytes."""
        code, key = self.code, self.matching.key
        swapped = code.swap_bytes(code.shl(code.resize(value, I64), 64 - 8 * width))
        for at in range(0, width, 4):
            rest, place, align = code.shr(swapped, 8 * at), code.at(key, offset + at), 4 if offset % 4 == 0 else 2
            if width - at >= 4:
                code.store(code.resize(rest, I32), place, align=align)
            else:
                code.store(code.resize(rest, I16), place, align=align)


def _families(matchers: Sequence[Matcher]) -> tuple[int, ...]:
    """The IP families that a frame may be of where all these fields are."""
    kinds = [matcher.kind for matcher in matchers if isinstance(matcher.kind, AddressKind)]
    return tuple(family for family in (4, 6) if all(family in kind.families for kind in kinds)) if kinds else NO_ADDRESS

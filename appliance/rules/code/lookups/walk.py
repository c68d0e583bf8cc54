"""The code that asks a table: two functions for each, as large for a million rules as for ten.

    walk(words …) -> the lowest number of a rule that matches, or NOTHING
        for every tree, until it has no lower number than what was found: ask it

    tree(words …) -> the lowest number in one tree
        node = its root
        while it is a cut:  node = nodes[first child + (word << left) >> right]
        for every record of that leaf:  does all of it hold?  then its number is the answer

Every loop has a constant end, which the builder keeps (layout.MOST_…), and every place is looked up in an array, which
gives null beyond its end: that is all that a verifier must know, and it knows it without the contents. What is wrong in
the contents can make a wrong answer, and nothing else. Both are global functions: Linux proves each of them once, and
not for every way that leads to it. They have five parameters at most, so the tree's number stands in the last word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from appliance.ir import I32, I64, U1, U64, Code, Pointer
from appliance.rules.classifier import layout
from appliance.rules.classifier.layout import DESTINATION, PROTOCOL, SOURCE, V4, Family
from appliance.rules.code.bpf_module import BpfModule
from appliance.rules.code.fields import Fields
from appliance.rules.code.lookups.branchless import lower, sign


@dataclass(frozen=True, slots=True)
class TableMaps:
    """The maps of a table, as helpers take them."""

    nodes: Pointer
    records: Pointer


def frame_words(code: Code, fields: Fields, family: Family) -> list[U64]:
    """What a frame of that family is to a table (classifier.layout)."""
    first = code.or_(code.resize(fields["source_port"], I64), code.resize(fields["icmp_type"], I64))
    second = code.or_(code.resize(fields["destination_port"], I64), code.resize(fields["icmp_code"], I64))
    is_there = code.resize(code.compare(fields["transport"], "!=", 0), I64)
    protocol = code.or_(code.shl(code.resize(fields["protocol"], I64), 1), is_there)
    rest = code.or_(
        code.or_(code.shl(first, SOURCE.at), code.shl(second, DESTINATION.at)), code.shl(protocol, PROTOCOL.at)
    )
    if family is V4:
        low = code.and_(fields["destination_low"], (1 << 32) - 1)
        return [code.or_(code.shl(fields["source_low"], 32), low), rest]
    return [*(fields[f"{side}_{half}"] for side in ("source", "destination") for half in ("high", "low")), rest]


def define_walk(module: BpfModule, name: str, maps: TableMaps, family: Family) -> ir.Function:
    """Write the functions that ask that table, and give the one to call."""
    words = [f"word{number}" for number in range(family.words)]
    tree = module.global_function(f"{name}_tree", words)
    _Tree(module, tree, maps, family).write()
    code = module.global_function(name, words)
    out = code.function.append_basic_block("out")
    asked = _Arrays(module, code, out)
    found = code.variable(I64, layout.NOTHING)
    with code.count(layout.MOST_TREES) as number:
        head = code.shl(number, 1)
        asked.leave_if(code.compare(found.get(), "<=", asked.number(maps.nodes, head)))
        rest = code.or_(code[words[-1]], code.shl(code.add(head, 1), layout.NUMBER_AT))
        found.set(lower(code, found.get(), code.call(tree.function, *(code[word] for word in words[:-1]), rest)))
    code.builder.branch(out)
    code.builder.position_at_end(out)
    code.ret(found.get())
    return code.function


class _Arrays:
    """Reads the maps of a table; leaves for `out` beyond their ends, where none leads. For one thread."""

    def __init__(self, module: BpfModule, code: Code, out: ir.Block) -> None:
        self.module = module
        self.code = code
        self.out = out
        self.key = code.buffer(4, align=4)

    def value(self, map_: Pointer, index: U64) -> Pointer:
        code = self.code
        code.store(code.resize(index, I32), self.key, align=4)
        value: Pointer = self.module.helper(code, "map_lookup_elem", map_, self.key)
        self.leave_if(code.is_null(value))
        return value

    def number(self, map_: Pointer, index: U64) -> U64:
        return self.code.load(self.value(map_, index), I64, align=8)

    def leave_if(self, condition: U1) -> None:
        go_on = self.code.function.append_basic_block("on")
        self.code.builder.cbranch(condition, self.out, go_on)
        self.code.builder.position_at_end(go_on)


class _Tree:
    """The function that asks one tree, being written. For one thread."""

    def __init__(self, module: BpfModule, code: Code, maps: TableMaps, family: Family) -> None:
        self.code = code
        self.maps = maps
        self.family = family
        *addresses, last = (code[f"word{number}"] for number in range(family.words))
        self.words = [*addresses, code.and_(last, (1 << layout.NUMBER_AT) - 1)]
        self.root = code.shr(last, layout.NUMBER_AT)
        self.out = code.function.append_basic_block("out")
        self.arrays = _Arrays(module, code, self.out)

    def write(self) -> None:
        code = self.code
        leaf = code.function.append_basic_block("leaf")
        node = code.variable(I64, self.arrays.number(self.maps.nodes, self.root))
        with code.count(layout.MOST_CUTS):
            go_on = code.function.append_basic_block("cut")
            code.builder.cbranch(code.compare_signed(node.get(), "<", 0), leaf, go_on)
            code.builder.position_at_end(go_on)
            node.set(self.arrays.number(self.maps.nodes, self._child(node.get())))
        code.builder.branch(leaf)
        code.builder.position_at_end(leaf)
        self._compare(node.get())
        code.builder.branch(self.out)
        code.builder.position_at_end(self.out)
        code.ret(layout.NOTHING)

    def _child(self, node: U64) -> U64:
        """The index of the child that a cut leads to."""
        code = self.code
        left, right = (code.and_(code.shr(node, at), layout.SHIFT_MASK) for at in (layout.LEFT_AT, layout.RIGHT_AT))
        return code.add(code.and_(node, layout.FIRST_MASK), code.shr(code.shl(self._word(node), left), right))

    def _word(self, node: U64) -> U64:
        """The word that a node cuts: the bits of its number choose, by arithmetic: nobody foretells such a branch."""
        code = self.code
        row: Sequence[U64] = self.words
        for bit in range((len(self.words) - 1).bit_length()):
            chosen = sign(code, code.shl(node, 63 - layout.WORD_AT - bit))
            pairs = [row[place : place + 2] for place in range(0, len(row), 2)]
            row = [
                code.xor(pair[0], code.and_(code.xor(pair[0], pair[1]), chosen)) if len(pair) == 2 else pair[0]
                for pair in pairs
            ]
        return row[0]

    def _compare(self, leaf: U64) -> None:
        """Answer with the first record of the leaf that holds, if there is one."""
        code = self.code
        count = code.and_(code.shr(leaf, layout.COUNT_AT), layout.COUNT_MASK)
        first = code.and_(leaf, layout.FIRST_MASK)
        with code.count(layout.MOST_RECORDS) as number:
            self.arrays.leave_if(code.compare(number, ">=", count))
            record = self.arrays.value(self.maps.records, code.add(first, number))
            numbers = [code.load(code.at(record, 8 * place), I64, align=8) for place in range(2 * self.family.words)]
            with code.if_(code.compare(self._missing(numbers), "==", 0)):
                upper = code.shl(code.shr(numbers[-1], layout.NUMBER_AT), layout.NUMBER_HALF)
                code.ret(code.or_(upper, code.shr(numbers[-2], layout.NUMBER_AT)))

    def _missing(self, record: Sequence[U64]) -> U64:
        """0 if the frame is in the box of that record."""
        code = self.code
        low, high = record[-2:]
        rest = self.words[-1]
        inside = code.and_(code.sub(high, rest), code.sub(code.or_(rest, layout.GUARDS), low))
        missing: U64 = code.xor(code.and_(inside, layout.GUARDS), layout.GUARDS)
        for word, value, mask in zip(self.words[:-1], record[0:-2:2], record[1:-2:2], strict=True):
            missing = code.or_(missing, code.and_(code.xor(word, value), mask))
        return missing

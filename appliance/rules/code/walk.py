"""The code that asks a table: one function for each, as large for a million rules as for ten.

    walk(words …) -> the lowest number of a rule that matches, or NOTHING

    for every tree, whose lowest number is below what was found
        node = its root
        until the node is a leaf:  node = nodes[first child + (word << left) >> right]
        for every record of the leaf:  all of it holds?  ── what was found is its number, on to the next tree

Every loop has a constant end, which the builder keeps (layout.MOST_*), and every place is looked up in an array, which
gives null beyond its end: that is all that a verifier must know, and it knows it without the contents. What is wrong in
the contents can make a wrong answer, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from appliance.ir import I32, I64, Code, Value
from appliance.rules.classifier import layout
from appliance.rules.classifier.layout import DESTINATION, PROTOCOL, SOURCE, V4, Family
from appliance.rules.code.bpf_module import BpfModule
from appliance.rules.code.fields import Fields


@dataclass(frozen=True, slots=True)
class TableMaps:
    """The maps of a table, as helpers take them."""

    nodes: Value
    records: Value


def frame_words(code: Code, fields: Fields, family: Family) -> list[Value]:
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
    """Write the function that asks that table."""
    code = module.subprogram(name, inline=False, **{f"word{number}": I64 for number in range(family.words)})
    _Walk(module, code, maps, family).write()
    return code.function


class _Walk:
    """One such function being written. For one thread."""

    def __init__(self, module: BpfModule, code: Code, maps: TableMaps, family: Family) -> None:
        self.module = module
        self.code = code
        self.maps = maps
        self.family = family
        self.words = [code[f"word{number}"] for number in range(family.words)]
        self.key = code.buffer(4, align=4)
        self.found = code.variable(I64, layout.NOTHING)
        self.node = code.variable(I64)

    def write(self) -> None:
        code = self.code
        out = code.function.append_basic_block("out")
        with code.count(layout.MOST_TREES) as tree:
            head = code.shl(tree, 1)
            lowest = code.load(self._lookup(self.maps.nodes, head, out), I64, align=8)
            self._leave_if(code.compare(self.found.get(), "<=", lowest), out)
            self._descend(code.add(head, 1), out)
            self._compare(out)
        code.builder.branch(out)
        code.builder.position_at_end(out)
        code.ret(self.found.get())

    def _descend(self, root: Value, out: ir.Block) -> None:
        """From the root to a leaf."""
        code = self.code
        index = code.variable(I64, root)
        leaf = code.function.append_basic_block("leaf")
        with code.count(layout.MOST_CUTS + 1):
            node = code.load(self._lookup(self.maps.nodes, index.get(), out), I64, align=8)
            self.node.set(node)
            self._leave_if(code.compare_signed(node, "<", 0), leaf)
            left, right = (code.and_(code.shr(node, at), layout.SHIFT_MASK) for at in (layout.LEFT_AT, layout.RIGHT_AT))
            child = code.shr(code.shl(self._word(node), left), right)
            index.set(code.add(code.resize(code.resize(node, I32), I64), child))
        code.builder.branch(out)
        code.builder.position_at_end(leaf)

    def _word(self, node: Value) -> Value:
        """The word that a node cuts: the bits of its number choose, by arithmetic: nobody foretells such a branch."""
        code = self.code
        row: Sequence[Value] = self.words
        for bit in range((len(self.words) - 1).bit_length()):
            shifted = code.shl(node, 63 - layout.WORD_AT - bit)
            chosen = code.builder.ashr(shifted, ir.Constant(I64, 63))
            pairs = [row[place : place + 2] for place in range(0, len(row), 2)]
            row = [
                code.xor(pair[0], code.and_(code.xor(pair[0], pair[1]), chosen)) if len(pair) == 2 else pair[0]
                for pair in pairs
            ]
        return row[0]

    def _compare(self, out: ir.Block) -> None:
        """The records of the leaf, until one holds."""
        code = self.code
        node = self.node.get()
        first, count = code.resize(code.resize(node, I32), I64), code.shr(node, layout.COUNT_AT)
        count = code.and_(count, layout.COUNT_MASK)
        done = code.function.append_basic_block("done")
        with code.count(layout.MOST_RECORDS) as number:
            self._leave_if(code.compare(number, ">=", count), done)
            record = self._lookup(self.maps.records, code.add(first, number), out)
            numbers = [code.load(code.at(record, 8 * place), I64, align=8) for place in range(2 * self.family.words)]
            differ = [
                code.and_(code.xor(word, value), mask)
                for word, value, mask in zip(self.words, numbers[0:-2:2], numbers[1:-2:2], strict=False)
            ]
            low, high = numbers[-2:]
            rest = self.words[-1]
            above = code.sub(high, rest)
            below = code.sub(code.or_(rest, layout.GUARDS), low)
            missing = code.xor(code.and_(code.and_(above, below), layout.GUARDS), layout.GUARDS)
            for each in differ:
                missing = code.or_(missing, each)
            with code.if_(code.compare(missing, "==", 0)):
                upper = code.shl(code.shr(high, layout.NUMBER_AT), layout.NUMBER_HALF)
                found = code.or_(upper, code.shr(low, layout.NUMBER_AT))
                with code.if_(code.compare(found, "<", self.found.get())):
                    self.found.set(found)
                code.builder.branch(done)
        code.builder.branch(done)
        code.builder.position_at_end(done)

    def _lookup(self, map_: Value, index: Value, out: ir.Block) -> Value:
        """The value at that index; leaves for `out` beyond the end, where no table leads."""
        code = self.code
        code.store(code.resize(index, I32), self.key, align=4)
        value = self.module.helper(code, "map_lookup_elem", map_, self.key)
        self._leave_if(code.is_null(value), out)
        return value

    def _leave_if(self, condition: Value, out: ir.Block) -> None:
        go_on = self.code.function.append_basic_block("on")
        self.code.builder.cbranch(condition, out, go_on)
        self.code.builder.position_at_end(go_on)

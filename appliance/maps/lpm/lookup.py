"""Reading an LPM trie: the parts of its memory, and the longest match.

Readers take no lock and never wait. Every change of the trie is one store of one link (or of one node's `prefix`), so
what a reader walks through is the trie before or after it; and a node is not changed otherwise while it is linked. Only
a node that was freed and used again can lead astray: freeing makes `sequence` grow before the node is written, and a
reader that finds it grown starts again. Until it looks, it follows only links to longer prefixes, so that its walk ends
whatever it reads.

The orderings, on any machine:

    writer                                reader
    link: store release                   sequence: load acquire
    sequence: add (what unlinked it       links: load acquire ─> the whole node
      comes before)                       what is in nodes: load monotonic
    fence release                         fence acquire
    what is in the node: store monotonic  sequence: load: grown if anything of a node came from behind the fence
"""

from __future__ import annotations

import errno

from llvmlite import ir

from appliance.ir import I32, I64, PTR, U32, U64, Code, Field, Number, Pointer, lock
from appliance.maps.kind import Shape, Weight, define, internal
from appliance.maps.lpm.bits import bit_at, common_length, first_bits, load_bits
from appliance.maps.lpm.layout import ENTRY, LENGTH_SIZE, Node, TrieHeader, TrieLayout

NULL = ir.Constant(PTR, None)


class Trie:
    """Names the parts of one shape's memory in generated code. A *place* is the address of a link. For one thread."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.layout = TrieLayout.of(shape)

    def node(self, code: Code, map: Pointer, number: U32) -> Pointer:
        """The address of a node; numbers begin at 1."""
        offset = code.mul(code.resize(number, I64), self.layout.node_size)
        return code.at(map, code.add(offset, self.layout.nodes - self.layout.node_size))

    def link(self, code: Code, place: Pointer) -> Field[U32]:
        return Field(code, place, I32, 4)

    def entry(self, code: Code, map: Pointer, id: Number) -> Field[U32]:
        """Where an id says its node. Ids begin at 1."""
        return Field(code, code.at(map, code.add(code.mul(code.resize(id, I64), 4), self.layout.ids - 4)), I32, 4)

    def child(self, code: Code, node: Pointer, bit: U64) -> Pointer:
        """The place of one of the node's two links."""
        return code.at(code.field(node, Node, "children").address, code.mul(bit, 4))

    def bits(self, code: Code, node: Pointer) -> Pointer:
        return code.at(node, self.layout.bits)

    def value(self, code: Code, node: Pointer) -> Pointer:
        return code.at(node, self.layout.value)

    def shallow(self, code: Code, map: Pointer) -> Pointer:
        """The place of the root of the prefixes that are shorter than root_bits."""
        return code.field(map, TrieHeader, "shallow").address

    def root(self, code: Code, map: Pointer, bits: Pointer) -> Pointer:
        """The place of the root for prefixes that begin like `bits`, and are not shorter than root_bits."""
        number = first_bits(code, bits, self.layout.root_bits)
        return code.at(map, code.add(code.mul(number, 4), self.layout.roots))

    def key_length(self, code: Code, key: Pointer) -> U32:
        return code.load(key, I32)

    def key_bits(self, code: Code, key: Pointer) -> Pointer:
        """The key's data as bits, on the function's stack."""
        bits = code.buffer(8 * self.layout.words)
        load_bits(code, code.at(key, LENGTH_SIZE), self.layout.data_size, bits)
        return bits


def emit_read(module: ir.Module, trie: Trie, lookup: ir.Function) -> None:
    """Copied under the lock: no update gives the node to another entry meanwhile."""
    code = define(module, trie.shape, "read")
    mutex = code.field(code["map"], TrieHeader, "lock").address
    lock.acquire(code, mutex)
    value = code.call(lookup, code["map"], code["key"], code["processor"])
    with code.if_(code.is_null(value)):
        lock.release(code, mutex)
        code.ret(-errno.ENOENT)
    code.copy(code["value_out"], value, trie.shape.value_size)
    lock.release(code, mutex)
    code.ret(0)


def emit_lookup(module: ir.Module, trie: Trie) -> ir.Function:
    """The value of the longest prefix that the key begins with, of those that aren't longer than the key says."""
    walk = _emit_walk(module, trie)
    code = define(module, trie.shape, "lookup", Weight.HOT)
    map = code["map"]
    length = trie.key_length(code, code["key"])
    with code.if_(code.compare(length, ">", trie.layout.longest), likely=False):
        code.ret(NULL)
    bits = trie.key_bits(code, code["key"])
    sequence = code.field(map, TrieHeader, "sequence")
    found = code.variable(PTR)
    with code.loop() as loop:
        before = sequence.load_acquire()
        found.set(NULL)
        with code.if_(code.compare(length, ">=", trie.layout.root_bits)):
            found.set(code.call(walk, map, trie.root(code, map, bits), bits, length))
        with code.if_(code.is_null(found.get())):
            found.set(code.call(walk, map, trie.shallow(code, map), bits, length))
        code.builder.fence("acquire")
        loop.break_if(code.compare(sequence.load_monotonic(), "==", before))
    code.ret(found.get())
    return code.function


def _emit_walk(module: ir.Module, trie: Trie) -> ir.Function:
    """walk(map, place, bits, length) -> the value of the longest match in one trie, or null."""
    words = trie.layout.words
    code = internal(
        module,
        f"{trie.shape.name}.walk",
        PTR,
        Weight.INLINE if words <= 2 else Weight.HOT,
        map=PTR,
        place=PTR,
        bits=PTR,
        length=I32,
    )
    map, bits, length = code["map"], code["bits"], code["length"]
    found = code.variable(PTR, NULL)
    place = code.variable(PTR, code["place"])
    least = code.variable(I32, 0)
    with code.loop() as loop:
        number = trie.link(code, place.get()).load_acquire()
        loop.break_if(code.compare(number, "==", 0))
        node = trie.node(code, map, number)
        prefix = code.field(node, Node, "prefix").load_monotonic()
        node_length = code.and_(prefix, ~ENTRY)
        loop.break_if(code.compare(node_length, ">", length))
        loop.break_if(code.compare(node_length, "<", least.get()))
        common = common_length(code, trie.bits(code, node), bits, words)
        loop.break_if(code.compare(common, "<", node_length))
        with code.if_(code.compare(code.and_(prefix, ENTRY), "!=", 0)):
            found.set(trie.value(code, node))
        loop.break_if(code.compare(node_length, "==", length))
        place.set(trie.child(code, node, bit_at(code, bits, words, node_length)))
        least.set(code.add(node_length, 1))
    code.ret(found.get())
    return code.function

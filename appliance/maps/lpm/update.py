"""Changing an LPM trie: one writer at a time, and every change seen at once by readers.

update 10.1/16            place ─> new, with the node's children     a reader has the whole of the old value or the new
insert 10.1/16            no node there      the prefix is above one       they part in between
                          place ─> new       place ─> new ─> node          place ─> branch ─> new, node

delete                    two children       one child                     none; a branch loses its reason
                          no entry any more  place ─> child                above ─> the other child of the branch
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from llvmlite import ir

from appliance.ir import I32, I64, PTR, U1, U32, VOID, Code, Pointer, Variable, lock
from appliance.maps.kind import Flag, define, internal
from appliance.maps.lpm.bits import bit_at, clear_behind, common_length, copy_prefix, store_bits
from appliance.maps.lpm.layout import ENTRY, FREE, LENGTH_SIZE, RESTING, Node, TrieHeader
from appliance.maps.lpm.lookup import NULL, Trie

WINDOW = 64  # ids that a walk looks at before it lets the lock go


@dataclass(frozen=True, slots=True)
class _Descent:
    """Where the way to a prefix ends: at a link that is 0, at its node, or at a node that differs or is longer."""

    place: Variable[Pointer]  # the link where it ends
    above: Variable[Pointer]  # the link to the node that `place` is in; null at a root
    common: Variable[U32]  # bits that the prefix shares with the node at `place`, at most the length of both


class TrieWriter:
    """Writes update, delete and next for one shape. For one thread."""

    def __init__(self, module: ir.Module, trie: Trie) -> None:
        self.module = module
        self.trie = trie
        self.words = trie.layout.words
        self._take = self._emit_take()
        self._give_back = self._emit_give_back()

    # nodes; the caller holds the lock

    def _emit_take(self) -> ir.Function:
        """take(map) -> the number of a node. There is always one: see `layout`."""
        code = internal(self.module, f"{self.trie.shape.name}.take", I32, map=PTR)
        free, count, fresh = (code.field(code["map"], TrieHeader, name) for name in ("free", "free_count", "fresh"))
        rested = code.compare(count.load(), ">", RESTING)
        with code.if_(code.or_(rested, code.compare(fresh.load(), ">=", self.trie.layout.node_count))):
            number = free.load()
            node = self.trie.node(code, code["map"], number)
            free.store(code.field(node, Node, "children").load())
            count.add(-1)
            code.ret(number)
        fresh.add(1)
        code.ret(fresh.load())
        return code.function

    def _emit_give_back(self) -> ir.Function:
        """give_back(map, number): the node is linked nowhere any more. It goes behind the others that are free."""
        code = internal(self.module, f"{self.trie.shape.name}.give_back", VOID, map=PTR, number=I32)
        map, number = code["map"], code["number"]
        first, last, count = (code.field(map, TrieHeader, name) for name in ("free", "free_last", "free_count"))
        code.atomic_add(code.field(map, TrieHeader, "sequence").address, 1, I32, "acq_rel")
        code.builder.fence("release")
        with code.if_else(code.compare(count.load(), "==", 0)) as (alone, behind):
            with alone:
                first.store(number)
            with behind:
                code.field(self.trie.node(code, map, last.load()), Node, "children").store_monotonic(number)
        last.store(number)
        count.add(1)
        code.ret()
        return code.function

    # ids; the caller holds the lock

    def _take_id(self, code: Code) -> U32:
        """An id that no entry has. There is one, as there are fewer entries than max_entries."""
        map = code["map"]
        free, fresh = (code.field(map, TrieHeader, name) for name in ("free_id", "fresh_id"))
        taken: Variable[U32] = code.variable(I32, free.load())
        with code.if_else(code.compare(taken.get(), "==", 0)) as (none_free, one_free):
            with none_free:
                fresh.add(1)
                taken.set(fresh.load())
            with one_free:
                free.store(code.and_(self.trie.entry(code, map, taken.get()).load(), ~FREE))
        return taken.get()

    def _give_back_id(self, code: Code, id: U32) -> None:
        free = code.field(code["map"], TrieHeader, "free_id")
        self.trie.entry(code, code["map"], id).store(code.or_(free.load(), FREE))
        free.store(id)

    # the way down

    def _start(self, code: Code) -> tuple[U32, Pointer]:
        """Length and bits of the key; returns EINVAL from the operation if the prefix is too long."""
        length = self.trie.key_length(code, code["key"])
        with code.if_(code.compare(length, ">", self.trie.layout.longest), likely=False):
            code.ret(-errno.EINVAL)
        bits = self.trie.key_bits(code, code["key"])
        clear_behind(code, bits, self.words, length)
        return length, bits

    def _descend(self, code: Code, length: U32, bits: Pointer) -> _Descent:
        trie, map = self.trie, code["map"]
        is_deep = code.compare(length, ">=", trie.layout.root_bits)
        root = code.select(is_deep, trie.root(code, map, bits), trie.shallow(code, map))
        way = _Descent(code.variable(PTR, root), code.variable(PTR, NULL), code.variable(I32, 0))
        with code.loop() as loop:
            number = trie.link(code, way.place.get()).load()
            loop.break_if(code.compare(number, "==", 0))
            node = trie.node(code, map, number)
            node_length = code.and_(code.field(node, Node, "prefix").load(), ~ENTRY)
            common = common_length(code, trie.bits(code, node), bits, self.words)
            shorter = code.select(code.compare(node_length, "<", length), node_length, length)
            way.common.set(code.select(code.compare(common, "<", shorter), common, shorter))
            loop.break_if(code.compare(way.common.get(), "<", node_length))
            loop.break_if(code.compare(node_length, "==", length))
            way.above.set(way.place.get())
            way.place.set(trie.child(code, node, bit_at(code, bits, self.words, node_length)))
        return way

    def _end(self, code: Code, way: _Descent) -> tuple[U32, Pointer]:
        """Number and address of the node at the end of the way. If the number is 0, the address is merely readable."""
        number = self.trie.link(code, way.place.get()).load()
        readable = code.select(code.compare(number, "==", 0), 1, number)
        return number, self.trie.node(code, code["map"], readable)

    def _is_exact(self, code: Code, number: U32, node: Pointer, way: _Descent, length: U32) -> U1:
        """Whether the way ended at the very prefix."""
        there = code.compare(number, "!=", 0)
        same_length = code.compare(code.and_(code.field(node, Node, "prefix").load(), ~ENTRY), "==", length)
        return code.and_(there, code.and_(same_length, code.compare(way.common.get(), "==", length)))

    def _is_entry(self, code: Code, node: Pointer) -> U1:
        return code.compare(code.and_(code.field(node, Node, "prefix").load(), ENTRY), "!=", 0)

    def _leave(self, code: Code, status: int) -> None:
        lock.release(code, code.field(code["map"], TrieHeader, "lock").address)
        code.ret(status)

    # update

    def emit_update(self) -> ir.Function:
        code = define(self.module, self.trie.shape, "update")
        map, flags = code["map"], code["flags"]
        with code.if_(code.compare(flags, ">", Flag.EXIST), likely=False):
            code.ret(-errno.EINVAL)
        length, bits = self._start(code)
        lock.acquire(code, code.field(map, TrieHeader, "lock").address)
        way = self._descend(code, length, bits)
        number, node = self._end(code, way)
        exact = self._is_exact(code, number, node, way, length)
        with code.if_(code.and_(exact, self._is_entry(code, node))):
            with code.if_(code.compare(flags, "==", Flag.NOEXIST)):
                self._leave(code, -errno.EEXIST)
            self._replace(code, length, bits, way, code.field(node, Node, "id").load())
        with code.if_(code.compare(flags, "==", Flag.EXIST)):
            self._leave(code, -errno.ENOENT)
        count = code.field(map, TrieHeader, "count")
        with code.if_(code.compare(count.load(), ">=", self.trie.shape.max_entries)):
            self._leave(code, -errno.ENOSPC)
        count.add(1)
        id = self._take_id(code)
        with code.if_(exact):
            self._replace(code, length, bits, way, id)
        self._insert(code, length, bits, way, number, id)
        self._leave(code, 0)
        return code.function

    def _new_entry(self, code: Code, bits: Pointer, length: U32, id: U32) -> tuple[U32, Pointer]:
        """Number and address of the node of the entry that is put in, which readers don't see yet."""
        number, node = self._new_node(code, bits, code.or_(length, ENTRY))
        code.field(node, Node, "id").store(id)
        self.trie.entry(code, code["map"], id).store(number)
        code.copy(self.trie.value(code, node), code["value"], self.trie.shape.value_size)
        return number, node

    def _new_node(self, code: Code, bits: Pointer, prefix: U32) -> tuple[U32, Pointer]:
        """Number and address of a node that nobody sees yet, unless it is too late; its children are 0."""
        number = code.call(self._take, code["map"])
        node = self.trie.node(code, code["map"], number)
        for bit in (0, 1):
            self.trie.link(code, self.trie.child(code, node, ir.Constant(I64, bit))).store_monotonic(0)
        code.field(node, Node, "prefix").store_monotonic(prefix)
        copy_prefix(code, bits, self.words, code.and_(prefix, ~ENTRY), self.trie.bits(code, node))
        return number, node

    def _replace(self, code: Code, length: U32, bits: Pointer, way: _Descent, id: U32) -> None:
        """Return from `update`: the node at the end of the way, which has the prefix, makes room for another."""
        trie, map, link = self.trie, code["map"], self.trie.link(code, way.place.get())
        old = link.load()
        number, node = self._new_entry(code, bits, length, id)
        for bit, child in enumerate(self._children(code, trie.node(code, map, old))):
            trie.link(code, trie.child(code, node, ir.Constant(I64, bit))).store_monotonic(child)
        link.store_release(number)
        code.call(self._give_back, map, old)
        self._leave(code, 0)

    def _insert(self, code: Code, length: U32, bits: Pointer, way: _Descent, number: U32, id: U32) -> None:
        trie, map, place = self.trie, code["map"], way.place.get()
        new_number, new = self._new_entry(code, bits, length, id)
        with code.if_(code.compare(number, "==", 0)):
            trie.link(code, place).store_release(new_number)
            self._leave(code, 0)
        old_bits = trie.bits(code, trie.node(code, map, number))
        common = way.common.get()
        with code.if_(code.compare(common, "==", length)):
            trie.link(code, trie.child(code, new, bit_at(code, old_bits, self.words, length))).store_monotonic(number)
            trie.link(code, place).store_release(new_number)
            self._leave(code, 0)
        branch_number, branch = self._new_node(code, bits, common)
        bit = bit_at(code, bits, self.words, common)
        trie.link(code, trie.child(code, branch, bit)).store_monotonic(new_number)
        trie.link(code, trie.child(code, branch, code.xor(bit, 1))).store_monotonic(number)
        trie.link(code, place).store_release(branch_number)

    # delete

    def emit_delete(self) -> ir.Function:
        code = define(self.module, self.trie.shape, "delete")
        trie, map = self.trie, code["map"]
        length, bits = self._start(code)
        lock.acquire(code, code.field(map, TrieHeader, "lock").address)
        way = self._descend(code, length, bits)
        number, node = self._end(code, way)
        exact = self._is_exact(code, number, node, way, length)
        with code.if_(code.xor(code.and_(exact, self._is_entry(code, node)), 1)):
            self._leave(code, -errno.ENOENT)
        code.field(map, TrieHeader, "count").add(-1)
        self._give_back_id(code, code.field(node, Node, "id").load())
        left, right = self._children(code, node)
        with code.if_(code.and_(code.compare(left, "!=", 0), code.compare(right, "!=", 0))):
            code.field(node, Node, "prefix").store_monotonic(length)
            self._leave(code, 0)
        only_child = code.or_(left, right)
        with (
            code.if_(code.compare(only_child, "==", 0)),
            code.if_(code.xor(code.is_null(way.above.get()), 1)),
        ):
            self._remove_below_branch(code, way, number)
        trie.link(code, way.place.get()).store_release(only_child)
        code.call(self._give_back, map, number)
        self._leave(code, 0)
        return code.function

    def _remove_below_branch(self, code: Code, way: _Descent, number: U32) -> None:
        """If the node above is no entry, its other child takes its place; return from `delete` then."""
        above = self.trie.link(code, way.above.get())
        branch_number = above.load()
        branch = self.trie.node(code, code["map"], branch_number)
        with code.if_(code.builder.not_(self._is_entry(code, branch))):
            left, right = self._children(code, branch)
            above.store_release(code.xor(code.xor(left, right), number))
            code.call(self._give_back, code["map"], number)
            code.call(self._give_back, code["map"], branch_number)
            self._leave(code, 0)

    def _children(self, code: Code, node: Pointer) -> tuple[U32, U32]:
        places = [self.trie.child(code, node, ir.Constant(I64, bit)) for bit in (0, 1)]
        return self.trie.link(code, places[0]).load(), self.trie.link(code, places[1]).load()

    # next

    def emit_next(self) -> ir.Function:
        """Positions are ids, and an entry keeps its id. WINDOW of them are looked at under the lock; then whoever waits
        for it has a turn, as nobody knows how many ids are free one behind the other."""
        code = define(self.module, self.trie.shape, "next")
        trie, map = self.trie, code["map"]
        mutex = code.field(map, TrieHeader, "lock").address
        position = code.variable(I64, code["position"])
        with code.loop():
            lock.acquire(code, mutex)
            end = code.resize(code.field(map, TrieHeader, "fresh_id").load(), I64)
            with code.count(ir.Constant(I64, WINDOW)):
                with code.if_(code.compare(position.get(), ">=", end)):
                    self._leave(code, -errno.ENOENT)
                position.add(1)
                number = trie.entry(code, map, position.get()).load()
                with code.if_(code.compare(code.and_(number, FREE), "==", 0)):
                    self._copy_entry(code, trie.node(code, map, number))
                    lock.release(code, mutex)
                    code.ret(position.get())
            lock.release(code, mutex)
        code.builder.unreachable()
        return code.function

    def _copy_entry(self, code: Code, node: Pointer) -> None:
        trie, key = self.trie, code["key_out"]
        code.store(code.and_(code.field(node, Node, "prefix").load(), ~ENTRY), key)
        store_bits(code, trie.bits(code, node), trie.layout.data_size, code.at(key, LENGTH_SIZE))
        code.copy(code["value_out"], trie.value(code, node), trie.shape.value_size)

"""BPF_MAP_TYPE_LRU_HASH: a hash that, when full, gives up an entry that was not used lately instead of failing.

Which one is decided by a clock (second chance): a hand goes round over the elements in the order of their numbers.
An element that was used since the hand last passed keeps its place and loses its mark; the first unmarked one goes.

              hand                          mark  1 = used since the hand last passed
               v
    [1] [0] [1] [0] [0] [1] …               here the hand clears the third, and takes the fourth

New entries are not marked: a flood of keys that are seen once pushes out itself, and not what is used again and
again. The order depends on nothing but the operations, so that every engine gives up the same entries.
"""

from __future__ import annotations

from functools import cached_property

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.ir import I8, I32, PTR, Code, Value, Variable, lock
from appliance.maps.checks import LRU_FLAGS
from appliance.maps.hash.hash import check_hash
from appliance.maps.hash.layout import Bucket, HashHeader, HashLayout, count, initialise
from appliance.maps.hash.operations import HashOperations
from appliance.maps.kind import HASHED, Kind, Shape, internal
from appliance.maps.memory import Memory


class LruOperations(HashOperations):
    """A hash whose elements begin with a byte that says whether they were used."""

    marks = True

    @cached_property
    def _evict_number(self) -> ir.Function:
        return self._emit_evict_number()

    @cached_property
    def _evict(self) -> ir.Function:
        return self._emit_evict()

    def on_use(self, code: Code, element: Value) -> None:
        """Written only if it changes something, as workers share the line."""
        with code.if_(code.compare(code.load(element, I8), "==", 0)):
            code.store(ir.Constant(I8, 1), element)

    def on_insert(self, code: Code, element: Value) -> None:
        code.store(ir.Constant(I8, 0), element)

    def on_full(self, code: Code, map: Value, spare: Variable) -> None:
        spare.set(code.call(self._evict, map))

    def _emit_evict(self) -> ir.Function:
        """evict(map) -> the number of an element that is the caller's now. No lock may be held.

        With several threads the element under the hand may be in somebody's hands already: then look whether one
        has been given back, and go on.
        """
        code = internal(self.module, f"{self.shape.name}.evict", I32, map=PTR)
        map, pool = code["map"], self.table.pool
        hand = code.field(map, HashHeader, "hand").address
        with code.loop() as loop:
            turns = code.atomic_add(hand, 1)
            entries = code.field(map, HashHeader, "max_entries").load()
            number = code.add(code.builder.urem(code.resize(turns, I32), entries), 1)
            mark = pool.element(code, map, number)
            with code.if_(code.compare(code.load(mark, I8), "!=", 0)):
                code.store(ir.Constant(I8, 0), mark)
                loop.continue_()
            with code.if_(code.call(self._evict_number, map, number)):
                code.ret(number)
            left = code.call(pool.take, map)
            with code.if_(code.compare(left, "!=", 0)):
                code.ret(left)
            lock.pause(code)
        code.builder.unreachable()
        return code.function

    def _emit_evict_number(self) -> ir.Function:
        """evict_number(map, number) -> whether the element was an entry, and no longer is.

        Its key tells the home; with the home locked, the entry can't go away, and its key can't change. The hash is
        taken again then, as the key may have been read while another thread was writing it.
        """
        code = internal(self.module, f"{self.shape.name}.evict_number", ir.IntType(1), map=PTR, number=I32)
        map, number, table = code["map"], code["number"], self.table
        key = table.key(code, table.pool.element(code, map, number))
        hash = table.hash(code, map, key)
        home = table.home(code, map, hash)
        mutex = code.field(home, Bucket, "lock").address
        slot = code.buffer(8)
        lock.acquire(code, mutex)
        word = code.call(table.locate, map, key, hash, slot)
        ours = code.compare(word, "==", table.word(code, hash, number))
        same = code.compare(table.hash(code, map, key), "==", hash)
        with code.if_(code.and_(ours, same)):
            code.call(table.unlink, home, code.load(slot, PTR, align=8))
            lock.release(code, mutex)
            code.ret(1)
        lock.release(code, mutex)
        code.ret(0)
        return code.function


def _check(spec: MapSpec) -> None:
    check_hash(spec, LRU_FLAGS)


def _size(shape: Shape) -> int:
    return HashLayout.of(shape, marks=True).size


def _initialise(memory: Memory, shape: Shape) -> None:
    initialise(memory, shape, marks=True)


def _emit(module: ir.Module, shape: Shape) -> None:
    LruOperations(module, shape).emit()


def _emit_lookup(module: ir.Module, shape: Shape) -> None:
    LruOperations(module, shape).emit_lookup()


LRU_HASH = Kind(
    check=_check,
    size=_size,
    initialise=_initialise,
    count=count,
    emit=_emit,
    emit_lookup=_emit_lookup,
    operations=HASHED,
)

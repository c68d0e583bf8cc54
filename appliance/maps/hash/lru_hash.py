"""BPF_MAP_TYPE_LRU_HASH: a hash that, when full, gives up an entry that was not used lately instead of failing.

Which one is decided by a clock (second chance): a hand goes round over the elements in the order of their numbers.
An element that was used since the hand last passed keeps its place and loses its reference bit; the first one without
goes. Elements that are no entries (they are free, or stand by to take an entry's place) are passed over. Programs use
an entry by looking it up, and everybody by updating it; the control plane's lookups and everybody's walks are no
use, as in the kernel (htab_lru_map_lookup_elem_sys and bpf_for_each_hash_elem of kernel/bpf/hashtab.c).

              hand                          reference bit  1 = used since the hand last passed
               v
    [1] [0] [1] [0] [0] [1] …               here the hand clears the third, and takes the fourth

New entries have no reference bit: a flood of keys that are seen once pushes out itself, and not what is used again and
again. The order depends on nothing but the operations, so that every engine gives up the same entries.

What a program remembers in such a map it mostly finds again, one entry for a frame, and has nothing else to do until it
has it. So an entry has a slot of its own, which its tag names, and is put there if it is free: in a bucket of 7 slots
with 4 entries, four in five are. A lookup looks there first: the processor foretells that the entry is there, and reads
the element before it knows. To find which slots of the bucket have the tag takes longer, but is always foretold right:
other hashes, where lookups come in a row and needn't wait for each other, do that alone.
"""

from __future__ import annotations

from functools import cached_property

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.ir import I1, I8, I32, I64, PTR, U8, U32, U64, Code, Field, Pointer, Variable, lock
from appliance.maps.checks import LRU_FLAGS
from appliance.maps.hash.hash import check_hash
from appliance.maps.hash.layout import SLOTS, Bucket, HashHeader, HashLayout, count, evicted, initialise
from appliance.maps.hash.operations import LOOKUP, HashOperations
from appliance.maps.hash.table import HashTable
from appliance.maps.kind import Kind, Shape, define, internal
from appliance.maps.map_ops import HASHED
from appliance.memory import Layout, Memory, Plain

LARGE = 4 << 20  # bytes of a table: about as far as a processor's TLB reaches with pages of the usual size


class LruTable(HashTable):
    """A table whose entries have slots of their own in their home buckets. For one thread."""

    def own_slot(self, code: Code, home: Pointer, tag: U64) -> Field[U64]:
        lane = code.shr(code.mul(tag, SLOTS), 32)
        return Field(code, code.at(home, code.add(code.mul(lane, 8), Bucket.slots.offset)), I64, 8)

    def on_link(self, code: Code) -> None:
        own = self.own_slot(code, code["home"], code.shr(code["word"], 32))
        with (
            code.if_(code.compare(own.load_acquire(), "==", 0)),
            code.if_(code.compare_exchange(own.address, 0, code["word"], I64)),
        ):
            code.ret()


class LruOperations(HashOperations):
    """A hash whose elements begin with a byte that says whether they were used, the reference bit. For one thread."""

    referenced = True
    table_type = LruTable
    table: LruTable

    @cached_property
    def _evict_number(self) -> ir.Function:
        return self._emit_evict_number()

    @cached_property
    def _evict(self) -> ir.Function:
        return self._emit_evict()

    def emit(self) -> None:
        super().emit()
        code = define(self.module, self.shape, "visit")
        code.ret(self.found(code, self.table.element(code, code["map"], self.locate_locked(code))))

    def look(self, code: Code, hash: U64) -> None:
        """Where the key's entry is expected; then, by a tail call, at the whole bucket."""
        rest = internal(self.module, f"{self.shape.name}.lookup_home", PTR, **LOOKUP, hash=I64)
        super().look(rest, rest["hash"])
        table = self.table
        tag = table.tag(code, hash)
        own = table.own_slot(code, table.home(code, code["map"], hash), tag)
        word = own.load_acquire()
        with code.if_(code.compare(code.shr(word, 32), "==", tag), likely=True):
            self.answer_if_same(code, own.address, word)
        code.ret(code.call(rest.function, *(code[name] for name in LOOKUP), hash))

    def on_use(self, code: Code, element: Pointer) -> None:
        """Written only if it changes something, as workers share the line."""
        bit = _reference_bit(code, element)
        with code.if_(code.compare(bit.load_monotonic(), "==", 0)):
            bit.store_monotonic(1)

    def on_insert(self, code: Code, element: Pointer) -> None:
        _reference_bit(code, element).store_monotonic(0)

    def on_full(self, code: Code, map: Pointer, spare: Variable[U32]) -> None:
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
            turns = code.atomic_add(hand, 1, I64)
            elements = code.field(map, HashHeader, "element_count").load()
            number = code.add(code.builder.urem(code.resize(turns, I32), elements), 1)
            bit = _reference_bit(code, pool.element(code, map, number))
            with code.if_(code.compare(bit.load_monotonic(), "!=", 0)):
                bit.store_monotonic(0)
                loop.continue_()
            with code.if_(code.call(self._evict_number, map, number)):
                code.atomic_add(code.field(map, HashHeader, "evicted").address, 1, I64)
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
        code = internal(self.module, f"{self.shape.name}.evict_number", I1, map=PTR, number=I32)
        map, number, table = code["map"], code["number"], self.table
        key = table.key(code, table.pool.element(code, map, number))
        hash = code.freeze(table.hash(code, map, key))
        home = table.home(code, map, hash)
        mutex = code.field(home, Bucket, "lock").address
        slot = code.buffer(8)
        lock.acquire(code, mutex)
        word = code.call(table.locate, map, key, hash, slot)
        ours = code.compare(word, "==", table.word(code, hash, number))
        same = code.compare(table.hash(code, map, key), "==", hash)
        with code.if_(code.freeze(code.and_(ours, same))):
            code.call(table.unlink, home, code.load(slot, PTR, align=8))
            lock.release(code, mutex)
            code.ret(1)
        lock.release(code, mutex)
        code.ret(0)
        return code.function


def _reference_bit(code: Code, element: Pointer) -> Field[U8]:
    return Field(code, element, I8, 1)


def _check(spec: MapSpec) -> None:
    check_hash(spec, LRU_FLAGS)


def _size(shape: Shape) -> int:
    return HashLayout.of(shape, referenced=True).size


def _memory(shape: Shape, size: int) -> Layout:
    """The two lines of a lookup lie anywhere in it, and in a large table each would miss the TLB. Unlike another hash,
    this one is made to be full: what it needs, it will have."""
    return Plain(size, huge_pages=size >= LARGE)


def _initialise(memory: Memory, shape: Shape) -> None:
    initialise(memory, shape, referenced=True)


def _emit(module: ir.Module, shape: Shape) -> None:
    LruOperations(module, shape).emit()


def _emit_lookup(module: ir.Module, shape: Shape) -> None:
    LruOperations(module, shape).emit_lookup()


LRU_HASH = Kind(
    check=_check,
    size=_size,
    memory=_memory,
    initialise=_initialise,
    count=count,
    evicted=evicted,
    emit=_emit,
    emit_lookup=_emit_lookup,
    operations=(*HASHED, "visit"),
)

"""Finding, linking and unlinking entries of a hash map: what its operations are made of.

Readers take no lock. A slot is one word, so an entry appears, disappears and gets another element at once; and as an
entry never moves from slot to slot, a reader that walks from the home bucket to the end of its reach sees every entry
that stays. An element may be given another key while a reader compares keys: the reader then finds that the slot has
changed (which is before the element is written), and starts again. A tag that fits and a key that doesn't, with the
slot still the same, is another key with the same tag, once in 2^31; or between two looks the entry was given another
element and its old one back: so that reader asks under the lock.

Writers of keys with the same home take turns by the home bucket's lock. A slot in another bucket is claimed by
compare-exchange, as writers with other homes look for room there too.

Keys and values are copied as plain memory, and what a reader concludes from them counts only if the slot says
afterwards that nobody wrote them meanwhile; until then it is frozen, not undefined (LLVM's language reference, "Memory
Model for Concurrent Operations").
"""

from __future__ import annotations

import ctypes
from functools import cached_property

from llvmlite import ir

from appliance.ir import (
    I8,
    I16,
    I32,
    I64,
    PTR,
    U8,
    U32,
    U64,
    VOID,
    AnyType,
    Code,
    Field,
    Loop,
    Pointer,
    Value,
    external,
)
from appliance.maps.hash.extra import Extras
from appliance.maps.hash.hashing import SEEDS, hash_words, key_words, same_key
from appliance.maps.hash.layout import SLOTS, Bucket, HashHeader, HashLayout
from appliance.maps.hash.pool import Pool
from appliance.maps.kind import EVERY_PROCESSOR, Shape, Weight, internal
from appliance.maps.value_lock import copy_in, copy_out, held

LINE = ctypes.sizeof(Bucket)
WORDS = LINE // 8
FIRST_SLOT = Bucket.slots.offset // 8
UNSURE = 1 << 32  # less than any slot's word but 0: tags and numbers are 1 at least
_SEARCH: dict[str, AnyType] = {"map": PTR, "key": PTR, "hash": I64, "slot_out": PTR}


class HashTable:
    """Writes the building blocks for one shape, as functions of the module, each when it is first needed.

    A *hash* is 64 bits: its upper half chooses the home bucket, its lower half is the tag. A *word* is what a slot
    holds; 0 stands for "no entry". For one thread.
    """

    def __init__(self, module: ir.Module, shape: Shape, layout: HashLayout) -> None:
        self.shape = shape
        self.layout = layout
        self.pool = Pool(module, shape, layout)
        self.extras = Extras(shape, layout)
        self._module = module

    @cached_property
    def find(self) -> ir.Function:
        return self._emit_find(self._module)

    @cached_property
    def locate(self) -> ir.Function:
        return self._emit_locate(self._module)

    @cached_property
    def link(self) -> ir.Function:
        return self._emit_link(self._module)

    @cached_property
    def unlink(self) -> ir.Function:
        return self._emit_unlink(self._module)

    # the parts of a hash and of a word

    def hash(self, code: Code, map: Pointer, key: Pointer) -> U64:
        first = code.field(map, HashHeader, "seeds").address
        seeds = [code.load(code.at(first, 8 * number), I64, align=8) for number in range(SEEDS)]
        return hash_words(code, key_words(code, key, self.shape.key_size), seeds)

    def home(self, code: Code, map: Pointer, hash: U64) -> Pointer:
        """The home bucket: the hash's upper half, scaled to the number of buckets."""
        count = code.field(map, HashHeader, "bucket_count").load()
        number = code.shr(code.mul(code.shr(hash, 32), count), 32)
        return code.at(map, code.add(code.mul(number, LINE), self.layout.buckets))

    def following(self, code: Code, map: Pointer, bucket: Pointer) -> Pointer:
        """The next bucket; behind the last comes the first."""
        ahead = code.at(bucket, LINE)
        end = code.at(map, code.field(map, HashHeader, "elements").load())
        return code.select(code.compare(ahead, "==", end), code.at(map, self.layout.buckets), ahead)

    def word(self, code: Code, hash: U64, number: U32) -> U64:
        return code.or_(code.shl(self.tag(code, hash), 32), code.resize(number, I64))

    def tag(self, code: Code, hash: U64) -> U64:
        """Never 0, so that no free slot looks like an entry."""
        return code.or_(code.and_(hash, 0xFFFFFFFF), 1)

    def element(self, code: Code, map: Pointer, word: U64) -> Pointer:
        return self.pool.element(code, map, code.resize(word, I32))

    def key(self, code: Code, element: Pointer) -> Pointer:
        return code.at(element, self.layout.key)

    def value(self, code: Code, element: Pointer, processor: U32 | int = 0) -> Pointer:
        """The value, of a per-CPU hash that of one processor: a number, or 32 bits."""
        first = code.inside(element, self.layout.value)
        if self.layout.copies == 1:
            return first
        if isinstance(processor, int):
            return code.inside(first, processor * self.layout.copy_size)
        return code.inside(first, code.mul(code.resize(processor, I64), self.layout.copy_size))

    def copy_out(self, code: Code, target: Pointer, element: Pointer) -> None:
        """The values of all processors, one after the other."""
        for number in range(self.layout.copies):
            place = code.at(target, number * self.shape.value_size)
            copy_out(code, self.shape, place, self.value(code, element, number))

    def copy_in(self, code: Code, element: Pointer, source: Pointer, *, new: bool) -> None:
        """The value that `update` stores: for its processor, or for all. Those that a `new` entry has no value for are
        zero."""
        size = self.shape.value_size
        if self.layout.copies == 1:
            value = self.value(code, element)
            with held(code, self.shape, value, code["flags"]):
                copy_in(code, self.shape, value, source)
            return
        with code.if_else(code.compare(code["processor"], "==", EVERY_PROCESSOR)) as (all_of_them, one):
            with all_of_them:
                for number in range(self.layout.copies):
                    code.copy(self.value(code, element, number), code.at(source, number * size), size)
            with one:
                if new:
                    code.fill(self.value(code, element), 0, self.layout.copies * self.layout.copy_size)
                code.copy(self.value(code, element, code["processor"]), source, size)

    def on_link(self, code: Code) -> None:
        """`link` begins: return from it if the entry has found a place that its kind likes better than others."""

    # the building blocks

    def _emit_find(self, module: ir.Module) -> ir.Function:
        """find(map, key, hash, slot out) -> word: the entry under `key`, and the slot that it is in; 0 without. UNSURE
        if that can't be told without the lock."""
        code = internal(module, f"{self.shape.name}.find", I64, Weight.INLINE, **_SEARCH)
        self._search(code, locked=False)
        return code.function

    def _emit_locate(self, module: ir.Module) -> ir.Function:
        """`find` for who holds the lock of the key's home, and can afford the call."""
        code = internal(module, f"{self.shape.name}.locate", I64, **_SEARCH)
        self._search(code, locked=True)
        return code.function

    def _search(self, code: Code, *, locked: bool) -> None:
        map, hash = code["map"], code["hash"]
        home = self.home(code, map, hash)
        tag = self.tag(code, hash)
        bucket, distance = code.variable(PTR), code.variable(I32)
        with code.loop() as attempts:
            bucket.set(home)
            distance.set(0)
            with code.loop():
                self._search_bucket(code, bucket.get(), tag, None if locked else attempts)
                reach = code.field(home, Bucket, "reach").load_acquire()
                with code.if_(code.compare(distance.get(), ">=", reach)):
                    code.ret(0)
                distance.add(1)
                bucket.set(self.following(code, map, bucket.get()))
        code.builder.unreachable()

    def _search_bucket(self, code: Code, bucket: Value, tag: Value, attempts: Loop | None) -> None:
        """Return from the search if the entry is in this bucket. Without the lock, start again if a slot changes."""
        candidates = code.variable(I8, self.slots_with_tag(code, bucket, tag))
        with code.loop() as loop:
            left = candidates.get()
            loop.break_if(code.compare(left, "==", 0))
            candidates.set(code.and_(left, code.sub(left, 1)))
            place, word = self.candidate(code, bucket, left)
            loop.continue_if(code.compare(code.shr(word, 32), "!=", tag))
            same, unchanged = self.confirm(code, place, word)
            with code.if_(code.and_(same, unchanged), likely=True):
                code.store(place, code["slot_out"], align=8)
                code.ret(word)
            if attempts is not None:
                attempts.continue_if(code.builder.not_(unchanged))
                code.ret(UNSURE)

    # one bucket

    def candidate(self, code: Code, bucket: Value, candidates: Value) -> tuple[Value, Value]:
        """The first of the bucket's slots that `slots_with_tag` gave, one at least: where it is, and its word now."""
        count_zeros = external(code.module, "llvm.cttz.i8", I8, I8, ir.IntType(1))
        lane = code.resize(code.call(count_zeros, candidates, 1), I64)
        place = code.at(bucket, code.mul(lane, 8))
        return place, Field(code, place, I64, 8).load_acquire()

    def confirm(self, code: Code, place: Value, word: Value) -> tuple[Value, Value]:
        """Whether the element of the word has the key, which counts only if, the other, the slot has the word still."""
        key = self.key(code, self.element(code, code["map"], word))
        same = code.freeze(same_key(code, key, code["key"], self.shape.key_size))
        code.builder.fence("acquire")
        return same, code.compare(Field(code, place, I64, 8).load_monotonic(), "==", word)

    def slots_with_tag(self, code: Code, bucket: Pointer, tag: U64) -> U8:
        """One bit for each slot that holds the tag. The whole line is read at once, as a hint: each candidate is
        read again on its own, as one word."""
        vector = ir.VectorType(I64, WORDS)
        tags = code.builder.lshr(code.load(bucket, vector, align=LINE), ir.Constant(vector, [32] * WORDS))
        equal = code.builder.icmp_unsigned("==", tags, _splat(code, tag, vector))
        mask: U8 = code.builder.bitcast(equal, I8)
        return code.freeze(code.and_(mask, ((1 << SLOTS) - 1) << FIRST_SLOT))

    def _emit_link(self, module: ir.Module) -> ir.Function:
        """link(map, home, word): put an entry into the first free slot. The caller holds the home's lock.

        There is always one: there are more slots than elements. `reach` grows before the entry can be seen.
        """
        code = internal(module, f"{self.shape.name}.link", VOID, map=PTR, home=PTR, word=I64)
        map, home = code["map"], code["home"]
        self.on_link(code)
        bucket = code.variable(PTR, home)
        distance = code.variable(I32, 0)
        with code.loop():
            away = code.compare(distance.get(), ">", 0)
            reach = code.field(home, Bucket, "reach")
            with code.if_(code.compare(distance.get(), ">", reach.load())):
                reach.store_release(distance.get())
            with code.count(ir.Constant(I64, SLOTS)) as index:
                place = code.at(bucket.get(), code.add(code.mul(index, 8), Bucket.slots.offset))
                with (
                    code.if_(code.compare(Field(code, place, I64, 8).load_acquire(), "==", 0)),
                    code.if_(code.compare_exchange(place, 0, code["word"], I64)),
                ):
                    code.field(home, Bucket, "overflow").add(code.resize(away, I16))
                    code.ret()
            distance.add(1)
            bucket.set(self.following(code, map, bucket.get()))
        code.builder.unreachable()
        return code.function

    def _emit_unlink(self, module: ir.Module) -> ir.Function:
        """unlink(home, slot): free the slot of an entry. The caller holds the home's lock.

        When the last one away from home goes, readers need not look beyond the home bucket any more.
        """
        code = internal(module, f"{self.shape.name}.unlink", VOID, home=PTR, slot=PTR)
        home = code["home"]
        Field(code, code["slot"], I64, 8).store_release(0)
        distance = code.sub(code.integer(code["slot"]), code.integer(home))
        with code.if_(code.compare(distance, ">=", LINE)):
            overflow = code.field(home, Bucket, "overflow")
            overflow.add(-1)
            with code.if_(code.compare(overflow.load(), "==", 0)):
                code.field(home, Bucket, "reach").store_release(0)
        code.ret()
        return code.function


def _splat(code: Code, value: U64, vector: ir.VectorType) -> Value:
    """The same value in every lane."""
    empty = ir.Constant(vector, ir.Undefined)
    first = code.builder.insert_element(empty, value, ir.Constant(I32, 0))
    return code.builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(I32, vector.count), [0] * vector.count))

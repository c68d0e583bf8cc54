"""The operations of hash maps, written from the table's building blocks.

An update of an entry gives it another element, which has the key and the new value, and readers see the one or the
other whole. As in the kernel (htab_map_update_elem of kernel/bpf/hashtab.c), a value is written where it is with
Flag.LOCK, under its lock, and in per-CPU hashes, where a program writes the value of its own processor alone.

What some kinds of hash do differently stands in six hooks of HashOperations, `look`, `found`, `on_update`, `on_use`,
`on_insert` and `on_full`, and in its `table_type`.
"""

from __future__ import annotations

import errno

from llvmlite import ir

from appliance.ir import I32, I64, PTR, U32, U64, AnyType, Code, Field, Pointer, Variable, lock
from appliance.maps.hash.layout import SLOTS, Bucket, HashHeader, HashLayout
from appliance.maps.hash.table import FIRST_SLOT, LINE, UNSURE, HashTable
from appliance.maps.kind import Flag, Shape, Weight, define, internal
from appliance.maps.value_lock import copy_out, held, without_lock

LOOKUP: dict[str, AnyType] = {"map": PTR, "key": PTR, "processor": I32}  # what a lookup is given


class HashOperations:
    """Writes lookup, read, update, delete, lookup_and_delete and next for one shape. For one thread."""

    referenced = False  # whether elements begin with a reference bit
    table_type = HashTable

    def __init__(self, module: ir.Module, shape: Shape) -> None:
        self.module = module
        self.shape = shape
        self.table = self.table_type(module, shape, HashLayout.of(shape, referenced=self.referenced))

    def emit(self) -> None:
        self.emit_lookup()
        self._emit_read()
        self._emit_update()
        self._emit_delete(self._emit_lookup_and_delete())
        self._emit_next()

    # what kinds of hash do differently

    def on_update(self, code: Code) -> Pointer:
        """`update` begins: return from it if the value may not be put in, or give the one that is to be stored."""
        value: Pointer = code["value"]
        return value

    def on_use(self, code: Code, element: Pointer) -> None:
        """A lookup or an update has found the element."""

    def found(self, code: Code, element: Pointer) -> Pointer:
        """What a lookup gives of the element."""
        return self.table.value(code, element, code["processor"])

    def on_insert(self, code: Code, element: Pointer) -> None:
        """The element is about to become an entry."""

    def on_full(self, code: Code, map: Pointer, spare: Variable[U32]) -> None:
        """No element is left, and no lock is held: return from `update`, or find a spare one."""
        code.ret(-errno.E2BIG)

    # the operations

    def emit_lookup(self) -> None:
        """One look at the home bucket, which nearly all keys are decided by. What is left is a tail call, so that no
        register is saved for it."""
        code = define(self.module, self.shape, "lookup", Weight.HOT)
        self.look(code, self.table.hash(code, code["map"], code["key"]))

    def look(self, code: Code, hash: U64) -> None:
        """All of a lookup but the hash."""
        beyond = self._emit_lookup_beyond(self._emit_lookup_locked())
        map, table = code["map"], self.table
        home, tag = table.home(code, map, hash), table.tag(code, hash)
        candidates = table.slots_with_tag(code, home, tag)
        with code.if_else(code.compare(candidates, "!=", 0)) as (some, none):
            with some:
                place, word = table.candidate(code, home, candidates)
                with code.if_(code.compare(code.shr(word, 32), "==", tag), likely=True):
                    self.answer_if_same(code, place, word)
            with none:
                reach = code.field(home, Bucket, "reach").load_acquire()
                with code.if_(code.compare(reach, "==", 0), likely=True):
                    code.ret(ir.Constant(PTR, None))
        code.ret(code.call(beyond, *(code[name] for name in LOOKUP)))

    def answer_if_same(self, code: Code, place: Pointer, word: U64) -> None:
        """Return from a lookup if the element of that slot's word has the key."""
        same, unchanged = self.table.confirm(code, place, word)
        with code.if_(code.and_(same, unchanged), likely=True):
            self._answer(code, word)

    def _emit_lookup_beyond(self, locked: ir.Function) -> ir.Function:
        """Through all buckets, without the lock; what that leaves unsure is decided under it."""
        code = internal(self.module, f"{self.shape.name}.lookup_beyond", PTR, **LOOKUP)
        map, key = code["map"], code["key"]
        word = code.call(self.table.find, map, key, self.table.hash(code, map, key), code.buffer(8))
        with code.if_(code.compare(word, "<=", UNSURE)):
            with code.if_(code.compare(word, "==", 0)):
                code.ret(ir.Constant(PTR, None))
            code.ret(code.call(locked, *code.function.args))
        self._answer(code, word)
        return code.function

    def _emit_lookup_locked(self) -> ir.Function:
        code = internal(self.module, f"{self.shape.name}.lookup_locked", PTR, **LOOKUP)
        self._answer(code, self.locate_locked(code))
        return code.function

    def locate_locked(self, code: Code) -> U64:
        """The word of the entry that `key` has, found with its home locked; null is returned if there is none."""
        map, key = code["map"], code["key"]
        hash = self.table.hash(code, map, key)
        mutex = code.field(self.table.home(code, map, hash), Bucket, "lock").address
        lock.acquire(code, mutex)
        word: U64 = code.call(self.table.locate, map, key, hash, code.buffer(8))
        lock.release(code, mutex)
        with code.if_(code.compare(word, "==", 0)):
            code.ret(ir.Constant(PTR, None))
        return word

    def _answer(self, code: Code, word: U64) -> None:
        """Return from a lookup what it gives of the element."""
        element = self.table.element(code, code["map"], word)
        self.on_use(code, element)
        code.ret(self.found(code, element))

    def _emit_read(self) -> None:
        """Copied under the lock of its home: no update gives the element to another entry meanwhile."""
        code = define(self.module, self.shape, "read")
        map, key = code["map"], code["key"]
        hash = self.table.hash(code, map, key)
        mutex = code.field(self.table.home(code, map, hash), Bucket, "lock").address
        lock.acquire(code, mutex)
        word = code.call(self.table.locate, map, key, hash, code.buffer(8))
        with code.if_(code.compare(word, "==", 0)):
            lock.release(code, mutex)
            code.ret(-errno.ENOENT)
        value = self.table.value(code, self.table.element(code, map, word), code["processor"])
        with held(code, self.shape, value, code["flags"]):
            copy_out(code, self.shape, code["value_out"], value)
        lock.release(code, mutex)
        code.ret(0)

    def _emit_update(self) -> None:
        """Look under the lock. What isn't there needs an element: one that is left, or, the lock let go meanwhile
        as it may be another bucket's turn, one that `on_full` finds."""
        code = define(self.module, self.shape, "update")
        map, key, flags = code["map"], code["key"], without_lock(code, self.shape, code["flags"])
        with code.if_(code.compare(flags, ">", Flag.EXIST), likely=False):
            code.ret(-errno.EINVAL)
        value = self.on_update(code)
        hash = self.table.hash(code, map, key)
        home = self.table.home(code, map, hash)
        mutex = code.field(home, Bucket, "lock").address
        slot = code.buffer(8)
        spare = code.variable(I32, 0)
        with code.loop():
            lock.acquire(code, mutex)
            word = code.call(self.table.locate, map, key, hash, slot)
            with code.if_(code.compare(word, "!=", 0)):
                with code.if_(code.compare(flags, "==", Flag.NOEXIST)):
                    self._leave(code, mutex, spare, -errno.EEXIST)
                self._update_entry(code, hash, word, slot, value)
                self._leave(code, mutex, spare, 0)
            with code.if_(code.compare(flags, "==", Flag.EXIST)):
                self._leave(code, mutex, spare, -errno.ENOENT)
            with code.if_(code.compare(spare.get(), "==", 0)):
                spare.set(code.call(self.table.pool.take, map))
            with code.if_(code.compare(spare.get(), "!=", 0)):
                self.on_insert(code, self._fill(code, spare.get(), value, new=True))
                code.call(self.table.link, map, home, self.table.word(code, hash, spare.get()))
                lock.release(code, mutex)
                code.ret(0)
            lock.release(code, mutex)
            self.on_full(code, map, spare)
        code.builder.unreachable()

    def _update_entry(self, code: Code, hash: U64, word: U64, slot: Pointer, value: Pointer) -> None:
        """The entry that is there gets the value."""
        if not self.table.layout.extras:
            self._update_in_place(code, word, value)
        elif self.shape.lock is None:
            self._replace(code, hash, word, slot, value)
        else:
            with code.if_else(code.compare(code.and_(code["flags"], Flag.LOCK), "!=", 0)) as (under_lock, whole):
                with under_lock:
                    self._update_in_place(code, word, value)
                with whole:
                    self._replace(code, hash, word, slot, value)

    def _update_in_place(self, code: Code, word: U64, value: Pointer) -> None:
        element = self.table.element(code, code["map"], word)
        self.table.copy_in(code, element, value, new=False)
        self.on_use(code, element)

    def _replace(self, code: Code, hash: U64, word: U64, slot: Pointer, value: Pointer) -> None:
        """In the slot that the entry has: no reader finds it twice, or not at all."""
        number, place = self.table.extras.take(code)
        self.on_use(code, self._fill(code, number, value, new=False))
        Field(code, code.load(slot, PTR, align=8), I64, 8).store_release(self.table.word(code, hash, number))
        self.table.extras.put_back(place, code.resize(word, I32))

    def _leave(self, code: Code, mutex: Pointer, spare: Variable[U32], status: int) -> None:
        """Return from `update` without having used the spare element, if there is one."""
        lock.release(code, mutex)
        with code.if_(code.compare(spare.get(), "!=", 0)):
            code.call(self.table.pool.give_back, code["map"], spare.get())
        code.ret(status)

    def _fill(self, code: Code, number: U32, value: Pointer, *, new: bool) -> Pointer:
        """Write the entry into an element that no slot leads to, and give its address. Who still reads it sees that the
        slot has changed before it sees any of this."""
        code.builder.fence("release")
        element = self.table.pool.element(code, code["map"], number)
        code.copy(self.table.key(code, element), code["key"], self.shape.key_size)
        self.table.copy_in(code, element, value, new=new)
        return element

    def _emit_delete(self, lookup_and_delete: ir.Function) -> None:
        code = define(self.module, self.shape, "delete")
        value = code.call(lookup_and_delete, code["map"], code["key"], ir.Constant(PTR, None), 0)
        code.ret(code.select(code.is_null(value), ir.Constant(I64, -errno.ENOENT), ir.Constant(I64, 0)))

    def _emit_lookup_and_delete(self) -> ir.Function:
        code = define(self.module, self.shape, "lookup_and_delete")
        map, key = code["map"], code["key"]
        hash = self.table.hash(code, map, key)
        home = self.table.home(code, map, hash)
        mutex = code.field(home, Bucket, "lock").address
        slot = code.buffer(8)
        lock.acquire(code, mutex)
        word = code.call(self.table.locate, map, key, hash, slot)
        with code.if_(code.compare(word, "==", 0)):
            lock.release(code, mutex)
            code.ret(ir.Constant(PTR, None))
        element = self.table.element(code, map, word)
        with code.if_(code.builder.not_(code.is_null(code["value_out"]))):
            self.table.copy_out(code, code["value_out"], element)
        code.call(self.table.unlink, home, code.load(slot, PTR, align=8))
        lock.release(code, mutex)
        code.call(self.table.pool.give_back, map, code.resize(word, I32))
        code.ret(self.table.value(code, element, code["processor"]))
        return code.function

    def _emit_next(self) -> None:
        """Positions count slots. An entry is copied out under the lock of its home, which its key tells: the hash is
        taken again then, as the element may have got another key meanwhile."""
        code = define(self.module, self.shape, "next")
        map, table = code["map"], self.table
        slots = code.mul(code.field(map, HashHeader, "bucket_count").load(), SLOTS)
        position = code.variable(I64, code["position"])
        with code.loop() as loop:
            current = position.get()
            with code.if_(code.compare(current, ">=", slots)):
                code.ret(-errno.ENOENT)
            slot = Field(code, self._slot_at(code, current), I64, 8)
            word = slot.load_acquire()
            with code.if_(code.compare(word, "==", 0)):
                position.set(code.add(current, 1))
                loop.continue_()
            element = table.element(code, map, word)
            key = table.key(code, element)
            hash = code.freeze(table.hash(code, map, key))
            mutex = code.field(table.home(code, map, hash), Bucket, "lock").address
            lock.acquire(code, mutex)
            same = code.compare(table.hash(code, map, key), "==", hash)
            there = code.compare(slot.load_acquire(), "==", table.word(code, hash, code.resize(word, I32)))
            with code.if_(code.freeze(code.and_(same, there))):
                code.copy(code["key_out"], key, self.shape.key_size)
                with code.if_(code.builder.not_(code.is_null(code["value_out"]))):
                    table.copy_out(code, code["value_out"], element)
                lock.release(code, mutex)
                code.ret(code.add(current, 1))
            lock.release(code, mutex)
        code.builder.unreachable()

    def _slot_at(self, code: Code, position: U64) -> Pointer:
        bucket = code.mul(code.builder.udiv(position, ir.Constant(I64, SLOTS)), LINE)
        lane = code.add(code.builder.urem(position, ir.Constant(I64, SLOTS)), FIRST_SLOT)
        offset = code.add(bucket, code.mul(lane, 8))
        return code.at(code["map"], code.add(offset, self.table.layout.buckets))

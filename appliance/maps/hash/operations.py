"""The operations of hash maps, written from the table's building blocks.

What some kinds of hash do differently stands in five hooks of HashOperations, `found`, `on_update`, `on_use`,
`on_insert` and `on_full`, and in its `table_type`.
"""

from __future__ import annotations

import errno

from llvmlite import ir

from appliance.ir import I32, I64, PTR, Code, Field, Value, Variable, lock
from appliance.maps.hash.layout import SLOTS, Bucket, HashHeader, HashLayout
from appliance.maps.hash.table import FIRST_SLOT, LINE, HashTable
from appliance.maps.kind import Flag, Shape, Weight, define
from appliance.maps.value_lock import without_lock


class HashOperations:
    """Writes lookup, update, delete, extract and next for one shape."""

    marks = False  # whether elements begin with a mark of use
    table_type = HashTable

    def __init__(self, module: ir.Module, shape: Shape) -> None:
        self.module = module
        self.shape = shape
        self.table = self.table_type(module, shape, HashLayout.of(shape, marks=self.marks))

    def emit(self) -> None:
        self.emit_lookup()
        self._emit_update()
        self._emit_delete(self._emit_extract())
        self._emit_next()

    # what kinds of hash do differently

    def on_update(self, code: Code) -> Value:
        """`update` begins: return from it if the value may not be put in, or give the one that is to be stored."""
        return code["value"]

    def on_use(self, code: Code, element: Value) -> None:
        """A lookup or an update has found the element."""

    def found(self, code: Code, element: Value) -> Value:
        """What a lookup gives of the element."""
        return self.table.value(code, element, code["processor"])

    def on_insert(self, code: Code, element: Value) -> None:
        """The element is about to become an entry."""

    def on_full(self, code: Code, map: Value, spare: Variable) -> None:
        """No element is left, and no lock is held: return from `update`, or find a spare one."""
        code.ret(-errno.E2BIG)

    # the operations

    def emit_lookup(self) -> None:
        code = define(self.module, self.shape, "lookup", Weight.HOT)
        map, key = code["map"], code["key"]
        slot = code.buffer(8)
        word = code.call(self.table.find, map, key, self.table.hash(code, map, key), slot)
        with code.if_(code.compare(word, "==", 0)):
            code.ret(ir.Constant(PTR, None))
        element = self.table.element(code, map, word)
        self.on_use(code, element)
        code.ret(self.found(code, element))

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
                self._update_found(code, mutex, spare, self.table.element(code, map, word), value)
            with code.if_(code.compare(flags, "==", Flag.EXIST)):
                self._leave(code, mutex, spare, -errno.ENOENT)
            with code.if_(code.compare(spare.get(), "==", 0)):
                spare.set(code.call(self.table.pool.take, map))
            with code.if_(code.compare(spare.get(), "!=", 0)):
                self._insert(code, home, hash, spare.get(), value)
                lock.release(code, mutex)
                code.ret(0)
            lock.release(code, mutex)
            self.on_full(code, map, spare)
        code.builder.unreachable()

    def _update_found(self, code: Code, mutex: Value, spare: Variable, element: Value, value: Value) -> None:
        with code.if_(code.compare(without_lock(code, self.shape, code["flags"]), "==", Flag.NOEXIST)):
            self._leave(code, mutex, spare, -errno.EEXIST)
        self.table.copy_in(code, element, value, new=False)
        self.on_use(code, element)
        self._leave(code, mutex, spare, 0)

    def _leave(self, code: Code, mutex: Value, spare: Variable, status: int) -> None:
        """Return from `update` without having used the spare element, if there is one."""
        lock.release(code, mutex)
        with code.if_(code.compare(spare.get(), "!=", 0)):
            code.call(self.table.pool.give_back, code["map"], spare.get())
        code.ret(status)

    def _insert(self, code: Code, home: Value, hash: Value, number: Value, value: Value) -> None:
        element = self.table.pool.element(code, code["map"], number)
        code.copy(self.table.key(code, element), code["key"], self.shape.key_size)
        self.table.copy_in(code, element, value, new=True)
        self.on_insert(code, element)
        code.call(self.table.link, code["map"], home, self.table.word(code, hash, number))

    def _emit_delete(self, extract: ir.Function) -> None:
        code = define(self.module, self.shape, "delete")
        value = code.call(extract, code["map"], code["key"], ir.Constant(PTR, None), 0)
        code.ret(code.select(code.is_null(value), ir.Constant(I64, -errno.ENOENT), ir.Constant(I64, 0)))

    def _emit_extract(self) -> ir.Function:
        code = define(self.module, self.shape, "extract")
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
        """Positions count slots. An entry is copied out, and counts if it is still in its slot afterwards."""
        code = define(self.module, self.shape, "next")
        map = code["map"]
        position = code.variable(I64, code["position"])
        with code.loop() as loop:
            current = position.get()
            slots = code.mul(code.field(map, HashHeader, "bucket_count").load(), SLOTS)
            with code.if_(code.compare(current, ">=", slots)):
                code.ret(-errno.ENOENT)
            slot = Field(code, self._slot_at(code, current), I64, 8)
            word = slot.load_acquire()
            with code.if_(code.compare(word, "==", 0)):
                position.set(code.add(current, 1))
                loop.continue_()
            element = self.table.element(code, map, word)
            code.copy(code["key_out"], self.table.key(code, element), self.shape.key_size)
            with code.if_(code.builder.not_(code.is_null(code["value_out"]))):
                self.table.copy_out(code, code["value_out"], element)
            code.builder.fence("acquire")
            with code.if_(code.compare(slot.load_acquire(), "==", word)):
                code.ret(code.add(current, 1))
        code.builder.unreachable()

    def _slot_at(self, code: Code, position: Value) -> Value:
        bucket = code.mul(code.builder.udiv(position, ir.Constant(I64, SLOTS)), LINE)
        lane = code.add(code.builder.urem(position, ir.Constant(I64, SLOTS)), FIRST_SLOT)
        offset = code.add(bucket, code.mul(lane, 8))
        return code.at(code["map"], code.add(offset, self.table.layout.buckets))

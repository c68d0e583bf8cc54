"""The ring of values that a queue and a stack are: what is pushed goes behind the newest, under one lock.

    map ─> ┌────────────┬─────────┬─────────┬─── ─ ─ ┬─────────┐
           │ RingHeader │ value 0 │ value 1 │        │ value n │     n = max_entries - 1; behind it comes value 0
           └────────────┴─────────┴─────────┴─── ─ ─ ┴─────────┘
                                    ^ oldest   count values from here on are taken

A queue gives the oldest value, a stack the newest. Pushing onto a full ring fails (E2BIG), or, with EXIST, overwrites
the oldest value, of a stack too. An empty ring answers ENOENT and zeros. Source: kernel/bpf/queue_stack_maps.c.
"""

from __future__ import annotations

import ctypes
import errno

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.ir import I64, U32, Code, Pointer, lock
from appliance.maps.checks import COMMON_FLAGS, check_flags, check_key_size, check_sizes
from appliance.maps.kind import CACHE_LINE, Flag, Kind, Shape, define
from appliance.maps.map_ops import QUEUED
from appliance.memory import Memory


class RingHeader(ctypes.Structure):
    """`lock` is held by whoever reads or writes any of the rest."""

    _fields_ = (
        ("lock", ctypes.c_uint16),
        ("_padding", ctypes.c_uint16),
        ("oldest", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("_rest_of_line", ctypes.c_uint32 * (CACHE_LINE // 4 - 3)),
    )


class RingOperations:
    """Writes push, pop and peek for one shape. `newest_first`: the last in is the first out. For one thread."""

    def __init__(self, module: ir.Module, shape: Shape, *, newest_first: bool) -> None:
        self.module = module
        self.shape = shape
        self.newest_first = newest_first

    def emit(self) -> None:
        self._emit_push()
        self._emit_take("pop", "value_out", removes=True)
        self._emit_take("peek", "value", removes=False)

    def _emit_push(self) -> None:
        code = define(self.module, self.shape, "push")
        map, flags, entries = code["map"], code["flags"], self.shape.max_entries
        mutex, oldest, count = (code.field(map, RingHeader, name) for name in ("lock", "oldest", "count"))
        with code.if_(code.compare(code.and_(flags, ~Flag.EXIST), "!=", 0), likely=False):
            code.ret(-errno.EINVAL)
        lock.acquire(code, mutex.address)
        with code.if_(code.compare(count.load(), "==", entries)):
            with code.if_(code.compare(flags, "==", Flag.ANY)):
                lock.release(code, mutex.address)
                code.ret(-errno.E2BIG)
            oldest.store(self._wrapped(code, code.add(oldest.load(), 1)))
            count.add(-1)
        code.copy(self._place(code, code.add(oldest.load(), count.load())), code["value"], self.shape.value_size)
        count.add(1)
        lock.release(code, mutex.address)
        code.ret(0)

    def _emit_take(self, operation: str, target: str, *, removes: bool) -> None:
        code = define(self.module, self.shape, operation)
        map, size = code["map"], self.shape.value_size
        mutex, oldest, count = (code.field(map, RingHeader, name) for name in ("lock", "oldest", "count"))
        lock.acquire(code, mutex.address)
        with code.if_(code.compare(count.load(), "==", 0)):
            lock.release(code, mutex.address)
            code.fill(code[target], 0, size)
            code.ret(-errno.ENOENT)
        last = code.sub(code.add(oldest.load(), count.load()), 1)
        code.copy(code[target], self._place(code, last if self.newest_first else oldest.load()), size)
        if removes:
            count.add(-1)
            if not self.newest_first:
                oldest.store(self._wrapped(code, code.add(oldest.load(), 1)))
        lock.release(code, mutex.address)
        code.ret(0)

    def _wrapped(self, code: Code, index: U32) -> U32:
        """The index, at most twice round, within the ring."""
        entries = self.shape.max_entries
        return code.select(code.compare(index, ">=", entries), code.sub(index, entries), index)

    def _place(self, code: Code, index: U32) -> Pointer:
        offset = code.mul(code.resize(self._wrapped(code, index), I64), self.shape.value_stride)
        return code.at(code["map"], code.add(offset, ctypes.sizeof(RingHeader)))


def ring_kind(*, newest_first: bool) -> Kind:
    """A queue, or a stack."""

    def emit(module: ir.Module, shape: Shape) -> None:
        RingOperations(module, shape, newest_first=newest_first).emit()

    return Kind(check=_check, size=_size, initialise=_nothing_to_initialise, count=_count, emit=emit, operations=QUEUED)


def _check(spec: MapSpec) -> None:
    check_sizes(spec)
    check_key_size(spec, 0, 0, f"a {spec.type.value} has no keys: leave the key out")
    check_flags(spec, COMMON_FLAGS)


def _size(shape: Shape) -> int:
    return ctypes.sizeof(RingHeader) + shape.max_entries * shape.value_stride


def _nothing_to_initialise(memory: Memory, shape: Shape) -> None:
    """All zero is an empty ring."""


def _count(memory: Memory, shape: Shape) -> int:
    return int.from_bytes(memory.read(RingHeader.count.offset, RingHeader.count.size), "little")

"""BPF_MAP_TYPE_RINGBUF: records of any size from many producers to one consumer, in the order of their reservation.

Layout: ringbuf_layout.py. A producer takes room under a lock, as the kernel does, so that a record's header stands
before the consumer can see it; filling and submitting take none. The consumer takes no lock at all.

Whether anybody must be woken is decided as in the kernel: only the record at which the consumer has stopped does it, so
that a consumer that is behind costs its producers nothing. Submitting clears BUSY and then reads the consumer's
position; the consumer writes its position and then reads BUSY. Both in one total order (seq_cst), so that one of them
always sees the other. Source: kernel/bpf/ringbuf.c.
"""

from __future__ import annotations

import ctypes
import errno

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.ir import I32, I64, PTR, U64, Code, Field, Pointer, lock
from appliance.maps.checks import COMMON_FLAGS, check_flags, check_key_size
from appliance.maps.errors import MapRefused
from appliance.maps.kind import Kind, Shape, Weight, define
from appliance.maps.rings.ringbuf_layout import (
    AVAIL_DATA,
    BUSY,
    CONS_POS,
    CONSUMER,
    DATA,
    DISCARD,
    FORCE_WAKEUP,
    HEADER_SIZE,
    LONGEST_RECORD,
    NO_WAKEUP,
    PROD_POS,
    PRODUCER,
    RING_SIZE,
    RecordHeader,
    RingState,
)
from appliance.maps.wake import wake
from appliance.memory import PAGE, Layout, Memory, RingMemory, Rings

OPERATIONS = ("output", "reserve", "commit", "query", "drain")
_NOTHING = ir.Constant(PTR, None)


class RingBufferOperations:
    """Writes the operations for one shape. For one thread."""

    def __init__(self, module: ir.Module, shape: Shape) -> None:
        self.module = module
        self.shape = shape
        self.mask = shape.max_entries - 1

    def emit(self) -> None:
        reserve = self._emit_reserve()
        self._emit_output(reserve, self._emit_commit())
        self._emit_query()
        self._emit_drain()

    def _emit_reserve(self) -> ir.Function:
        """Room for a record of `size` bytes, BUSY; null if there is none."""
        code = define(self.module, self.shape, "reserve", Weight.HOT)
        map, size = code["map"], code["size"]
        mutex = code.field(map, RingState, "lock").address
        taken = _taken(code, size)
        for refused in (
            code.compare(code["flags"], "!=", 0),
            code.compare(size, ">", LONGEST_RECORD),
            code.compare(taken, ">", self.shape.max_entries),
        ):
            with code.if_(refused, likely=False):
                code.ret(_NOTHING)
        consumed = _position(code, map, CONSUMER).load_acquire()
        lock.acquire(code, mutex)
        producer = _position(code, map, PRODUCER)
        start = producer.load()
        end = code.add(start, taken)
        with code.if_(code.compare(code.sub(end, consumed), ">", self.mask), likely=False):
            lock.release(code, mutex)
            code.ret(_NOTHING)
        header = self._record(code, map, start)
        pages = code.shr(code.sub(code.integer(header), code.integer(map)), PAGE.bit_length() - 1)
        code.field(header, RecordHeader, "length").store(code.or_(code.resize(size, I32), BUSY))
        code.field(header, RecordHeader, "pages").store(code.resize(pages, I32))
        producer.store_release(end)
        lock.release(code, mutex)
        code.ret(code.at(header, HEADER_SIZE))
        return code.function

    def _emit_commit(self) -> ir.Function:
        """The record at which a pointer of `reserve` points is done. It finds its own ring, whichever shape's code
        this is: the paths of a program may disagree on the ring."""
        code = define(self.module, self.shape, "commit", Weight.HOT)
        header = code.at(code["record"], -HEADER_SIZE)
        length = code.field(header, RecordHeader, "length")
        pages = code.resize(code.field(header, RecordHeader, "pages").load(), I64)
        page = code.and_(code.integer(header), -PAGE)
        map = code.pointer(code.sub(page, code.mul(pages, PAGE)))
        discarded = code.select(code.compare(code["discard"], "!=", 0), ir.Constant(I32, DISCARD), 0)
        done = code.or_(code.xor(length.load(), BUSY), discarded)
        code.builder.atomic_rmw("xchg", code.typed(length.address, I32), done, "seq_cst")
        consumed = _position(code, map, CONSUMER).load_seq_cst()
        stopped = code.and_(consumed, code.field(map, RingState, "mask").load())
        here = code.sub(code.integer(header), code.integer(code.at(map, DATA)))
        flags = code["flags"]
        due = code.and_(code.compare(stopped, "==", here), code.compare(code.and_(flags, NO_WAKEUP), "==", 0))
        forced = code.compare(code.and_(flags, FORCE_WAKEUP), "!=", 0)
        with code.if_(code.or_(forced, due), likely=False):
            wake(code, code.field(map, RingState, "wake").load())
        code.ret(0)
        return code.function

    def _emit_output(self, reserve: ir.Function, commit: ir.Function) -> None:
        code = define(self.module, self.shape, "output")
        size, flags = code["size"], code["flags"]
        with code.if_(code.compare(code.and_(flags, ~(NO_WAKEUP | FORCE_WAKEUP)), "!=", 0), likely=False):
            code.ret(-errno.EINVAL)
        record = code.call(reserve, code["map"], size, 0)
        with code.if_(code.is_null(record), likely=False):
            code.ret(-errno.EAGAIN)
        code.copy(record, code["data"], size)
        code.call(commit, code["map"], record, flags, 0)
        code.ret(0)

    def _emit_query(self) -> None:
        code = define(self.module, self.shape, "query")
        produced, consumed = (_position(code, code["map"], page).load_acquire() for page in (PRODUCER, CONSUMER))
        answers = {
            AVAIL_DATA: code.sub(produced, consumed),
            RING_SIZE: ir.Constant(I64, self.shape.max_entries),
            CONS_POS: consumed,
            PROD_POS: produced,
        }
        answer: U64 = ir.Constant(I64, 0)
        for number, found in answers.items():
            answer = code.select(code.compare(code["what"], "==", number), found, answer)
        code.ret(answer)

    def _emit_drain(self) -> None:
        """Copy records out as they lie there, headers and all, until none is ready or `room` is full; the bytes used.

        The position is written when all that was there is taken, and if it moved, it is looked again: who came
        meanwhile relied upon that.
        """
        code = define(self.module, self.shape, "drain")
        map, out, room = code["map"], code["out"], code["room"]
        consumer = _position(code, map, CONSUMER)
        position, used = code.variable(I64, consumer.load()), code.variable(I64, 0)
        with code.loop() as rounds:
            begun = position.get()
            produced = _position(code, map, PRODUCER).load_seq_cst()
            with code.loop() as records:
                records.break_if(code.compare(position.get(), "==", produced))
                header = self._record(code, map, position.get())
                length = code.field(header, RecordHeader, "length").load_seq_cst()
                records.break_if(code.compare(code.and_(length, BUSY), "!=", 0))
                taken = _taken(code, code.resize(code.and_(length, LONGEST_RECORD), I64))
                with code.if_(code.compare(code.and_(length, DISCARD), "==", 0)):
                    records.break_if(code.compare(code.add(used.get(), taken), ">", room))
                    code.copy(code.at(out, used.get()), header, taken)
                    used.add(taken)
                position.add(taken)
            rounds.break_if(code.compare(position.get(), "==", begun))
            consumer.store_seq_cst(position.get())
        code.ret(used.get())

    def _record(self, code: Code, map: Pointer, position: U64) -> Pointer:
        """Where the header of the record at a position is."""
        return code.at(map, code.add(code.and_(position, self.mask), DATA))


def _position(code: Code, map: Pointer, page: int) -> Field[U64]:
    return Field(code, code.at(map, page), I64, 8)


def _taken(code: Code, size: U64) -> U64:
    """See `record_size`."""
    return code.and_(code.add(size, HEADER_SIZE + 7), ~7)


def _check(spec: MapSpec) -> None:
    check_key_size(spec, 0, 0, "a ringbuf has no keys: leave the key out")
    if spec.value_size:
        raise MapRefused(
            spec.name, spec.type, f"a value of {spec.value_size} bytes", hint="a ringbuf has no values: leave them out"
        )
    if spec.max_entries < PAGE or spec.max_entries & (spec.max_entries - 1):
        raise MapRefused(
            spec.name,
            spec.type,
            f"max_entries is {spec.max_entries}",
            hint=f"a ringbuf's max_entries is its size in bytes: a power of two, {PAGE} or more",
        )
    check_flags(spec, COMMON_FLAGS)


def _size(shape: Shape) -> int:
    return DATA + shape.max_entries


def _memory(shape: Shape, size: int) -> Layout:
    return Rings(DATA, shape.max_entries)


def _initialise(memory: Memory, shape: Shape) -> None:
    assert isinstance(memory, RingMemory)
    memory.write(0, bytes(RingState(wake=memory.wake, mask=shape.max_entries - 1)))


def _count(memory: Memory, shape: Shape) -> int:
    """Bytes that wait for the consumer, headers and all."""
    consumed, produced = (
        int.from_bytes(memory.read(page, ctypes.sizeof(ctypes.c_uint64)), "little") for page in (CONSUMER, PRODUCER)
    )
    return produced - consumed


RINGBUF = Kind(
    check=_check,
    size=_size,
    initialise=_initialise,
    count=_count,
    emit=lambda module, shape: RingBufferOperations(module, shape).emit(),
    operations=OPERATIONS,
    memory=_memory,
)

"""BPF_MAP_TYPE_PERF_EVENT_ARRAY: a ring of samples for every worker, with a count of those that were lost.

    map ─> ┌──────────┬───────────┬────────────────┐┌──────────┬─── ─ ─
           │ PerfRing │ DATA_SIZE │ the same again ││ PerfRing │            one ring for each worker
           └──────────┴───────────┴────────────────┘└──────────┴─── ─ ─

    sample  │ type 9 │ misc │ size │ length │ length bytes, zeros up to 8 │        types and sizes as in the kernel's
    lost    │ type 2 │ misc │ size │ id 64  │ how many 64                 │        PERF_RECORD_SAMPLE, PERF_RECORD_LOST

A worker writes to its own ring alone, so that there is no lock. Entry n of the array is worker n's ring, and is empty
until somebody listens (`Map.listen`). A ring without room counts what it loses, and tells that before the next sample.
Sources: kernel/trace/bpf_trace.c (bpf_event_output), kernel/events/ring_buffer.c, include/uapi/linux/perf_event.h.
"""

from __future__ import annotations

import ctypes
import errno

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.ir import I32, I64, U32, U64, Code, Pointer
from appliance.maps.checks import COMMON_FLAGS, ENTRIES_LIMIT, check_flags
from appliance.maps.errors import MapRefused
from appliance.maps.kind import CACHE_LINE, Kind, Shape, define
from appliance.maps.wake import wake
from appliance.memory import PAGE, Layout, Memory, RingMemory, Rings

DATA_SIZE = 64 * PAGE  # of each worker's ring; pages that no sample touched yet take no memory
STRIDE = PAGE + 2 * DATA_SIZE
CURRENT_CPU = (1 << 32) - 1  # BPF_F_CURRENT_CPU: the calling worker's own entry
PERF_RECORD_LOST, PERF_RECORD_SAMPLE = 2, 9
LOST_SIZE = 24
LONGEST = 0xFFF8  # bytes of a record, whose size has 16 bits


class PerfRing(ctypes.Structure):
    """`head`, `lost` are the worker's, `tail` is the consumer's; `open` says whether anybody listens."""

    _fields_ = (
        ("head", ctypes.c_uint64),
        ("lost", ctypes.c_uint64),
        ("wake", ctypes.c_uint32),
        ("open", ctypes.c_uint32),
        ("_rest_of_line", ctypes.c_uint64 * (CACHE_LINE // 8 - 3)),
        ("tail", ctypes.c_uint64),
    )


class SampleHeader(ctypes.Structure):
    """`struct perf_event_header`, and the length of a raw sample."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("misc", ctypes.c_uint16),
        ("size", ctypes.c_uint16),
        ("length", ctypes.c_uint32),
    )


class LostRecord(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32),
        ("misc", ctypes.c_uint16),
        ("size", ctypes.c_uint16),
        ("id", ctypes.c_uint64),
        ("lost", ctypes.c_uint64),
    )


def _emit(module: ir.Module, shape: Shape) -> None:
    _emit_sample(module, shape)
    _emit_drain(module, shape)


def _emit_sample(module: ir.Module, shape: Shape) -> None:
    code = define(module, shape, "sample")
    processor, size, packet_size = code["processor"], code["size"], code["packet_size"]
    asked = code.resize(code["index"], I32)
    index = code.select(code.compare(asked, "==", CURRENT_CPU), processor, asked)
    length = code.add(size, packet_size)
    taken = code.and_(code.add(length, SampleHeader.length.offset + 4 + 7), ~7)
    ring = _ring(code, index)
    for refused, number in (
        (code.compare(index, ">=", shape.max_entries or shape.processors), errno.E2BIG),
        (code.compare(index, ">=", shape.processors), errno.ENOENT),
    ):
        with code.if_(refused, likely=False):
            code.ret(-number)
    with code.if_(code.compare(code.field(ring, PerfRing, "open").load_acquire(), "==", 0), likely=False):
        code.ret(-errno.ENOENT)
    for refused, number in (
        (code.compare(index, "!=", processor), errno.EOPNOTSUPP),
        (code.compare(taken, ">", LONGEST), errno.E2BIG),
    ):
        with code.if_(refused, likely=False):
            code.ret(-number)
    head, lost = (code.field(ring, PerfRing, name) for name in ("head", "lost"))
    begun, missing = head.load(), lost.load()
    front = code.select(code.compare(missing, "==", 0), ir.Constant(I64, 0), LOST_SIZE)
    end = code.add(begun, code.add(front, taken))
    used = code.sub(end, code.field(ring, PerfRing, "tail").load_acquire())
    with code.if_(code.compare(used, ">", DATA_SIZE), likely=False):
        lost.add(1)
        code.ret(-errno.ENOSPC)
    with code.if_(code.compare(missing, "!=", 0), likely=False):
        _write(code, _place(code, ring, begun), LostRecord, type=PERF_RECORD_LOST, size=LOST_SIZE, id=0, lost=missing)
        lost.store(0)
    place = _place(code, ring, code.add(begun, front))
    code.store(ir.Constant(I64, 0), code.at(place, code.sub(taken, 8)))
    _write(code, place, SampleHeader, type=PERF_RECORD_SAMPLE, size=taken, length=length)
    body = code.at(place, SampleHeader.length.offset + 4)
    code.copy(body, code["data"], size)
    code.copy(code.at(body, size), code["packet"], packet_size)
    head.store_seq_cst(end)
    with code.if_(code.compare(code.field(ring, PerfRing, "tail").load_seq_cst(), "==", begun)):
        wake(code, code.field(ring, PerfRing, "wake").load())
    code.ret(0)


def _emit_drain(module: ir.Module, shape: Shape) -> None:
    """Copy the samples of one worker out as they lie there; the bytes used. `room` is DATA_SIZE or more. As a
    ringbuf's, it looks again once the position has moved."""
    code = define(module, shape, "drain")
    ring = _ring(code, code["processor"])
    head, tail = code.field(ring, PerfRing, "head"), code.field(ring, PerfRing, "tail")
    position, used = code.variable(I64, tail.load()), code.variable(I64, 0)
    with code.loop() as loop:
        ready = code.sub(head.load_seq_cst(), position.get())
        loop.break_if(code.compare(ready, "==", 0))
        loop.break_if(code.compare(code.add(used.get(), ready), ">", code["room"]))
        code.copy(code.at(code["out"], used.get()), _place(code, ring, position.get()), ready)
        used.add(ready)
        position.add(ready)
        tail.store_seq_cst(position.get())
    code.ret(used.get())


def _ring(code: Code, index: U32) -> Pointer:
    return code.at(code["map"], code.mul(code.resize(index, I64), STRIDE))


def _place(code: Code, ring: Pointer, position: U64) -> Pointer:
    return code.at(ring, code.add(code.and_(position, DATA_SIZE - 1), PAGE))


def _write(code: Code, place: Pointer, structure: type[ctypes.Structure], **values: U64 | int) -> None:
    """The structure at `place`, `misc` 0."""
    for name, value in {"misc": 0, **values}.items():
        field = code.field(place, structure, name)
        field.store(value if isinstance(value, int) else code.resize(value, field.type))


def _check(spec: MapSpec) -> None:
    if spec.key_size not in (0, 4) or spec.value_size not in (0, 4):
        raise MapRefused(
            spec.name,
            spec.type,
            f"a key of {spec.key_size} and a value of {spec.value_size} bytes",
            hint="declare both as 4-byte integers",
        )
    if not 0 <= spec.max_entries <= ENTRIES_LIMIT:
        raise MapRefused(spec.name, spec.type, f"max_entries is {spec.max_entries}", hint="leave it out")
    check_flags(spec, COMMON_FLAGS)


def _size(shape: Shape) -> int:
    return shape.processors * (PAGE + DATA_SIZE)


def _memory(shape: Shape, size: int) -> Layout:
    return Rings(PAGE, DATA_SIZE, shape.processors)


def _initialise(memory: Memory, shape: Shape) -> None:
    assert isinstance(memory, RingMemory)
    for number in range(shape.processors):
        memory.write(number * STRIDE, bytes(PerfRing(wake=memory.wake)))


def listen(memory: Memory, shape: Shape, on: bool) -> None:
    """Open or close the rings of the entries that the array has."""
    for number in range(min(shape.processors, shape.max_entries or shape.processors)):
        memory.write(number * STRIDE + PerfRing.open.offset, int(on).to_bytes(4, "little"))


def _count(memory: Memory, shape: Shape) -> int:
    """Bytes of samples that wait for the consumer."""
    rings = (
        PerfRing.from_buffer_copy(memory.read(n * STRIDE, ctypes.sizeof(PerfRing))) for n in range(shape.processors)
    )
    return sum(ring.head - ring.tail for ring in rings)


PERF_EVENT_ARRAY = Kind(
    check=_check,
    size=_size,
    initialise=_initialise,
    count=_count,
    emit=_emit,
    operations=("sample", "drain"),
    memory=_memory,
)

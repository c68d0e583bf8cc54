"""BPF_MAP_TYPE_ARRAY: max_entries values that are always there, under the indices 0, 1, 2 … (u32, host order).

    map ─> ┌─────────┬─────────┬─────────┬─── ─ ─
           │ value 0 │ value 1 │ value 2 │           each value_size, rounded up to 8
           └─────────┴─────────┴─────────┴─── ─ ─

A lookup is a comparison and an addition, written into the program at the place of the call. Entries can't be deleted
(EINVAL) or be new (EEXIST), and an index beyond the end is null to a lookup, E2BIG to an update.
Source: kernel/bpf/arraymap.c.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.ir import I32, I64, PTR, U32, Code, Number, Pointer
from appliance.maps.checks import ARRAY_FLAGS, check_flags, check_key_size, check_sizes
from appliance.maps.errors import NoSuchEntry
from appliance.maps.kind import EVERY_PROCESSOR, Flag, Kind, Shape, Weight, define
from appliance.maps.read import emit_read
from appliance.maps.value_lock import copy_in, copy_out, held, without_lock
from appliance.memory import Memory

INDEX_SIZE = 4

# (code, processor or None for all) -> where arrays of values begin
Copies = Callable[[Code, U32 | None], list[Pointer]]


def check(spec: MapSpec) -> None:
    """An array's keys are indices of 4 bytes."""
    check_sizes(spec)
    check_key_size(spec, INDEX_SIZE, INDEX_SIZE, "an array's key is an index: declare it as a 4-byte integer")
    check_flags(spec, ARRAY_FLAGS)


def _size(shape: Shape) -> int:
    return shape.max_entries * shape.value_stride


def nothing_to_initialise(memory: Memory, shape: Shape) -> None:
    """All zero is how an array starts."""


def count(memory: Memory, shape: Shape) -> int:
    """Every entry of an array is always there."""
    return shape.max_entries


def _direct_value(shape: Shape, key: bytes) -> int | None:
    index = int.from_bytes(key, "little")
    return index * shape.value_stride if len(key) == INDEX_SIZE and index < shape.max_entries else None


def _emit(module: ir.Module, shape: Shape) -> None:
    emit_array(module, shape, lambda code, processor: [code["map"]])


def emit_array(module: ir.Module, shape: Shape, copies: Copies) -> None:
    """The operations of an array of which there are one or, one for each processor, several copies."""
    _emit_lookup(module, shape, copies)
    emit_read(module, shape)
    _emit_update(module, shape, copies)
    _emit_delete(module, shape)
    _emit_next(module, shape, copies)


def _value_at(code: Code, shape: Shape, values: Pointer, index: Number) -> Pointer:
    return code.inside(values, code.mul(code.resize(index, I64), shape.value_stride))


def _emit_lookup(module: ir.Module, shape: Shape, copies: Copies) -> None:
    code = define(module, shape, "lookup", Weight.INLINE)
    index = code.load(code["key"], I32)
    with code.if_(code.compare(index, ">=", shape.max_entries), likely=False):
        code.ret(ir.Constant(PTR, None))
    (values,) = copies(code, code["processor"])
    code.ret(_value_at(code, shape, values, index))


def _emit_update(module: ir.Module, shape: Shape, copies: Copies) -> None:
    code = define(module, shape, "update")
    index, flags = code.load(code["key"], I32), without_lock(code, shape, code["flags"])
    for refused, number in (
        (code.compare(flags, ">", Flag.EXIST), errno.EINVAL),
        (code.compare(index, ">=", shape.max_entries), errno.E2BIG),
        (code.compare(flags, "==", Flag.NOEXIST), errno.EEXIST),
    ):
        with code.if_(refused, likely=False):
            code.ret(-number)
    with code.if_(code.compare(code["processor"], "==", EVERY_PROCESSOR)):
        for number, values in enumerate(copies(code, None)):
            source = code.at(code["value"], number * shape.value_size)
            _copy_in(code, shape, _value_at(code, shape, values, index), source)
        code.ret(0)
    (values,) = copies(code, code["processor"])
    _copy_in(code, shape, _value_at(code, shape, values, index), code["value"])
    code.ret(0)


def _copy_in(code: Code, shape: Shape, value: Pointer, source: Pointer) -> None:
    with held(code, shape, value, code["flags"]):
        copy_in(code, shape, value, source)


def _emit_delete(module: ir.Module, shape: Shape) -> None:
    code = define(module, shape, "delete", Weight.INLINE)
    code.ret(-errno.EINVAL)


def _emit_next(module: ir.Module, shape: Shape, copies: Copies) -> None:
    code = define(module, shape, "next")
    position = code["position"]
    with code.if_(code.compare(position, ">=", shape.max_entries)):
        code.ret(-errno.ENOENT)
    code.store(code.resize(position, I32), code["key_out"])
    with code.if_(code.builder.not_(code.is_null(code["value_out"]))):
        for number, values in enumerate(copies(code, None)):
            target = code.at(code["value_out"], number * shape.value_size)
            copy_out(code, shape, target, _value_at(code, shape, values, position))
    code.ret(code.add(position, 1))


FAILURES = {errno.E2BIG: NoSuchEntry}  # an array is never full: what does not fit is an index beyond its end

ARRAY = Kind(
    check=check,
    size=_size,
    initialise=nothing_to_initialise,
    count=count,
    emit=_emit,
    failures=FAILURES,
    direct_value=_direct_value,
)

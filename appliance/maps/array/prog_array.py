"""BPF_MAP_TYPE_PROG_ARRAY: max_entries places for programs, to which tail calls lead by their index (u32, host order).

    map ─> ┌──────────────┬──────────────┬──────────────┬─── ─ ─
           │ address or 0 │ address or 0 │ address or 0 │        i64 (HostContext *), 8 bytes each
           └──────────────┴──────────────┴──────────────┴─── ─ ─

Programs do nothing else with it: they neither look at it nor change it. What the control plane sees in it are numbers,
as everywhere (value_size 4); that, and how the code behind an address is kept, is in `prog_array_map`.
Source: prog_array_map_ops of kernel/bpf/arraymap.c.
"""

from __future__ import annotations

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.ir import I64, PTR, Field
from appliance.maps.array.array import INDEX_SIZE, nothing_to_initialise
from appliance.maps.checks import COMMON_FLAGS, check_flags, check_key_size, check_sizes
from appliance.maps.errors import MapRefused
from appliance.maps.kind import Kind, Shape, Weight, define
from appliance.memory import Memory

ADDRESS_SIZE = 8
NUMBER_SIZE = 4


def _check(spec: MapSpec) -> None:
    check_sizes(spec)
    check_key_size(spec, INDEX_SIZE, INDEX_SIZE, "an array's key is an index: declare it as a 4-byte integer")
    if spec.value_size != NUMBER_SIZE:
        hint = "to the control plane a program is a number: declare the value as a 4-byte integer"
        raise MapRefused(spec.name, spec.type, f"a value of {spec.value_size} bytes", hint=hint)
    check_flags(spec, COMMON_FLAGS)


def _size(shape: Shape) -> int:
    return shape.max_entries * ADDRESS_SIZE


def _count(memory: Memory, shape: Shape) -> int:
    """The places that are taken."""
    slots = memoryview(memory.read(0, _size(shape))).cast("Q")
    return sum(1 for address in slots if address)


def _emit(module: ir.Module, shape: Shape) -> None:
    code = define(module, shape, "program", Weight.INLINE)
    index = code["index"]
    with code.if_(code.compare(index, ">=", shape.max_entries), likely=False):
        code.ret(ir.Constant(PTR, None))
    slot = code.at(code["map"], code.mul(code.resize(index, I64), ADDRESS_SIZE))
    code.ret(code.pointer(Field(code, slot, I64, ADDRESS_SIZE).load_acquire()))


PROG_ARRAY = Kind(
    check=_check,
    size=_size,
    initialise=nothing_to_initialise,
    count=_count,
    emit=_emit,
    operations=("program",),
)

"""BPF_MAP_TYPE_PERCPU_ARRAY: an array of which every processor has a copy of its own, so that nothing is shared.

    map ─> ┌─────────────────────────────┬─────────────────────────────┬─── ─ ─
           │ value 0 │ value 1 │ … │ pad │ value 0 │ value 1 │ … │ pad │
           └─────────────────────────────┴─────────────────────────────┴─── ─ ─
             processor 0, whole cache lines  processor 1

A "processor" is a worker: one native thread, whose number the caller passes. A program sees only its own copy.
"""

from __future__ import annotations

from llvmlite import ir

from appliance.ir import I64, U32, Code, Pointer
from appliance.maps.array.array import FAILURES, check, count, emit_array, nothing_to_initialise
from appliance.maps.kind import CACHE_LINE, Kind, Shape, round_up


def _copy_size(shape: Shape) -> int:
    return round_up(shape.max_entries * shape.value_stride, CACHE_LINE)


def _size(shape: Shape) -> int:
    return shape.processors * _copy_size(shape)


def _emit(module: ir.Module, shape: Shape) -> None:
    size = _copy_size(shape)

    def copies(code: Code, processor: U32 | None) -> list[Pointer]:
        if processor is None:
            return [code.inside(code["map"], number * size) for number in range(shape.processors)]
        return [code.inside(code["map"], code.mul(code.resize(processor, I64), size))]

    emit_array(module, shape, copies)


PERCPU_ARRAY = Kind(
    check=check,
    size=_size,
    initialise=nothing_to_initialise,
    count=count,
    emit=_emit,
    failures=FAILURES,
    per_processor=True,
)

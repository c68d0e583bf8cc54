"""The table of map types, and what every module that works on maps needs of it: operations, written once per shape.

Programs call the operations themselves (internal functions, inlined where they are small), the control plane exported
wrappers of them.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.ir import PTR, Code, external
from appliance.maps.array.array import ARRAY
from appliance.maps.array.percpu_array import PERCPU_ARRAY
from appliance.maps.array.prog_array import PROG_ARRAY
from appliance.maps.array.redirect_arrays import CPUMAP, DEVMAP, XSKMAP
from appliance.maps.checks import check_lock, check_memory
from appliance.maps.errors import MapRefused
from appliance.maps.hash.bloom_filter import BLOOM_FILTER
from appliance.maps.hash.devmap_hash import DEVMAP_HASH
from appliance.maps.hash.hash import HASH
from appliance.maps.hash.lru_hash import LRU_HASH
from appliance.maps.hash.lru_percpu_hash import LRU_PERCPU_HASH
from appliance.maps.hash.percpu_hash import PERCPU_HASH
from appliance.maps.kind import Kind, Shape, Weight, internal
from appliance.maps.lpm.trie import LPM_TRIE
from appliance.maps.map_ops import SIGNATURES, MapOps
from appliance.maps.nested.nested import ARRAY_OF_MAPS, HASH_OF_MAPS
from appliance.maps.queues.queue import QUEUE
from appliance.maps.queues.stack import STACK
from appliance.maps.rings.perf_event_array import PERF_EVENT_ARRAY
from appliance.maps.rings.ringbuf import RINGBUF

KINDS: Mapping[MapType, Kind] = {
    MapType.ARRAY: ARRAY,
    MapType.PERCPU_ARRAY: PERCPU_ARRAY,
    MapType.HASH: HASH,
    MapType.LRU_HASH: LRU_HASH,
    MapType.PERCPU_HASH: PERCPU_HASH,
    MapType.LRU_PERCPU_HASH: LRU_PERCPU_HASH,
    MapType.LPM_TRIE: LPM_TRIE,
    MapType.QUEUE: QUEUE,
    MapType.STACK: STACK,
    MapType.BLOOM_FILTER: BLOOM_FILTER,
    MapType.RINGBUF: RINGBUF,
    MapType.PERF_EVENT_ARRAY: PERF_EVENT_ARRAY,
    MapType.PROG_ARRAY: PROG_ARRAY,
    MapType.DEVMAP: DEVMAP,
    MapType.DEVMAP_HASH: DEVMAP_HASH,
    MapType.CPUMAP: CPUMAP,
    MapType.XSKMAP: XSKMAP,
    MapType.ARRAY_OF_MAPS: ARRAY_OF_MAPS,
    MapType.HASH_OF_MAPS: HASH_OF_MAPS,
}


def exported_operations(kind: Kind) -> tuple[str, ...]:
    """The operations of the control plane, as `control_name` names them."""
    return kind.operations if kind.control is None else kind.control


def kind_of(spec: MapSpec) -> Kind:
    """The kind of map that `spec` declares. Raises MapRefused if there is none, or if the declaration is wrong."""
    kind = KINDS.get(spec.type)
    if kind is None:
        known = ", ".join(type_.value for type_ in KINDS)
        raise MapRefused(spec.name, spec.type, "this type of map does not exist here", hint=f"use one of {known}")
    kind.check(spec)
    check_lock(spec)
    if spec.inner is not None:
        kind_of(spec.inner)
    return kind


def memory_size(spec: MapSpec, processors: int) -> int:
    """How many bytes a map of that declaration takes. Raises MapRefused as `kind_of` does, and for too many."""
    size = kind_of(spec).size(Shape.of(spec, processors))
    check_memory(spec, size)
    return size


def emit_operations(module: ir.Module, spec: MapSpec, processors: int) -> MapOps:
    """The operations on maps of this shape, written into `module` when they are first asked for."""
    shape = Shape.of(spec, processors)
    kind = kind_of(spec)
    if f"{shape.name}.{kind.operations[0]}" not in module.globals:
        kind.emit(module, shape)
    return _complete(module, {operation: module.globals[f"{shape.name}.{operation}"] for operation in kind.operations})


def link_operations(module: ir.Module, spec: MapSpec, processors: int, *, lookup: bool) -> MapOps:
    """As `emit_operations`, but of a type that has much code the operations are only declared, save for the `lookup` if
    it is asked for: they are the control plane's code, which linking finds (`appliance.jit.linking`), so that a
    program's module compiles no more than the program gains by."""
    shape, kind = Shape.of(spec, processors), kind_of(spec)
    if kind.emit_lookup is None:
        return emit_operations(module, spec, processors)
    functions = {}
    for operation in kind.operations:
        signature = SIGNATURES[operation]
        name = control_name(shape, operation)
        functions[operation] = external(module, name, signature.result, *signature.parameters.values())
    if lookup:
        name = f"{shape.name}.lookup"
        if name not in module.globals:
            kind.emit_lookup(module, shape)
        functions["lookup"] = module.globals[name]
    return _complete(module, functions)


def _complete(module: ir.Module, functions: Mapping[str, ir.Function]) -> MapOps:
    """Those that the type has, and what is there in the place of the others."""
    return MapOps(
        **{
            operation: functions.get(operation)
            or functions.get(signature.otherwise)
            or _no_operation(module, operation)
            for operation, signature in SIGNATURES.items()
        }
    )


def _no_operation(module: ir.Module, operation: str) -> ir.Function:
    """What a type of map answers that doesn't have the operation: null, or -EINVAL. One for all shapes."""
    name = f"map.no.{operation}"
    if name not in module.globals:
        signature = SIGNATURES[operation]
        code = internal(module, name, signature.result, Weight.INLINE, **signature.parameters)
        code.ret(ir.Constant(PTR, None) if signature.result == PTR else -errno.EINVAL)
    return module.globals[name]


def control_name(shape: Shape, operation: str) -> str:
    """The exported name of an operation, for the control plane."""
    return f"{shape.name}.control.{operation}"


def export_operations(
    module: ir.Module, spec: MapSpec, processors: int, operations: Iterable[str] | None = None
) -> None:
    """Make operations of this shape, or those named alone, callable from outside of the module (the control plane finds
    them by `control_name`). What no exported one reaches is not compiled."""
    shape = Shape.of(spec, processors)
    functions = emit_operations(module, spec, processors)
    for operation in exported_operations(KINDS[spec.type]) if operations is None else operations:
        name, signature = control_name(shape, operation), SIGNATURES[operation]
        if name in module.globals:
            return
        code = Code.define(module, name, signature.result, linkage="external", **signature.parameters)
        code.ret(code.call(getattr(functions, operation), *code.function.args))

"""The table of map types, and what every module that works on maps needs of it: operations, written once per shape.

Programs call the operations themselves (internal functions, inlined where they are small). The control plane calls
exported wrappers, which add one operation: read(map, key, value out, processor, flags) copies a value out, so that
Python never follows a pointer into an entry that somebody else is about to delete.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from llvmlite import ir

from appliance.ebpf.spec import MapSpec, MapType
from appliance.ir import I32, I64, PTR, Code, external
from appliance.maps.array.array import ARRAY
from appliance.maps.array.percpu_array import PERCPU_ARRAY
from appliance.maps.array.prog_array import PROG_ARRAY
from appliance.maps.array.redirect_arrays import CPUMAP, DEVMAP, XSKMAP
from appliance.maps.checks import check_lock
from appliance.maps.errors import MapRefused
from appliance.maps.hash.bloom_filter import BLOOM_FILTER
from appliance.maps.hash.devmap_hash import DEVMAP_HASH
from appliance.maps.hash.hash import HASH
from appliance.maps.hash.lru_hash import LRU_HASH
from appliance.maps.hash.lru_percpu_hash import LRU_PERCPU_HASH
from appliance.maps.hash.percpu_hash import PERCPU_HASH
from appliance.maps.kind import SIGNATURES, Kind, MapFunctions, Shape, Weight, internal
from appliance.maps.lpm.trie import LPM_TRIE
from appliance.maps.nested.nested import ARRAY_OF_MAPS, HASH_OF_MAPS
from appliance.maps.queues.queue import QUEUE
from appliance.maps.queues.stack import STACK
from appliance.maps.rings.perf_event_array import PERF_EVENT_ARRAY
from appliance.maps.rings.ringbuf import RINGBUF
from appliance.maps.value_lock import copy_out, held

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
    """The operations of the control plane, as `control_name` names them; `read` stands in for `lookup`."""
    operations = kind.operations if kind.control is None else kind.control
    return tuple("read" if operation == "lookup" else operation for operation in operations)


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


def emit_operations(module: ir.Module, spec: MapSpec, processors: int) -> MapFunctions:
    """The operations on maps of this shape, written into `module` when they are first asked for."""
    shape = Shape.of(spec, processors)
    kind = kind_of(spec)
    if f"{shape.name}.{kind.operations[0]}" not in module.globals:
        kind.emit(module, shape)
    return MapFunctions(
        **{
            operation: module.globals[f"{shape.name}.{operation}"]
            if operation in kind.operations
            else _refusal(module, operation)
            for operation in SIGNATURES
        }
    )


def link_operations(module: ir.Module, spec: MapSpec, processors: int, *, lookup: bool) -> MapFunctions:
    """As `emit_operations`, but of a type that has much code the operations are only declared, save for the `lookup` if
    it is asked for: they are the control plane's code, which linking finds (`appliance.jit.linking`), so that a
    program's module compiles no more than the program gains by."""
    shape, kind = Shape.of(spec, processors), kind_of(spec)
    if kind.emit_lookup is None:
        return emit_operations(module, spec, processors)
    functions = {operation: _refusal(module, operation) for operation in SIGNATURES}
    for operation in kind.operations:
        result, parameters = SIGNATURES[operation]
        functions[operation] = external(module, control_name(shape, operation), result, *parameters.values())
    if lookup:
        name = f"{shape.name}.lookup"
        if name not in module.globals:
            kind.emit_lookup(module, shape)
        functions["lookup"] = module.globals[name]
    return MapFunctions(**functions)


def _refusal(module: ir.Module, operation: str) -> ir.Function:
    """What a type of map answers that doesn't have the operation: null, or -EINVAL. One for all shapes."""
    name = f"map.no.{operation}"
    if name not in module.globals:
        result, parameters = SIGNATURES[operation]
        code = internal(module, name, result, Weight.INLINE, **parameters)
        code.ret(ir.Constant(PTR, None) if result == PTR else -errno.EINVAL)
    return module.globals[name]


def control_name(shape: Shape, operation: str) -> str:
    """The exported name of an operation, for the control plane."""
    return f"{shape.name}.control.{operation}"


def export_operations(module: ir.Module, spec: MapSpec, processors: int) -> None:
    """Make the operations of this shape callable from outside of the module (the control plane finds them by name)."""
    shape = Shape.of(spec, processors)
    kind, functions = KINDS[spec.type], emit_operations(module, spec, processors)
    for operation in (*exported_operations(kind), *(("lookup",) if kind.emit_lookup else ())):
        name = control_name(shape, operation)
        if name in module.globals:
            return
        if operation == "read":
            _export_read(module, shape, functions.lookup)
        else:
            result, parameters = SIGNATURES[operation]
            code = Code.define(module, name, result, linkage="external", **parameters)
            code.ret(code.call(getattr(functions, operation), *code.function.args))


def _export_read(module: ir.Module, shape: Shape, lookup: ir.Function) -> None:
    """Copy, and look again: if the entry has moved meanwhile, what was copied may be another entry's value."""
    name = control_name(shape, "read")
    code = Code.define(module, name, I64, linkage="external", map=PTR, key=PTR, value_out=PTR, processor=I32, flags=I64)
    copied = code.variable(PTR, ir.Constant(PTR, None))
    with code.loop() as loop:
        value = code.call(lookup, code["map"], code["key"], code["processor"])
        with code.if_(code.is_null(value)):
            code.ret(-errno.ENOENT)
        loop.break_if(code.compare(code.integer(value), "==", code.integer(copied.get())))
        with held(code, shape, value, code["flags"]):
            copy_out(code, shape, code["value_out"], value)
        copied.set(value)
    code.ret(0)

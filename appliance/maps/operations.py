"""The table of map types, and what every module that works on maps needs of it: operations, written once per shape.

Programs call the operations themselves (internal functions, inlined where they are small). The control plane calls
exported wrappers, which add one operation: read(map, key, value out, processor) copies a value out, so that Python
never follows a pointer into an entry that somebody else is about to delete.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from llvmlite import ir

from appliance.ebpf.spec import MapSpec, MapType
from appliance.ir import I32, I64, PTR, Code
from appliance.maps.array import ARRAY
from appliance.maps.errors import MapRefused
from appliance.maps.hash import HASH
from appliance.maps.kind import SIGNATURES, Kind, MapFunctions, Shape
from appliance.maps.lpm_trie import LPM_TRIE
from appliance.maps.lru_hash import LRU_HASH
from appliance.maps.percpu_array import PERCPU_ARRAY

KINDS: Mapping[MapType, Kind] = {
    MapType.ARRAY: ARRAY,
    MapType.PERCPU_ARRAY: PERCPU_ARRAY,
    MapType.HASH: HASH,
    MapType.LRU_HASH: LRU_HASH,
    MapType.LPM_TRIE: LPM_TRIE,
}

FORWARDED = ("update", "delete", "next")


def kind_of(spec: MapSpec) -> Kind:
    """The kind of map that `spec` declares. Raises MapRefused if there is none, or if the declaration is wrong."""
    kind = KINDS.get(spec.type)
    if kind is None:
        known = ", ".join(type_.value for type_ in KINDS)
        raise MapRefused(spec.name, spec.type, "this type of map does not exist here", hint=f"use one of {known}")
    kind.check(spec)
    return kind


def emit_operations(module: ir.Module, spec: MapSpec, processors: int) -> MapFunctions:
    """The operations on maps of this shape, written into `module` when they are first asked for."""
    shape = Shape.of(spec, processors)
    names = [f"{shape.name}.{operation}" for operation in SIGNATURES]
    if names[0] in module.globals:
        return MapFunctions(*(module.globals[name] for name in names))
    return kind_of(spec).emit(module, shape)


def control_name(shape: Shape, operation: str) -> str:
    """The exported name of an operation, for the control plane."""
    return f"{shape.name}.control.{operation}"


def export_operations(module: ir.Module, spec: MapSpec, processors: int) -> None:
    """Make the operations of this shape callable from outside of the module (`Map.bind` finds them by name)."""
    shape = Shape.of(spec, processors)
    if control_name(shape, "read") in module.globals:
        return
    functions = emit_operations(module, spec, processors)
    for operation in FORWARDED:
        result, parameters = SIGNATURES[operation]
        code = Code.define(module, control_name(shape, operation), result, linkage="external", **parameters)
        code.ret(code.call(getattr(functions, operation), *code.function.args))
    _export_read(module, shape, functions.lookup)


def _export_read(module: ir.Module, shape: Shape, lookup: ir.Function) -> None:
    """Copy, and look again: if the entry has moved meanwhile, what was copied may be another entry's value."""
    name = control_name(shape, "read")
    code = Code.define(module, name, I64, linkage="external", map=PTR, key=PTR, value_out=PTR, processor=I32)
    copied = code.variable(PTR, ir.Constant(PTR, None))
    with code.loop() as loop:
        value = code.call(lookup, code["map"], code["key"], code["processor"])
        with code.if_(code.is_null(value)):
            code.ret(-errno.ENOENT)
        loop.break_if(code.compare(code.integer(value), "==", code.integer(copied.get())))
        code.copy(code["value_out"], value, shape.value_size)
        copied.set(value)
    code.ret(0)

"""The control plane's code: an operation of one shape, compiled when it is first called and shared by all maps.

A program's code has the operations that the program calls, written into it. What Python calls is the same for every map
of a shape, whatever programs come and go; so it is compiled once, and most of it never, as most maps are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.ir import Engine
from appliance.maps.kind import Shape
from appliance.maps.operations import export_operations

REMEMBERED = 256  # operations of shapes


def control_plane_of(spec: MapSpec, processors: int, operation: str, *, among: Iterable[str] = ()) -> Engine:
    """The engine that has that operation of maps of this declaration, exported by its `control_name`.

    If it is not there yet it is compiled in one module with those `among` which it is called: what they have in common
    (lookup and update of a hash: to find the key) is then compiled once. Nothing else is: a program that updates a map
    need not wait until walks and deletions are compiled as well.

    Nobody closes it: the functions that were taken from it keep it, as long as there are any.
    """
    module = _Module(Shape.of(spec, processors).name, tuple(sorted({operation, *among})), spec, processors)
    return _found(_Operation(operation, module.shape, module))


def operations_module(spec: MapSpec, processors: int, operations: Iterable[str]) -> ir.Module:
    """A module that exports those operations of maps of this declaration, and is called like their shape."""
    written = ir.Module(Shape.of(spec, processors).name)
    export_operations(written, spec, processors, operations)
    return written


@dataclass(frozen=True, slots=True)
class _Module:
    """By the shape's name: maps that share their code share it here, too."""

    shape: str
    operations: tuple[str, ...]
    spec: MapSpec = field(compare=False)
    processors: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Operation:
    """It is the same in whichever module it is."""

    name: str
    shape: str
    module: _Module = field(compare=False)


@lru_cache(REMEMBERED)
def _found(operation: _Operation) -> Engine:
    """Where the operation was compiled first."""
    return _compiled(operation.module)


@lru_cache(REMEMBERED)
def _compiled(module: _Module) -> Engine:
    return Engine(operations_module(module.spec, module.processors, module.operations))

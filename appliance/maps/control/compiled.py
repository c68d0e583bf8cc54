"""The control plane's code: an operation of one shape, compiled when it is first called and shared by all maps.

A program's code has the operations that the program calls, written into it. What Python calls is the same for every map
of a shape, whatever programs come and go; so it is compiled once, and most of it never, as most maps are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.ir import Engine
from appliance.maps.kind import Shape
from appliance.maps.operations import export_operations

REMEMBERED = 256  # operations of shapes


def control_plane_of(spec: MapSpec, processors: int, operation: str) -> Engine:
    """The engine that has that operation of maps of this declaration, exported by its `control_name`. Each has one of
    its own: a program that updates a map need not wait until walks and deletions are compiled as well.

    Nobody closes it: the functions that were taken from it keep it, as long as there are any.
    """
    return _compiled(_Key(Shape.of(spec, processors).name, operation, spec, processors))


@dataclass(frozen=True, slots=True)
class _Key:
    """By the shape's name: maps that share their code share it here, too."""

    shape: str
    operation: str
    spec: MapSpec = field(compare=False)
    processors: int = field(compare=False)


@lru_cache(REMEMBERED)
def _compiled(key: _Key) -> Engine:
    module = ir.Module(key.shape)
    export_operations(module, key.spec, key.processors, (key.operation,))
    return Engine(module)

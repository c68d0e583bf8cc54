"""The control plane's code: the operations of one shape, compiled when one is first called and shared by all maps.

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

REMEMBERED = 64  # shapes


def control_plane_of(spec: MapSpec, processors: int) -> Engine:
    """The engine that has the exported operations of maps of this declaration (`control_name`).

    Nobody closes it: the functions that were taken from it keep it, as long as there are any.
    """
    return _compiled(_Key(Shape.of(spec, processors).name, spec, processors))


@dataclass(frozen=True, slots=True)
class _Key:
    """By the shape's name: maps that share their code share it here, too."""

    shape: str
    spec: MapSpec = field(compare=False)
    processors: int = field(compare=False)


@lru_cache(REMEMBERED)
def _compiled(key: _Key) -> Engine:
    module = ir.Module(key.shape)
    export_operations(module, key.spec, key.processors)
    return Engine(module)

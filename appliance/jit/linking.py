"""What a load's code names, and where that is: the memory of its maps, and operations on them that it only calls.

Operations that are small or hot are written into the program's module. The others are the control plane's code, each
operation compiled once for all maps of a shape (appliance.maps.control.compiled), and together with the others that the
program calls; it calls them by address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from appliance.ebpf.spec import MapSpec
from appliance.ir import Engine, NativeCode
from appliance.jit.build_key import BuildKey
from appliance.maps.control.compiled import control_plane_of
from appliance.maps.control.map import Map
from appliance.maps.kind import Shape
from appliance.maps.operations import control_name


@dataclass(frozen=True, slots=True)
class CalledOperations:
    """The operations of one shape of maps that code calls, by their names without the shape's."""

    spec: MapSpec
    processors: int
    operations: tuple[str, ...]


def called_operations(key: BuildKey, code: NativeCode) -> Iterator[CalledOperations]:
    """What the key's code calls of the control plane's, each shape once, in the order of the maps."""
    seen = set()
    for spec, processors in _specs(key):
        begin = control_name(Shape.of(spec, processors), "")
        operations = sorted(name.removeprefix(begin) for name in code.symbols if name.startswith(begin))
        if operations and begin not in seen:
            seen.add(begin)
            yield CalledOperations(spec, processors, tuple(operations))


def link(key: BuildKey, code: NativeCode, maps: Mapping[str, Map]) -> Engine:
    """The code of the key, at work on these maps."""
    symbols = {part.symbol: maps[part.name].address for part in key.maps}
    needed = set()
    for called in called_operations(key, code):
        shape = Shape.of(called.spec, called.processors)
        for operation in called.operations:
            plane = control_plane_of(called.spec, called.processors, operation, among=called.operations)
            name = control_name(shape, operation)
            symbols[name] = plane.address(name)
            needed.add(plane)
    return Engine(code, symbols, needed=needed)


def _specs(key: BuildKey) -> Iterator[tuple[MapSpec, int]]:
    """Of every map, and of those that maps of maps hold."""
    for part in key.maps:
        yield part.spec, part.processors
        if part.spec.inner is not None:
            yield part.spec.inner, part.processors

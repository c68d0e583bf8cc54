"""What a load's code names, and where that is: the memory of its maps, and operations on them that it only calls.

Operations that are small or hot are written into the program's module. The others are the control plane's code, each
operation compiled once for all maps of a shape (appliance.maps.control.compiled), and together with the others that the
program calls; it calls them by address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from appliance.ebpf.spec import MapSpec
from appliance.ir import Engine, NativeCode
from appliance.jit.build_key import BuildKey
from appliance.maps.control.compiled import control_plane_of
from appliance.maps.control.map import Map
from appliance.maps.kind import Shape
from appliance.maps.operations import control_name


def link(key: BuildKey, code: NativeCode, maps: Mapping[str, Map]) -> Engine:
    """The code of the key, at work on these maps."""
    symbols = {part.symbol: maps[part.name].address for part in key.maps}
    needed = set()
    for spec, processors in _specs(key):
        begin = control_name(Shape.of(spec, processors), "")
        called = {name: name.removeprefix(begin) for name in code.symbols if name.startswith(begin)}
        for name, operation in called.items():
            plane = control_plane_of(spec, processors, operation, among=called.values())
            symbols[name] = plane.address(name)
            needed.add(plane)
    return Engine(code, symbols, needed=needed)


def _specs(key: BuildKey) -> Iterator[tuple[MapSpec, int]]:
    """Of every map, and of those that maps of maps hold."""
    for part in key.maps:
        yield part.spec, part.processors
        if part.spec.inner is not None:
            yield part.spec.inner, part.processors

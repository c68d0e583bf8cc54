"""Opening maps: which control plane a declaration gets."""

from __future__ import annotations

from appliance.ebpf.spec import MapSpec
from appliance.maps.kind import NESTED
from appliance.maps.map import Map
from appliance.maps.map_of_maps import MapOfMaps


def control_plane(spec: MapSpec) -> type[Map]:
    """The class whose `open` makes such a map."""
    return MapOfMaps if spec.type in NESTED else Map


def open_map(spec: MapSpec, processors: int = 1) -> Map:
    """Open a map that can be used at once, without a program: compiles the operations of its shape."""
    opened = control_plane(spec).open(spec, processors)
    opened.stand_alone()
    return opened

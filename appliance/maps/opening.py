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
    """Open a map and put its declared contents in. Raises what `Map.open` and `fill` raise."""
    opened = control_plane(spec).open(spec, processors)
    try:
        opened.fill()
    except BaseException:
        opened.close()
        raise
    return opened

"""Opening maps: which control plane a declaration gets."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps.control.map import Map
from appliance.maps.control.map_of_maps import MapOfMaps
from appliance.maps.control.prog_array import ProgArray

_CLASSES: Mapping[MapType, type[Map]] = {
    MapType.ARRAY_OF_MAPS: MapOfMaps,
    MapType.HASH_OF_MAPS: MapOfMaps,
    MapType.PROG_ARRAY: ProgArray,
}


def control_plane(spec: MapSpec) -> type[Map]:
    """The class whose `open` makes such a map."""
    return _CLASSES.get(spec.type, Map)


def open_map(spec: MapSpec, processors: int = 1) -> Map:
    """Open a map and put its declared contents in. Raises what `Map.open` and `fill` raise."""
    opened = control_plane(spec).open(spec, processors)
    try:
        opened.fill()
    except BaseException:
        opened.close()
        raise
    return opened

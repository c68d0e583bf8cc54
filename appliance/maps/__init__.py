"""Maps: memory that programs and the control plane share, one file for each map type.

with Map.open(spec, processors=2) as map:
    map.update(key, value)
"""

from appliance.maps.control.map import Map
from appliance.maps.control.map_of_maps import MapOfMaps
from appliance.maps.control.opening import open_map
from appliance.maps.errors import (
    EntryExists,
    MapError,
    MapFrozen,
    MapFull,
    MapRefused,
    MapUnreadable,
    NoSuchEntry,
    OperationRefused,
)
from appliance.maps.kind import Flag
from appliance.maps.map_ops import MapOps
from appliance.maps.model.map import ModelMap
from appliance.maps.model.models import MODELS, model, models
from appliance.maps.operations import KINDS, emit_operations, export_operations

__all__ = [
    "KINDS",
    "MODELS",
    "EntryExists",
    "Flag",
    "Map",
    "MapError",
    "MapFrozen",
    "MapFull",
    "MapOfMaps",
    "MapOps",
    "MapRefused",
    "MapUnreadable",
    "ModelMap",
    "NoSuchEntry",
    "OperationRefused",
    "emit_operations",
    "export_operations",
    "model",
    "models",
    "open_map",
]

"""Values of maps and variables as JSON has them, and as a line: bytes become hex digits, everything else stays."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from appliance.api import Loaded
from appliance.ebpf.map_types import MapType
from appliance.maps import KINDS, Map
from appliance.maps.operations import exported_operations

ARRAYS = (MapType.ARRAY, MapType.PERCPU_ARRAY)


def plain(value: Any) -> Any:
    """A decoded value as JSON can say it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def line(value: Any) -> str:
    """A value in one line."""
    return json.dumps(plain(value), ensure_ascii=False)


def dump_maps(loaded: Loaded) -> dict[str, list[dict[str, Any]]]:
    """By map, its entries, of those whose entries are bytes; without those of arrays that are zero.

    An entry has `key` and `value`. In a map without keys it has a `value` alone, and is taken out to be looked at.
    """
    found = {}
    for name, map_ in loaded.maps.items():
        operations = exported_operations(KINDS[map_.spec.type])
        if "pop" in operations:
            found[name] = list(_taken(loaded, name))
        elif "next" in operations and not map_.spec.variables:
            found[name] = list(_read(loaded, name, map_))
    return found


def dump_variables(loaded: Loaded) -> dict[str, Any]:
    """By variable, its value; constants left out."""
    sections = [map_.spec for map_ in loaded.maps.values() if not map_.spec.read_only]
    return {
        variable.name: plain(loaded.variables.value(variable.name)) for spec in sections for variable in spec.variables
    }


def _taken(loaded: Loaded, name: str) -> Iterator[dict[str, Any]]:
    queue = loaded.typed_queue(name)
    while len(queue):
        yield {"value": plain(queue.pop())}


def _read(loaded: Loaded, name: str, map_: Map) -> Iterator[dict[str, Any]]:
    typed = loaded.typed(name)
    for key, value in map_.items():
        if map_.spec.type not in ARRAYS or any(value):
            yield {"key": plain(typed.key_codec.decode(key)), "value": plain(typed.value_of(value))}

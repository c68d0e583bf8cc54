"""Whether a map may be put into a map of maps: programs work on it with the code that was written for `inner`.

Source: bpf_map_meta_equal of kernel/bpf/map_in_map.c, and each type's own. Here the number of entries may differ where
code reads it from the map itself, which for hashes it does.
"""

from __future__ import annotations

from appliance.ebpf.spec import MapSpec
from appliance.maps.kind import SIZED_AT_RUN_TIME


def misfit(inner: MapSpec, given: MapSpec) -> str | None:
    """Why a map that was declared as `given` is not like `inner`, in words that follow its name; None if it is."""
    wanted, found = _traits(inner), _traits(given)
    for name, value in wanted.items():
        if found[name] != value:
            return f"has {name} {found[name]}, and {value} is declared"
    return None


def _traits(spec: MapSpec) -> dict[str, object]:
    traits: dict[str, object] = {
        "type": spec.type.value,
        "key_size": spec.key_size,
        "value_size": spec.value_size,
        "map_flags": spec.flags,
        "read_only": spec.read_only,
        "a lock at byte": spec.lock,
    }
    if spec.type not in SIZED_AT_RUN_TIME:
        traits["max_entries"] = spec.max_entries
    return traits

"""What two maps must agree on for one to stand in for the other."""

from __future__ import annotations

from appliance.ebpf.spec import MapSpec
from appliance.maps.nested.inner import misfit


def mismatch(declared: MapSpec, given: MapSpec, *, exact: bool = False) -> str | None:
    """In words, how a map that was declared as `given` is not what `declared` asks for; None if it is.

    `exact`: the number of entries counts, too. Source: map_is_reuse_compat of libbpf.
    """
    wanted, found = _traits(declared, exact=exact), _traits(given, exact=exact)
    for name, value in wanted.items():
        if found[name] != value:
            return f"it needs {name} {value}, and {given.name!r} has {found[name]}"
    if declared.inner is not None and given.inner is not None:
        reason = misfit(declared.inner, given.inner)
        return None if reason is None else f"it holds maps like {given.inner.name!r}, which {reason}"
    return None


def _traits(spec: MapSpec, *, exact: bool) -> dict[str, object]:
    traits: dict[str, object] = {
        "type": spec.type.value,
        "key_size": spec.key_size,
        "value_size": spec.value_size,
        "flags": spec.flags,
        "read_only": spec.read_only,
        "a lock at byte": spec.lock,
    }
    return traits | {"max_entries": spec.max_entries} if exact else traits

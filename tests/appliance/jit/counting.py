"""A program that counts, and the map that it counts in."""

from __future__ import annotations

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec

HITS = MapSpec("hits", MapType.ARRAY, 4, 8, 4)
KEY = (3).to_bytes(4, "little")  # the entry that it counts up
COUNT = """
    *(u32 *)(r10 - 4) = 3
    r2 = r10
    r2 += -4
    r1 = map[hits] ll
    call map_lookup_elem
    if r0 == 0 goto out
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
out:
    r0 = 2
    exit
"""


def number(value: bytes | None) -> int:
    assert value is not None
    return int.from_bytes(value, "little")

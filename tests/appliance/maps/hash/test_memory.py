"""Where a hash lies: a large one that fills up, in huge pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import open_map


def _advised(address: int) -> bool:
    """Whether the kernel was asked for huge pages where that address is (VmFlags `hg`, proc_pid_smaps(5))."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            start, end = (int(part, 16) for part in first.split("-"))
            inside = start <= address < end
        elif inside and first == "VmFlags:":
            return " hg" in line
    raise AssertionError(f"nothing is mapped at {address:#x}")


@pytest.mark.parametrize(
    ("kind", "entries", "huge"),
    [(MapType.LRU_HASH, 1000, False), (MapType.LRU_HASH, 262_144, True), (MapType.HASH, 262_144, False)],
)
def test_only_a_large_one_that_fills_up_asks_for_huge_pages(kind: MapType, entries: int, huge: bool) -> None:
    with open_map(MapSpec("m", kind, 40, 48, entries)) as opened:
        assert _advised(opened.address) is huge
        opened.update(bytes(40), bytes(48))
        assert opened.lookup(bytes(40)) == bytes(48)

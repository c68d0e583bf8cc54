"""Maps of maps for tests: declarations, entries as bytes, and programs that work on the maps that they find."""

from __future__ import annotations

from dataclasses import replace

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import CollectionSpec, MapSpec
from tests.appliance.maps.three_engines import ANSWER, program

TYPES = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)
INNER = {
    "hash": MapSpec("m.inner", MapType.HASH, 4, 8, 4),
    "lru_hash": MapSpec("m.inner", MapType.LRU_HASH, 4, 8, 1000),
    "array": MapSpec("m.inner", MapType.ARRAY, 4, 8, 4),
    "percpu_array": MapSpec("m.inner", MapType.PERCPU_ARRAY, 4, 8, 4),
    "percpu_hash": MapSpec("m.inner", MapType.PERCPU_HASH, 4, 8, 4),
    "lru_percpu_hash": MapSpec("m.inner", MapType.LRU_PERCPU_HASH, 4, 8, 1000),
}
HASH = INNER["hash"]


def key(number: int) -> bytes:
    return number.to_bytes(4, "little")


def word(number: int) -> bytes:
    return number.to_bytes(8, "little")


def outer_of(
    inner: MapSpec, type_: MapType = MapType.ARRAY_OF_MAPS, values: tuple[tuple[int, str], ...] = ()
) -> MapSpec:
    return MapSpec("m", type_, 4, 4, 4, inner=inner, values=values)


def find(at: int, label: str) -> str:
    """r6 = the map under `at`, or on to the label."""
    looked_up = f"*(u32 *)(r10 - 20) = {at}; r2 = r10; r2 += -20; r1 = map[m] ll; call map_lookup_elem;"
    return f"{looked_up} if r0 == 0 goto {label}; r6 = r0;"


def put(at: int, key_: int, value: int, label: str) -> str:
    """Update in the map under `at`; r7 takes the answer in."""
    arguments = f"*(u32 *)(r10 - 24) = {key_}; *(u64 *)(r10 - 32) = {value}; r2 = r10; r2 += -24;"
    arguments += "r3 = r10; r3 += -32;"
    return f"{find(at, label)} {arguments} r4 = 0; r1 = r6; call map_update_elem; {label}: r7 *= 31; r7 += r0;"


def read(at: int, key_: int, label: str) -> str:
    """Look up in the map under `at`; r7 takes the value in, and the value counts up."""
    looked_up = f"*(u32 *)(r10 - 24) = {key_}; r2 = r10; r2 += -24; r1 = r6; call map_lookup_elem;"
    found = f"if r0 == 0 goto {label}; r1 = *(u64 *)(r0 + 0); r7 += r1; r1 += 1; *(u64 *)(r0 + 0) = r1;"
    return f"{find(at, label)} {looked_up} {found} {label}: r7 *= 31;"


STEPS = [
    put(1, 2, 77, "a"),
    read(1, 2, "b"),
    read(1, 2, "c"),
    read(0, 2, "d"),
    put(3, 2, 5, "e"),
    read(1, 9, "f"),
    put(0, 2, 400, "g"),
    read(0, 2, "h"),
    read(1, 2, "i"),
]


def collection(inner: MapSpec, type_: MapType) -> CollectionSpec:
    """`first` at 1 and `second` at 0; nothing at 2 and 3."""
    maps = {
        "m": outer_of(inner, type_, ((0, "second"), (1, "first"))),
        "first": replace(inner, name="first"),
        "second": replace(inner, name="second"),
        "answer": ANSWER,
    }
    return CollectionSpec("test.o", "linux", {"test": program(STEPS)}, maps)

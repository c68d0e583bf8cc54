"""Maps as objects declared them before BTF: structures of numbers in a section `maps`.

    linux     type | key_size | value_size | max_entries | map_flags | inner_map_idx
    iproute2  type | key_size | value_size | max_entries | map_flags | id | pinning | inner_id | inner_map_idx
    windows   type | key_size | value_size | max_entries | inner_map_idx | pinning | id | inner_id

They are u32 each, and a short structure ends in zeros. iproute2's is known by its size. What a longer structure says
beyond that is for a loader of its own: of Linux it is let be, as its first words say the same for all of them, and of
Windows it must be 0. A map of maps names a map of its section as what those in it are like: by its place
among the definitions, from 0, or by the `id` that it has.
Sources: samples/bpf/bpf_load.h of Linux 4.12, include/bpf_elf.h of iproute2, ebpf_structs.h of eBPF for Windows.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from appliance.ebpf.elf.elf import ElfFile, Section, Symbol
from appliance.ebpf.map_types import MapType
from appliance.ebpf.object_errors import ObjectError, UnsupportedObject
from appliance.ebpf.platform import LINUX, Platform
from appliance.ebpf.spec import MapSpec

LIBBPF_PIN_BY_NAME = 1

_FIELDS = {
    "linux": ("type", "key_size", "value_size", "max_entries", "map_flags", "inner_map_idx"),
    "windows": ("type", "key_size", "value_size", "max_entries", "inner_map_idx", "pinning", "id", "inner_id"),
}
_IPROUTE2 = (*_FIELDS["linux"][:-1], "id", "namespace", "inner_id", "inner_map_idx")
_FIELD_SIZE = 4
_LEAST = 4  # bytes: a map without a type is none
_MAPS_OF_MAPS = frozenset({MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})

_Numbers: TypeAlias = Mapping[str, int]  # a definition's fields by name


def legacy_maps(elf: ElfFile, platform: Platform) -> dict[tuple[int, int], MapSpec]:
    """The maps of all `maps` sections, by section index and byte. Raises ObjectError."""
    found: dict[tuple[int, int], MapSpec] = {}
    for section in elf.sections:
        if section.name != "maps" and not section.name.startswith("maps/"):
            continue
        if elf.relocations.get(section.index):
            raise ObjectError("a definition of a map holds an address", where=f"section {section.name}")
        found |= _section_maps(elf, section, platform)
    return dict(sorted(found.items()))


def _section_maps(elf: ElfFile, section: Section, platform: Platform) -> dict[tuple[int, int], MapSpec]:
    found: dict[int, tuple[MapSpec, _Numbers]] = {}
    for symbol in elf.symbols:
        if symbol.section != section.index or not symbol.name or symbol.type == "STT_SECTION":
            continue
        if symbol.value in found:
            known = found[symbol.value][0].name
            raise ObjectError(f"{known} and {symbol.name} lie in one place", where=f"section {section.name}")
        numbers = _numbers(symbol, section, platform)
        found[symbol.value] = _definition(symbol.name, numbers, platform), numbers
    in_order = [found[place] for place in sorted(found)]
    return {
        (section.index, place): replace(spec, inner=_inner(*found[place], in_order))
        for place, (spec, _) in found.items()
    }


def _numbers(symbol: Symbol, section: Section, platform: Platform) -> _Numbers:
    where, fields = f"map {symbol.name}", _fields(symbol, platform)
    data = section.data[symbol.value : symbol.value + symbol.size]
    if len(data) != symbol.size or not _LEAST <= symbol.size <= len(section.data):
        raise ObjectError(f"{symbol.size} bytes at byte {symbol.value} define no map", where=where)
    size = _FIELD_SIZE * len(fields)
    numbers = dict(zip(fields, struct.unpack(f"<{len(fields)}I", data[:size].ljust(size, b"\0")), strict=True))
    nested = platform.map_types.get(numbers["type"]) in _MAPS_OF_MAPS
    beyond = any(data[size:]) or (not nested and (numbers["inner_map_idx"] or numbers.get("inner_id")))
    if beyond and platform is not LINUX:
        raise UnsupportedObject(
            "extended legacy map definitions",
            "the definition says more than struct bpf_map_def does",
            where=where,
            hint='declare the map with __uint and __type in SEC(".maps")',
        )
    return numbers


def _fields(symbol: Symbol, platform: Platform) -> tuple[str, ...]:
    if platform is LINUX and symbol.size == _FIELD_SIZE * len(_IPROUTE2):
        return _IPROUTE2
    return _FIELDS[platform.name]


def _definition(name: str, numbers: _Numbers, platform: Platform) -> MapSpec:
    where, number, pinning = f"map {name}", numbers["type"], numbers.get("pinning", 0)
    type_ = platform.map_types.get(number)
    if type_ is None:
        raise UnsupportedObject(
            f"map type {number}",
            f"the platform {platform.name} has no map type {number} that is known here",
            where=where,
        )
    if pinning > LIBBPF_PIN_BY_NAME:
        raise ObjectError(f"there is no pinning {pinning}", where=where, hint="use LIBBPF_PIN_BY_NAME")
    sizes = numbers["key_size"], numbers["value_size"], numbers["max_entries"]
    return MapSpec(name, type_, *sizes, numbers.get("map_flags", 0), pinned=bool(pinning or numbers.get("namespace")))


def _inner(outer: MapSpec, numbers: _Numbers, section: Sequence[tuple[MapSpec, _Numbers]]) -> MapSpec | None:
    """What the maps in a map of maps are like: one of the section's maps."""
    if outer.type not in _MAPS_OF_MAPS:
        return None
    wanted, place = numbers.get("inner_id", 0), numbers["inner_map_idx"]
    if wanted:
        meant = [spec for spec, other in section if other.get("id") == wanted]
        what = f"{len(meant)} maps of the section have the id {wanted}"
    else:
        meant = [section[place][0]] if place < len(section) else []
        what = f"the section has no map number {place}"
    if len(meant) != 1 or meant[0].type in _MAPS_OF_MAPS:
        what = what if len(meant) != 1 else f"{meant[0].name} is a map of maps itself"
        raise ObjectError(what, where=f"map {outer.name}", hint="name one map that is like those in it")
    return replace(meant[0], name=f"{outer.name}.inner", pinned=False)

"""Maps as objects declared them before BTF: structures of numbers in a section `maps`.

    struct bpf_map_def    type | key_size | value_size | max_entries | map_flags     u32 each; a short one ends in zeros

What a longer structure says beyond that must be 0: loaders of old had fields of their own there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from appliance.ebpf.elf import ElfFile, Section, Symbol
from appliance.ebpf.object_errors import ObjectError, UnsupportedObject
from appliance.ebpf.platform import Platform
from appliance.ebpf.spec import MapSpec, MapType

_DEFINITION = struct.Struct("<IIIII")
_LEAST = 4  # bytes: a map without a type is none
_MAPS_OF_MAPS = frozenset({MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})


def legacy_maps(elf: ElfFile, platform: Platform) -> dict[tuple[int, int], MapSpec]:
    """The maps of all `maps` sections, by section index and byte. Raises ObjectError."""
    found: dict[tuple[int, int], MapSpec] = {}
    for section in elf.sections:
        if section.name != "maps" and not section.name.startswith("maps/"):
            continue
        if elf.relocations.get(section.index):
            raise ObjectError("a definition of a map holds an address", where=f"section {section.name}")
        for symbol in _definitions(elf, section):
            place = section.index, symbol.value
            if place in found:
                raise ObjectError(
                    f"{found[place].name} and {symbol.name} lie in one place", where=f"section {section.name}"
                )
            found[place] = _definition(symbol, section, platform)
    return dict(sorted(found.items()))


def _definitions(elf: ElfFile, section: Section) -> Iterator[Symbol]:
    for symbol in elf.symbols:
        if symbol.section == section.index and symbol.name and symbol.type != "STT_SECTION":
            yield symbol


def _definition(symbol: Symbol, section: Section, platform: Platform) -> MapSpec:
    where = f"map {symbol.name}"
    data = section.data[symbol.value : symbol.value + symbol.size]
    if len(data) != symbol.size or not _LEAST <= symbol.size <= len(section.data):
        raise ObjectError(f"{symbol.size} bytes at byte {symbol.value} define no map", where=where)
    if any(data[_DEFINITION.size :]):
        raise UnsupportedObject(
            "extended legacy map definitions",
            "the definition says more than struct bpf_map_def does",
            where=where,
            hint='declare the map with __uint and __type in SEC(".maps")',
        )
    number, key, value, entries, flags = _DEFINITION.unpack(data[: _DEFINITION.size].ljust(_DEFINITION.size, b"\0"))
    type_ = platform.map_types.get(number)
    if type_ is None:
        raise UnsupportedObject(
            f"map type {number}",
            f"the platform {platform.name} has no map type {number} that is known here",
            where=where,
        )
    if type_ in _MAPS_OF_MAPS:
        raise UnsupportedObject("maps of maps", f"the map is of type {type_.value}", where=where)
    return MapSpec(symbol.name, type_, key, value, entries, flags)

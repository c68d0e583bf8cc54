"""What arrays of programs and maps of maps hold at first: addresses in section .maps, for which relocations stand.

struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); …; __array(values, int (void *)); }
    dispatch SEC(".maps") = { .values = { [2] = (void *)&leaf } };

dispatch                  values[0]   values[1]   values[2]
   +--------------------+-----------+-----------+-----------+
   | attributes, unused |     0     |     0     |     0     |
   +--------------------+-----------+-----------+-----------+
                                                 R_BPF_64_ABS64: the symbol `leaf`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.ebpf.elf.elf import ElfFile, Relocation, Section
from appliance.ebpf.elf.functions import FunctionTable
from appliance.ebpf.map_types import MapType
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.spec import MapSpec

R_BPF_64_ABS64 = 2

VALUE_SIZE = 4  # of a map that holds programs or maps: to the control plane each is a number
_SLOT_SIZE = 8  # of one pointer in the file


@dataclass(frozen=True, slots=True)
class Holder:
    """A map that holds programs or maps. Its initial values lie in bytes [start, end) of its section."""

    spec: MapSpec
    start: int
    end: int


def initial_values(
    elf: ElfFile,
    section: Section,
    holders: Sequence[Holder],
    functions: FunctionTable,
    maps: Mapping[int, MapSpec],
) -> dict[str, tuple[tuple[int, str], ...]]:
    """By a map's name, the (index, name) of each thing that it holds; `maps` are the section's by their byte.

    Raises ObjectError for an address where none belongs, or of something that the map can't hold.
    """
    found: dict[str, dict[int, str]] = {}
    for relocation in elf.relocations.get(section.index, ()):
        where = f"section {section.name}, byte {relocation.offset}"
        if relocation.type != R_BPF_64_ABS64:
            raise ObjectError(f"a relocation of type {relocation.type} stands for no value of a map", where=where)
        holder = next((holder for holder in holders if holder.start <= relocation.offset < holder.end), None)
        if holder is None:
            raise ObjectError(
                "an address stands where no map has values", where=where, hint="declare them last: __array(values, …)"
            )
        index, rest = divmod(relocation.offset - holder.start, _SLOT_SIZE)
        values = found.setdefault(holder.spec.name, {})
        if rest or index in values:
            raise ObjectError("two addresses share their bytes", where=where)
        values[index] = _name(elf, section, relocation, holder.spec, functions, maps)
    return {name: tuple(sorted(values.items())) for name, values in found.items()}


def _name(
    elf: ElfFile,
    section: Section,
    relocation: Relocation,
    holder: MapSpec,
    functions: FunctionTable,
    maps: Mapping[int, MapSpec],
) -> str:
    """The name of the program or map that a value is the address of."""
    symbol, addend = relocation.symbol, section.data[relocation.offset : relocation.offset + _SLOT_SIZE]
    place = symbol.value + int.from_bytes(addend, "little")
    if holder.type is MapType.PROG_ARRAY:
        if symbol.section is not None and elf.sections[symbol.section].is_code:
            function = functions.at(symbol.section, place)
            if function.is_global and elf.sections[symbol.section].name != ".text":
                return function.name
        wanted = "program"
    else:
        if symbol.section == section.index and place in maps:
            return maps[place].name
        wanted = 'map of SEC(".maps")'
    what = symbol.name or "what it is initialised with"
    raise ObjectError(f"{what} is no {wanted} of this file", where=f"map {holder.name}")

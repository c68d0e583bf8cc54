"""Which function of which structure each program of a file takes the place of (SEC("struct_ops/…")).

    section .struct_ops   reno   +------------------+ 0    .ssthresh   <- relocation: program `reno_ssthresh`
                                 +------------------+ 8    .cong_avoid
                                 | …

The structures are variables of the file, with types of the same name as the kernel's. Source: libbpf.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from appliance.ebpf.btf.btf import Btf, Kind, Member, SectionVariable
from appliance.ebpf.core.candidates import essential_name
from appliance.ebpf.elf.elf import ElfFile, Section
from appliance.ebpf.elf.functions import Function, FunctionTable
from hooks.contracts.struct_ops import PLACES


class StructOpsMember(NamedTuple):
    """A member of a structure of functions, by their names."""

    structure: str
    member: str


def struct_ops_members(elf: ElfFile, functions: FunctionTable, types: Btf | None) -> dict[Function, StructOpsMember]:
    """What the programs of the file are used for. Raises ObjectError if the file makes no sense."""
    if types is None:
        return {}
    sections = [section for section in elf.sections if section.name in PLACES]
    return {
        function: operation
        for section in sections
        for place, function in _programs(elf, section, functions)
        if (operation := _operation(elf, section, types, place)) is not None
    }


def _programs(elf: ElfFile, section: Section, functions: FunctionTable) -> Iterator[tuple[int, Function]]:
    """The places in the section at which programs are named."""
    for relocation in elf.relocations.get(section.index, ()):
        symbol = relocation.symbol
        if symbol.section is None or not elf.sections[symbol.section].is_code:
            continue
        addend = int.from_bytes(section.data[relocation.offset : relocation.offset + 8], "little")
        yield relocation.offset, functions.at(symbol.section, symbol.value + addend)


def _operation(elf: ElfFile, section: Section, types: Btf, place: int) -> StructOpsMember | None:
    """The member at that place of a variable in the section; None if there is no such variable or member."""
    listed = types.data_section(section.name)
    named = {
        types.type(entry.type).name: types.type(entry.type).target
        for entry in (listed.entries if listed is not None else ())
        if isinstance(entry, SectionVariable)
    }
    for symbol in elf.symbols:
        inside = symbol.section == section.index and symbol.value <= place < symbol.value + symbol.size
        if not inside or symbol.name not in named:
            continue
        structure = types.resolve(named[symbol.name])
        if structure.kind is not Kind.STRUCT:
            return None
        at = 8 * (place - symbol.value)
        members = (m.name for m in structure.entries if isinstance(m, Member) and m.bit_offset == at)
        return next((StructOpsMember(essential_name(structure.name), name) for name in members), None)
    return None

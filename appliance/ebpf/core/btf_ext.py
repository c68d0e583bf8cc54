""".BTF.ext: what BTF says of single instructions (btf.rst, section 4.2): functions, source lines, CO-RE relocations.

+--------+------------------+------------------+---------------------+
| header | function records | line records     | CO-RE relocations   |
+--------+------------------+------------------+---------------------+

each part    u32 size of a record, then by section:   u32 name of the section
                                                      u32 how many records
                                                      the records
a function   u32 byte in the section   u32 type
a line       u32 byte in the section   u32 file name   u32 text of the line   u32 line << 10 | column
a relocation u32 byte in the section   u32 type        u32 access string      u32 kind
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from appliance.ebpf.btf.btf import MAGIC
from appliance.ebpf.core.core import CoreRelocation, RelocationKind
from appliance.ebpf.elf.strings import StringTable
from appliance.ebpf.isa.codec.slots import SLOT_SIZE
from appliance.ebpf.object_errors import CoreError, ObjectError
from appliance.errors import SourceLine

_WHERE = "section .BTF.ext"
_HEADER = struct.Struct("<HBBI")
_PARTS = struct.Struct("<IIII")  # offset and size of the function records and of the line records
_CORE_PART = struct.Struct("<II")
_CORE = struct.Struct("<IIII")
_FUNCTION = struct.Struct("<II")
_LINE = struct.Struct("<IIII")
_SECTION = struct.Struct("<II")
_RECORD_SIZE = struct.Struct("<I")

_Record: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LineTable:
    """Source lines by section and byte, at most one for a slot."""

    lines: Mapping[str, tuple[tuple[int, SourceLine], ...]]

    def between(self, section: str, start: int, end: int) -> Iterator[tuple[int, SourceLine]]:
        """The lines of the bytes from `start` to before `end`, in order, with the byte at which each begins."""
        lines = self.lines.get(section, ())
        first = bisect_left(lines, start, key=lambda entry: entry[0])
        for index in range(first, len(lines)):
            if lines[index][0] >= end:
                return
            yield lines[index]


@dataclass(frozen=True, slots=True)
class InstructionInfo:
    """What BTF says of instructions: their lines; by section and byte, the types of the functions that start there,
    and the CO-RE relocations that go into them."""

    lines: LineTable
    functions: Mapping[str, Mapping[int, int]]
    core: Mapping[str, Mapping[int, CoreRelocation]]


NO_INFO = InstructionInfo(LineTable({}), {}, {})


def read_btf_ext(data: bytes, strings: StringTable) -> InstructionInfo:
    """What a .BTF.ext section says, with the strings of .BTF. Raises ObjectError."""
    if len(data) < _HEADER.size + _PARTS.size:
        raise ObjectError("the section ends inside its header", where=_WHERE)
    magic, version, _, header = _HEADER.unpack_from(data)
    if magic != MAGIC or version != 1 or header < _HEADER.size + _PARTS.size or header > len(data):
        raise ObjectError("this is not BTF.ext of version 1", where=_WHERE)
    functions_at, functions_size, lines_at, lines_size = _PARTS.unpack_from(data, _HEADER.size)
    core_at = core_size = 0
    if header >= _HEADER.size + _PARTS.size + _CORE_PART.size:
        core_at, core_size = _CORE_PART.unpack_from(data, _HEADER.size + _PARTS.size)
    return InstructionInfo(
        LineTable(_read_lines(_part(data, header + lines_at, lines_size), strings)),
        _read_functions(_part(data, header + functions_at, functions_size), strings),
        _read_core(_part(data, header + core_at, core_size), strings),
    )


def _part(data: bytes, start: int, size: int) -> bytes:
    if start + size > len(data):
        raise ObjectError("the header points outside of the section", where=_WHERE)
    return data[start : start + size]


def _records(part: bytes, strings: StringTable, layout: struct.Struct, name: str) -> Iterator[tuple[str, _Record]]:
    """The records of a part, each with its section. They may be longer than the layout, by what is newer."""
    if not part:
        return
    if len(part) < _RECORD_SIZE.size:
        raise ObjectError(f"the {name} records end inside a record", where=_WHERE)
    (record,) = _RECORD_SIZE.unpack_from(part)
    if record < layout.size:
        raise ObjectError(f"a {name} record has {record} bytes, not {layout.size}", where=_WHERE)
    offset = _RECORD_SIZE.size
    while offset < len(part):
        if offset + _SECTION.size > len(part):
            raise ObjectError(f"the {name} records end inside a record", where=_WHERE)
        section, count = _SECTION.unpack_from(part, offset)
        start, offset = offset + _SECTION.size, offset + _SECTION.size + count * record
        if offset > len(part):
            raise ObjectError(f"the {name} records end inside a record", where=_WHERE)
        for place in range(start, offset, record):
            yield strings.at(section), layout.unpack_from(part, place)


def _read_lines(part: bytes, strings: StringTable) -> dict[str, tuple[tuple[int, SourceLine], ...]]:
    found: dict[str, dict[int, SourceLine]] = {}
    for section, (byte, file, text, position) in _records(part, strings, _LINE, "line"):
        if position >> 10 and byte % SLOT_SIZE == 0:  # line 0 is code that no line asked for
            line = SourceLine(strings.at(file), position >> 10, position & 0x3FF, strings.at(text))
            found.setdefault(section, {})[byte] = line
    return {name: tuple(sorted(lines.items(), key=lambda entry: entry[0])) for name, lines in found.items()}


def _read_functions(part: bytes, strings: StringTable) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for section, (byte, type_) in _records(part, strings, _FUNCTION, "function"):
        found.setdefault(section, {})[byte] = type_
    return found


def _read_core(part: bytes, strings: StringTable) -> dict[str, dict[int, CoreRelocation]]:
    found: dict[str, dict[int, CoreRelocation]] = {}
    for section, (byte, type_, access, kind) in _records(part, strings, _CORE, "CO-RE"):
        if kind not in _KINDS:
            raise CoreError(f"there is no CO-RE relocation of kind {kind}", where=_WHERE)
        if byte % SLOT_SIZE:
            raise CoreError(f"a CO-RE relocation is for byte {byte}, where no instruction starts", where=_WHERE)
        relocation = CoreRelocation(type_, strings.at(access), _KINDS[kind])
        if found.setdefault(section, {}).setdefault(byte, relocation) != relocation:
            raise CoreError(f"two different CO-RE relocations are for byte {byte} of {section}", where=_WHERE)
    return found


_KINDS = {int(kind): kind for kind in RelocationKind}

""".BTF.ext: what BTF says of single instructions. Here: which source line each came from (btf.rst, section 4.2).

+--------+------------------+------------------+---------------------+
| header | function records | line records     | CO-RE records       |
+--------+------------------+------------------+---------------------+

each part    u32 size of a record, then by section:   u32 name of the section
                                                      u32 how many records
                                                      the records
a line       u32 byte in the section   u32 file name   u32 text of the line   u32 line << 10 | column
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from appliance.ebpf.btf import MAGIC
from appliance.ebpf.codec.slots import SLOT_SIZE
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.strings import StringTable
from appliance.errors import SourceLine

_WHERE = "section .BTF.ext"
_HEADER = struct.Struct("<HBBI")
_PARTS = struct.Struct("<IIII")  # offset and size of the function records and of the line records
_CORE = struct.Struct("<II")
_LINE = struct.Struct("<IIII")
_SECTION = struct.Struct("<II")
_RECORD_SIZE = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class LineTable:
    """Source lines by section and byte, at most one for a slot; and whether the file asks for CO-RE relocations."""

    lines: Mapping[str, tuple[tuple[int, SourceLine], ...]]
    has_core_relocations: bool = False

    def between(self, section: str, start: int, end: int) -> Iterator[tuple[int, SourceLine]]:
        """The lines of the bytes from `start` to before `end`, in order, with the byte at which each begins."""
        lines = self.lines.get(section, ())
        first = bisect_left(lines, start, key=lambda entry: entry[0])
        for index in range(first, len(lines)):
            if lines[index][0] >= end:
                return
            yield lines[index]


NO_LINES = LineTable({})


def read_btf_ext(data: bytes, strings: StringTable) -> LineTable:
    """The line information of a .BTF.ext section, with the strings of .BTF. Raises ObjectError."""
    if len(data) < _HEADER.size + _PARTS.size:
        raise ObjectError("the section ends inside its header", where=_WHERE)
    magic, version, _, header = _HEADER.unpack_from(data)
    if magic != MAGIC or version != 1 or header < _HEADER.size + _PARTS.size or header > len(data):
        raise ObjectError("this is not BTF.ext of version 1", where=_WHERE)
    _, _, lines_at, lines_size = _PARTS.unpack_from(data, _HEADER.size)
    lines = _read_lines(_part(data, header + lines_at, lines_size), strings)
    core_size = 0
    if header >= _HEADER.size + _PARTS.size + _CORE.size:
        _, core_size = _CORE.unpack_from(data, _HEADER.size + _PARTS.size)
    return LineTable(lines, core_size > _RECORD_SIZE.size)


def _part(data: bytes, start: int, size: int) -> bytes:
    if start + size > len(data):
        raise ObjectError("the header points outside of the section", where=_WHERE)
    return data[start : start + size]


def _read_lines(part: bytes, strings: StringTable) -> dict[str, tuple[tuple[int, SourceLine], ...]]:
    if not part:
        return {}
    if len(part) < _RECORD_SIZE.size:
        raise ObjectError("the line records end inside a record", where=_WHERE)
    (record,) = _RECORD_SIZE.unpack_from(part)
    if record < _LINE.size:
        raise ObjectError(f"a line record has {record} bytes, not {_LINE.size}", where=_WHERE)
    found: dict[str, dict[int, SourceLine]] = {}
    offset = _RECORD_SIZE.size
    while offset < len(part):
        if offset + _SECTION.size > len(part):
            raise ObjectError("the line records end inside a record", where=_WHERE)
        name, count = _SECTION.unpack_from(part, offset)
        start, offset = offset + _SECTION.size, offset + _SECTION.size + count * record
        if offset > len(part):
            raise ObjectError("the line records end inside a record", where=_WHERE)
        lines = found.setdefault(strings.at(name), {})
        for place in range(start, offset, record):
            byte, file, text, position = _LINE.unpack_from(part, place)
            if position >> 10 and byte % SLOT_SIZE == 0:  # line 0 is code that no line asked for
                lines[byte] = SourceLine(strings.at(file), position >> 10, position & 0x3FF, strings.at(text))
    return {name: tuple(sorted(lines.items(), key=lambda entry: entry[0])) for name, lines in found.items()}

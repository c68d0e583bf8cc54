"""The ELF file around the bytecode: sections, symbols and relocations, with every offset checked (gABI, chapter 4).

    +-------------+------------------+-----+------------------+-----------------+
    | file header | section contents | ... | section contents | section headers |
    +-------------+------------------+-----+------------------+-----------------+

pyelftools knows how the structures are laid out. Which bytes they are read from is decided here, because a file that
means harm must not choose: contents stay inside the file and apart from each other, counts have limits, and nothing
is decompressed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.common.utils import struct_parse
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from appliance.ebpf.elf.strings import StringTable
from appliance.ebpf.object_errors import ObjectError

MAX_FILE_SIZE = 32 << 20
MAX_SYMBOLS = 1 << 17
MAX_RELOCATIONS = 1 << 17
MAX_SECTION_SIZE = (1 << 31) - 1  # of .bss, which takes no room in the file: what the kernel allows one map value

_HEADER_SIZE, _SECTION_HEADER_SIZE, _SYMBOL_SIZE, _RELOCATION_SIZE = 64, 64, 24, 16
_HINT = "build it with `clang -O2 -g -target bpf -c`"


@dataclass(frozen=True, slots=True)
class Section:
    """A section with its contents; `type` is the name that the gABI gives it, or a number that it does not know.

    `data` is empty for a section without contents in the file (SHT_NOBITS), which has a size all the same.
    """

    index: int
    name: str
    type: str | int
    flags: int
    size: int
    data: bytes
    link: int
    info: int

    @property
    def is_code(self) -> bool:
        """Whether it holds instructions."""
        return self.type == "SHT_PROGBITS" and bool(self.flags & SH_FLAGS.SHF_EXECINSTR) and self.size > 0


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name for a place: byte `value` of the section with index `section`, or None if it lies in none."""

    name: str
    value: int
    size: int
    type: str | int
    binding: str | int
    section: int | None
    defined: bool


@dataclass(frozen=True, slots=True)
class Relocation:
    """The bytes at `offset` of a section depend on where `symbol` ends up; `type` is R_BPF_*."""

    offset: int
    type: int
    symbol: Symbol


@dataclass(frozen=True, slots=True)
class ElfFile:
    """What is in an object file. Indices are those of the file; section 0 is the gABI's null section."""

    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: dict[int, tuple[Relocation, ...]]
    """By the index of the section that they change; only those of code and of allocated data."""

    def section(self, name: str) -> Section | None:
        """The one section of that name, or None. Raises ObjectError if there are several."""
        found = [section for section in self.sections if section.name == name]
        if len(found) > 1:
            raise ObjectError(f"there are {len(found)} sections {name}", hint="a file has one of them")
        return found[0] if found else None


def read_elf(data: bytes) -> ElfFile:
    """Take an object file apart. Raises ObjectError if it is no relocatable eBPF object or is damaged."""
    _check_identity(data)
    try:
        return _Reader(data).read()
    except (ELFError, UnicodeDecodeError) as error:
        raise ObjectError(f"the ELF structures are damaged: {error}", hint=_HINT) from None


def _check_identity(data: bytes) -> None:
    """The sixteen bytes at the start: the magic number, 64 bits, little endian."""
    if not data:
        raise ObjectError("the file is empty", hint=_HINT)
    if data[:4] != b"\x7fELF":
        raise ObjectError("this is not an ELF file", hint=_HINT)
    if len(data) < _HEADER_SIZE:
        raise ObjectError(f"the file ends inside its header, after {len(data)} bytes", hint=_HINT)
    if len(data) > MAX_FILE_SIZE:
        raise ObjectError(f"the file has {len(data)} bytes; the limit is {MAX_FILE_SIZE}")
    if data[4] != 2:
        raise ObjectError("this is not a 64-bit ELF file", hint=_HINT)
    if data[5] != 1:
        raise ObjectError("the object is big endian", hint="build it with `-target bpfel`")


class _Reader:
    """One file being read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        elf = ELFFile(io.BytesIO(data))
        self.header = elf.header
        self.structs = elf.structs

    def read(self) -> ElfFile:
        if self.header["e_machine"] != "EM_BPF":
            raise ObjectError(f"the object is for the machine {self.header['e_machine']}, not for eBPF", hint=_HINT)
        if self.header["e_type"] != "ET_REL":
            raise ObjectError(f"the file is of type {self.header['e_type']}, not relocatable (ET_REL)", hint=_HINT)
        sections = self._sections()
        tables = [section for section in sections if section.type == "SHT_SYMTAB"]
        if len(tables) > 1:
            raise ObjectError(f"there are {len(tables)} symbol tables", hint="an object has one")
        symbols = tuple(self._symbols(tables[0], sections)) if tables else ()
        return ElfFile(sections, symbols, self._relocations(sections, symbols))

    # sections

    def _sections(self) -> tuple[Section, ...]:
        headers = self._section_headers()
        self._check_apart(headers)
        names_index = self.header["e_shstrndx"]
        if not isinstance(names_index, int) or not 0 < names_index < len(headers):
            raise ObjectError("no section holds the names of the sections")
        names = StringTable(self._contents(headers[names_index]), "the section names")
        return tuple(self._section(index, header, names) for index, header in enumerate(headers))

    def _section_headers(self) -> list[Any]:
        count, start = self.header["e_shnum"], self.header["e_shoff"]
        if not count or self.header["e_shentsize"] != _SECTION_HEADER_SIZE:
            raise ObjectError("the file has no section headers", hint=_HINT)
        end = start + count * _SECTION_HEADER_SIZE
        if end > len(self.data):
            raise ObjectError("the section headers reach beyond the end of the file", hint="the file may be cut short")
        return self._parse(self.data[start:end], self.structs.Elf_Shdr, _SECTION_HEADER_SIZE)

    def _check_apart(self, headers: list[Any]) -> None:
        """Contents lie inside the file and do not overlap."""
        end = len(self.data)
        taken: list[tuple[int, int, str]] = [
            (0, _HEADER_SIZE, "the file header"),
            (self.header["e_shoff"], len(headers) * _SECTION_HEADER_SIZE, "the section headers"),
        ]
        for index, header in enumerate(headers):
            if header["sh_type"] in ("SHT_NULL", "SHT_NOBITS") or not header["sh_size"]:
                continue
            if header["sh_offset"] + header["sh_size"] > end:
                raise ObjectError(
                    f"section {index} reaches beyond the end of the file", hint="the file may be cut short"
                )
            taken.append((header["sh_offset"], header["sh_size"], f"section {index}"))
        taken.sort()
        for (start, size, name), (next_start, _, next_name) in pairwise(taken):
            if start + size > next_start:
                raise ObjectError(f"{name} and {next_name} overlap")

    def _contents(self, header: Any) -> bytes:
        if header["sh_type"] in ("SHT_NULL", "SHT_NOBITS"):
            return b""
        return self.data[header["sh_offset"] : header["sh_offset"] + header["sh_size"]]

    def _section(self, index: int, header: Any, names: StringTable) -> Section:
        if header["sh_type"] == "SHT_NULL":
            return Section(index, "", "SHT_NULL", 0, 0, b"", 0, 0)
        name, size, flags = names.at(header["sh_name"]), header["sh_size"], header["sh_flags"]
        if flags & SH_FLAGS.SHF_COMPRESSED:
            raise ObjectError("the section is compressed", where=f"section {name}", hint="build it without -gz")
        if size > MAX_SECTION_SIZE:
            raise ObjectError(f"the section claims {size} bytes", where=f"section {name}")
        return Section(
            index, name, header["sh_type"], flags, size, self._contents(header), header["sh_link"], header["sh_info"]
        )

    # symbols and relocations

    def _symbols(self, table: Section, sections: tuple[Section, ...]) -> Iterator[Symbol]:
        if not 0 < table.link < len(sections) or sections[table.link].type != "SHT_STRTAB":
            raise ObjectError("the symbol table has no strings", where=f"section {table.name}")
        names = StringTable(sections[table.link].data, "the symbol names")
        for entry in self._entries(table, self.structs.Elf_Sym, _SYMBOL_SIZE, MAX_SYMBOLS):
            place, info = entry["st_shndx"], entry["st_info"]
            if isinstance(place, int) and place >= len(sections):
                raise ObjectError(f"a symbol lies in section {place}, which does not exist")
            name = names.at(entry["st_name"])
            if info["type"] == "STT_SECTION" and isinstance(place, int):
                name = name or sections[place].name
            yield Symbol(
                name=name,
                value=entry["st_value"],
                size=entry["st_size"],
                type=info["type"],
                binding=info["bind"],
                section=place if isinstance(place, int) else None,
                defined=place != "SHN_UNDEF",
            )

    def _relocations(
        self, sections: tuple[Section, ...], symbols: tuple[Symbol, ...]
    ) -> dict[int, tuple[Relocation, ...]]:
        found: dict[int, tuple[Relocation, ...]] = {}
        room = MAX_RELOCATIONS
        for table in sections:
            if table.type not in ("SHT_REL", "SHT_RELA"):
                continue
            if not 0 < table.info < len(sections):
                raise ObjectError("the relocations are for no section", where=f"section {table.name}")
            if not sections[table.info].flags & SH_FLAGS.SHF_ALLOC:
                continue  # of debug information and BTF: whole numbers already in a file that is not linked further
            if table.type == "SHT_RELA" or table.info in found:
                raise ObjectError("a section has one table of relocations, of type REL", where=f"section {table.name}")
            entries = self._entries(table, self.structs.Elf_Rel, _RELOCATION_SIZE, room)
            found[table.info] = tuple(self._relocation(entry, symbols, table) for entry in entries)
            room -= len(found[table.info])
        return found

    def _relocation(self, entry: Any, symbols: tuple[Symbol, ...], table: Section) -> Relocation:
        if entry["r_info_sym"] >= len(symbols):
            raise ObjectError(f"a relocation names symbol {entry['r_info_sym']}, which does not exist").within(
                f"section {table.name}"
            )
        return Relocation(entry["r_offset"], entry["r_info_type"], symbols[entry["r_info_sym"]])

    def _entries(self, table: Section, layout: Any, size: int, limit: int) -> list[Any]:
        """The structures that a section is a table of."""
        count, rest = divmod(len(table.data), size)
        if rest:
            raise ObjectError(f"the table's size is no multiple of {size}", where=f"section {table.name}")
        if count > limit:
            raise ObjectError(f"the table has {count} entries, over the limit", where=f"section {table.name}")
        return self._parse(table.data, layout, size)

    @staticmethod
    def _parse(data: bytes, layout: Any, size: int) -> list[Any]:
        stream = io.BytesIO(data)
        return [struct_parse(layout, stream, offset) for offset in range(0, len(data), size)]

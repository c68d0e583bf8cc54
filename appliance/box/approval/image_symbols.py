"""What machine code names that lies elsewhere, read from its ELF object: bounded, strict, and nothing is executed.

    Elf64_Ehdr ──> section headers ──> SHT_SYMTAB ──> Elf64_Sym with st_shndx == SHN_UNDEF ──> name in its strings

A build lists the symbols of its images itself, and a linker looks all others up in the C library. So the list is not
asked: a list that says nothing of `mprotect` would have it linked. Source: elf.h, the System V ABI.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from appliance.box.approval.statements.forms import Malformed

# What the loops and helpers call, and what LLVM makes of loops and of wide numbers.
C_LIBRARY = frozenset(
    (
        *("__errno_location", "clock_gettime", "getcpu", "getpid", "poll", "recv", "sched_yield", "send", "write"),
        *("bcmp", "memcmp", "memcpy", "memmove", "memset", "strlen", "strncmp", "strnlen"),
        *("__udivti3", "__umodti3", "__divti3", "__modti3", "__multi3"),
    )
)

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")  # Elf64_Ehdr
_SECTION = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr
_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym
_IDENTITY = b"\x7fELF\x02\x01\x01"  # 64 bits, little endian, version 1
_ET_REL, _SHT_SYMTAB, _SHT_STRTAB, _SHN_UNDEF = 1, 2, 3, 0
_MOST_SECTIONS = 4096
_LONGEST_NAME = 256


def undefined_symbols(image: bytes) -> set[str]:
    """The names that whoever links the image has to find. Raises Malformed if it is no relocatable ELF object."""
    return {name for table, strings in _symbol_tables(image) for name in _undefined(table, strings)}


def _symbol_tables(image: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each table of symbols, with the strings that it names."""
    identity, kind, *_, sections, _, _, _, _, size, number, _ = _HEADER.unpack(_part(image, 0, _HEADER.size))
    if not identity.startswith(_IDENTITY) or kind != _ET_REL:
        raise Malformed("no relocatable ELF object of this kind of machine")
    if size != _SECTION.size or not 0 < number <= _MOST_SECTIONS:
        raise Malformed("an ELF object with no table of sections, or too large a one")
    headers = list(_SECTION.iter_unpack(_part(image, sections, size * number)))
    for _, type_, _, _, offset, length, link, _, _, entry in headers:
        if type_ != _SHT_SYMTAB:
            continue
        if entry != _SYMBOL.size or length % entry or link >= number or headers[link][1] != _SHT_STRTAB:
            raise Malformed("an ELF object with a table of symbols that can't be read")
        yield _part(image, offset, length), _part(image, headers[link][4], headers[link][5])


def _undefined(table: bytes, strings: bytes) -> Iterator[str]:
    for name, _, _, section, _, _ in _SYMBOL.iter_unpack(table):
        if name and section == _SHN_UNDEF:
            text, end, _ = strings[name : name + _LONGEST_NAME].partition(b"\0")
            if not end or not text:
                raise Malformed("an ELF object with a name that does not end, or is none")
            yield text.decode("ascii", "replace")


def _part(image: bytes, offset: int, size: int) -> bytes:
    part = image[offset : offset + size]
    if len(part) != size:
        raise Malformed("an ELF object that is cut short")
    return part

"""BTF: the types of an object file, numbered from 1 (0 is void). Source: Documentation/bpf/btf.rst of the kernel.

+--------+----------------------------------------+-------------------------+
| header | type 1 | type 2 | ...                  | strings                 |
+--------+----------------------------------------+-------------------------+

a type   +------+-------------------------------+--------------+----------------+---------
         | name | flag |   | kind |   |   vlen   | size or type | the kind's own | entries
         +------+-------------------------------+--------------+----------------+---------
           u32    31          28-24      15-0         u32                         vlen of them
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.strings import StringTable

MAGIC = 0xEB9F
MAX_TYPES = 1 << 18
MAX_DEPTH = 32  # of types that wrap each other, as in libbpf
MAX_SIZE = (1 << 32) - 1

_WHERE = "section .BTF"
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")


class Kind(IntEnum):
    """What a type is (BTF_KIND_*)."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a structure or union; `bits` is 0 unless it is a bit field."""

    name: str
    type: int
    bit_offset: int
    bits: int = 0


@dataclass(frozen=True, slots=True)
class Enumerator:
    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: int


@dataclass(frozen=True, slots=True)
class SectionVariable:
    """A variable of a section. Compilers leave `offset` 0 and let a relocation say it: ask the symbol table."""

    type: int
    offset: int
    size: int


Entry: TypeAlias = Member | Enumerator | Parameter | SectionVariable


@dataclass(frozen=True, slots=True)
class BtfType:
    """One type. What does not apply to its kind is 0 or empty.

    `size` is in bytes; `target` is the type that it points to, wraps, returns, tags or is an array of; `count` is an
    array's length; `entries` are members, enumerators, parameters or a section's variables.
    """

    kind: Kind
    name: str = ""
    size: int = 0
    target: int = 0
    count: int = 0
    entries: tuple[Entry, ...] = ()


VOID = BtfType(Kind.VOID)
_SIZED = frozenset({Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FLOAT, Kind.DATASEC})
MODIFIERS = frozenset({Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG})
_POINTING = MODIFIERS | {Kind.PTR, Kind.FUNC, Kind.FUNC_PROTO, Kind.VAR, Kind.DECL_TAG}
_POINTER_SIZE = 8


class Btf:
    """The types of one object file. Every question that wrong types could make endless or huge has a limit."""

    def __init__(self, types: tuple[BtfType, ...]) -> None:
        self.types = types

    def type(self, number: int) -> BtfType:
        """The type of that number. Raises ObjectError if there is none."""
        if not 0 <= number < len(self.types):
            raise ObjectError(f"there is no type {number}", where=_WHERE)
        return self.types[number]

    def resolve(self, number: int) -> BtfType:
        """The type without the typedefs and qualifiers around it. Raises ObjectError if they form a loop."""
        for _ in range(MAX_DEPTH):
            found = self.type(number)
            if found.kind not in MODIFIERS:
                return found
            number = found.target
        raise ObjectError(f"type {number} wraps itself", where=_WHERE)

    def size_of(self, number: int) -> int:
        """How many bytes a value of the type takes. Raises ObjectError if it has no size, or one over 4 GiB."""
        size = 1
        for _ in range(MAX_DEPTH):
            found = self.resolve(number)
            if found.kind is Kind.ARRAY:
                size, number = size * found.count, found.target
                continue
            if found.kind is not Kind.PTR and found.kind not in _SIZED:
                raise ObjectError(f"a {found.kind.name} has no size", where=_WHERE)
            size *= _POINTER_SIZE if found.kind is Kind.PTR else found.size
            if size > MAX_SIZE:
                raise ObjectError(f"type {number} has {size} bytes", where=_WHERE)
            return size
        raise ObjectError(f"type {number} is an array of itself", where=_WHERE)

    def data_section(self, name: str) -> BtfType | None:
        """The variables of the ELF section of that name."""
        return next((found for found in self.types if found.kind is Kind.DATASEC and found.name == name), None)


def read_btf(data: bytes) -> tuple[Btf, StringTable]:
    """The types of a .BTF section, and its strings, to which .BTF.ext refers too. Raises ObjectError."""
    if len(data) < _HEADER.size:
        raise ObjectError("the section ends inside its header", where=_WHERE)
    magic, version, _, header, types_at, types_size, strings_at, strings_size = _HEADER.unpack_from(data)
    if magic != MAGIC or version != 1:
        raise ObjectError(f"this is not BTF of version 1 (magic {magic:#x}, version {version})", where=_WHERE)
    if header < _HEADER.size or header + max(types_at + types_size, strings_at + strings_size) > len(data):
        raise ObjectError("the header points outside of the section", where=_WHERE)
    strings = StringTable(data[header + strings_at :][:strings_size], "the strings of .BTF")
    types = _TypeReader(data[header + types_at :][:types_size], strings).read()
    return Btf(types), strings


class _TypeReader:
    """A walk over the types of a section."""

    def __init__(self, data: bytes, strings: StringTable) -> None:
        self.data = data
        self.strings = strings
        self.offset = 0

    def read(self) -> tuple[BtfType, ...]:
        types = [VOID]
        while self.offset < len(self.data):
            if len(types) > MAX_TYPES:
                raise ObjectError(f"there are more than {MAX_TYPES} types", where=_WHERE)
            types.append(self._type(len(types)))
        return tuple(types)

    def take(self, layout: struct.Struct) -> tuple[int, ...]:
        start, self.offset = self.offset, self.offset + layout.size
        if self.offset > len(self.data):
            raise ObjectError("the types end inside a type", where=_WHERE)
        return layout.unpack_from(self.data, start)

    def _type(self, number: int) -> BtfType:
        name, info, extra = self.take(_TYPE)
        code, count, flag = info >> 24 & 0x1F, info & 0xFFFF, info >> 31
        if code not in _KINDS:
            raise ObjectError(f"type {number} has the unknown kind {code}", where=_WHERE)
        kind = _KINDS[code]
        size = extra if kind in _SIZED else 0
        target = extra if kind in _POINTING else 0
        length = 0
        if kind is Kind.ARRAY:
            target, _, length = self.take(_ARRAY)
        elif kind in _TAILS:
            self.take(_TAILS[kind])
        entries: tuple[Entry, ...] = ()
        if kind in _ENTRIES:
            layout, build = _ENTRIES[kind]
            entries = tuple(build(self.strings, bool(flag), *self.take(layout)) for _ in range(count))
        return BtfType(kind, self.strings.at(name) if name else "", size, target, length, entries)


def _name(strings: StringTable, offset: int) -> str:
    return strings.at(offset) if offset else ""


def _member(strings: StringTable, bit_fields: bool, name: int, type_: int, place: int) -> Member:
    bits, offset = (place >> 24, place & 0xFFFFFF) if bit_fields else (0, place)
    return Member(_name(strings, name), type_, offset, bits)


def _enumerator(strings: StringTable, signed: bool, name: int, value: int) -> Enumerator:
    return Enumerator(_name(strings, name), value - (1 << 32) if signed and value >> 31 else value)


def _wide_enumerator(strings: StringTable, signed: bool, name: int, low: int, high: int) -> Enumerator:
    value = high << 32 | low
    return Enumerator(_name(strings, name), value - (1 << 64) if signed and value >> 63 else value)


def _parameter(strings: StringTable, _: bool, name: int, type_: int) -> Parameter:
    return Parameter(_name(strings, name), type_)


def _variable(_: StringTable, __: bool, type_: int, offset: int, size: int) -> SectionVariable:
    return SectionVariable(type_, offset, size)


_KINDS = {int(kind): kind for kind in Kind if kind is not Kind.VOID}
_ARRAY = struct.Struct("<III")  # element type, index type, length
_TAILS = {
    Kind.INT: struct.Struct("<I"),  # encoding, offset and width of the bits
    Kind.VAR: struct.Struct("<I"),  # linkage
    Kind.DECL_TAG: struct.Struct("<I"),  # index of the member or parameter
}
_ENTRIES: dict[Kind, tuple[struct.Struct, Callable[..., Entry]]] = {
    Kind.STRUCT: (struct.Struct("<III"), _member),
    Kind.UNION: (struct.Struct("<III"), _member),
    Kind.ENUM: (struct.Struct("<II"), _enumerator),
    Kind.ENUM64: (struct.Struct("<III"), _wide_enumerator),
    Kind.FUNC_PROTO: (struct.Struct("<II"), _parameter),
    Kind.DATASEC: (struct.Struct("<III"), _variable),
}

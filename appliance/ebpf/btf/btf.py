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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from appliance.ebpf.elf.strings import StringTable
from appliance.ebpf.object_errors import ObjectError

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
    array's length; `entries` are members, enumerators, parameters or a section's variables. `signed` is of numbers and
    enumerations; `bit_offset` of a number that begins inside of its bytes, as compilers long ago wrote bit fields;
    `is_union` says of a declaration ahead that it is one of a union, `is_bool` of a number that it is true or false.
    """

    kind: Kind
    name: str = ""
    size: int = 0
    target: int = 0
    count: int = 0
    entries: tuple[Entry, ...] = ()
    signed: bool = False
    bit_offset: int = 0
    is_union: bool = False
    is_bool: bool = False


VOID = BtfType(Kind.VOID)
_SIZED = frozenset({Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FLOAT, Kind.DATASEC})
COMPOSITES = frozenset({Kind.STRUCT, Kind.UNION})
ENUMS = frozenset({Kind.ENUM, Kind.ENUM64})
MODIFIERS = frozenset({Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG})
# What C can't name as a type, so that nobody looks for it by name.
UNSEARCHED = frozenset({Kind.FUNC, Kind.VAR, Kind.DATASEC, Kind.DECL_TAG, Kind.TYPE_TAG})
_POINTING = MODIFIERS | {Kind.PTR, Kind.FUNC, Kind.FUNC_PROTO, Kind.VAR, Kind.DECL_TAG}
_POINTER_SIZE = 8


class Btf:
    """The types of one object file. Every question that wrong types could make endless or huge has a limit.
    Any thread, if `types` is for any."""

    def __init__(self, types: Sequence[BtfType]) -> None:
        self.types = types

    def type(self, number: int) -> BtfType:
        """The type of that number. Raises ObjectError if there is none."""
        if not 0 <= number < len(self.types):
            raise ObjectError(f"there is no type {number}", where=_WHERE)
        return self.types[number]

    def strip(self, number: int) -> int:
        """The number of the type without typedefs and qualifiers. Raises ObjectError if they form a loop."""
        for _ in range(MAX_DEPTH):
            found = self.type(number)
            if found.kind not in MODIFIERS:
                return number
            number = found.target
        raise ObjectError(f"type {number} wraps itself", where=_WHERE)

    def resolve(self, number: int) -> BtfType:
        """The type without the typedefs and qualifiers around it. Raises ObjectError if they form a loop."""
        return self.types[self.strip(number)]

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

    def named(self) -> Iterator[tuple[str, Sequence[int]]]:
        """The names of types that C can name, with the numbers of those that have it; a name may come again."""
        return ((t.name, (n,)) for n, t in enumerate(self.types) if t.name and t.kind not in UNSEARCHED)

    def numbers_of(self, name: str) -> Sequence[int]:
        """The types that C calls by that name."""
        return [number for other, numbers in self.named() if other == name for number in numbers]

    def find(self, kind: Kind, name: str) -> int | None:
        """The first type of that kind and name."""
        return next((number for number in self.numbers_of(name) if self.type(number).kind is kind), None)

    def function(self, name: str) -> int | None:
        """The function of that name."""
        named = (n for n, found in enumerate(self.types) if found.kind is Kind.FUNC and found.name == name)
        return next(named, None)


def read_btf(data: bytes) -> tuple[Btf, StringTable]:
    """The types of a .BTF section, and its strings, to which .BTF.ext refers too. Raises ObjectError."""
    types, strings = split_btf(data)
    return Btf(TypeReader(types, strings).read()), strings


def split_btf(data: bytes) -> tuple[bytes, StringTable]:
    """The bytes of the types, and the strings. Raises ObjectError if the header is wrong."""
    if len(data) < _HEADER.size:
        raise ObjectError("the section ends inside its header", where=_WHERE)
    magic, version, _, header, types_at, types_size, strings_at, strings_size = _HEADER.unpack_from(data)
    if magic != MAGIC or version != 1:
        raise ObjectError(f"this is not BTF of version 1 (magic {magic:#x}, version {version})", where=_WHERE)
    if header < _HEADER.size or header + max(types_at + types_size, strings_at + strings_size) > len(data):
        raise ObjectError("the header points outside of the section", where=_WHERE)
    strings = StringTable(data[header + strings_at :][:strings_size], "the strings of .BTF")
    return data[header + types_at :][:types_size], strings


class TypeReader:
    """A walk over the types of a section; `offset` is where the next one starts. For one thread."""

    def __init__(self, data: bytes, strings: StringTable) -> None:
        self.data = data
        self.strings = strings
        self.offset = 0

    def read(self) -> tuple[BtfType, ...]:
        types = [VOID]
        while self.offset < len(self.data):
            if len(types) > MAX_TYPES:
                raise ObjectError(f"there are more than {MAX_TYPES} types", where=_WHERE)
            types.append(self.next(len(types)))
        return tuple(types)

    def take(self, layout: struct.Struct) -> tuple[int, ...]:
        start, self.offset = self.offset, self.offset + layout.size
        if self.offset > len(self.data):
            raise ObjectError("the types end inside a type", where=_WHERE)
        return layout.unpack_from(self.data, start)

    def next(self, number: int) -> BtfType:
        """The type at `offset`, which has that number. Raises ObjectError."""
        name, info, extra = self.take(_TYPE)
        code, count, flag = info >> 24 & 0x1F, info & 0xFFFF, info >> 31
        if code not in _KINDS:
            raise ObjectError(f"type {number} has the unknown kind {code}", where=_WHERE)
        kind = _KINDS[code]
        size = extra if kind in _SIZED else 0
        target = extra if kind in _POINTING else 0
        length = encoding = 0
        if kind is Kind.ARRAY:
            target, _, length = self.take(_ARRAY)
        elif kind is Kind.INT:
            (encoding,) = self.take(_WORD)
        elif kind in _TAILS:
            self.take(_TAILS[kind])
        entries: tuple[Entry, ...] = ()
        if kind in _ENTRIES:
            layout, build = _ENTRIES[kind]
            entries = tuple(build(self.strings, bool(flag), *self.take(layout)) for _ in range(count))
        return BtfType(
            kind,
            _name(self.strings, name),
            size,
            target,
            length,
            entries,
            signed=bool(encoding >> 24 & _SIGNED or (flag and kind in ENUMS)),
            bit_offset=encoding >> 16 & 0xFF,
            is_union=bool(flag and kind is Kind.FWD),
            is_bool=bool(encoding >> 24 & _BOOL),
        )


def sizes_of_kinds() -> dict[int, tuple[int, int]]:
    """By the number of a kind, the bytes of a type of it without entries, and those of an entry."""
    sizes = {}
    for code, kind in _KINDS.items():
        tail = _ARRAY.size if kind is Kind.ARRAY else _TAILS[kind].size if kind in _TAILS else 0
        sizes[code] = _TYPE.size + tail, _ENTRIES[kind][0].size if kind in _ENTRIES else 0
    return sizes


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
_WORD = struct.Struct("<I")
_SIGNED, _BOOL = 1, 4  # of the encoding of a number: BTF_INT_SIGNED, BTF_INT_BOOL
_TAILS = {
    Kind.INT: _WORD,  # encoding << 24 | offset of the bits << 16 | their number
    Kind.VAR: _WORD,  # linkage
    Kind.DECL_TAG: _WORD,  # index of the member or parameter
}
_ENTRIES: dict[Kind, tuple[struct.Struct, Callable[..., Entry]]] = {
    Kind.STRUCT: (struct.Struct("<III"), _member),
    Kind.UNION: (struct.Struct("<III"), _member),
    Kind.ENUM: (struct.Struct("<II"), _enumerator),
    Kind.ENUM64: (struct.Struct("<III"), _wide_enumerator),
    Kind.FUNC_PROTO: (struct.Struct("<II"), _parameter),
    Kind.DATASEC: (struct.Struct("<III"), _variable),
}

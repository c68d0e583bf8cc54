"""From the types of an object to codecs. Wrong types can't make it endless or huge: depth and parts have limits."""

from __future__ import annotations

from appliance.ebpf.btf.btf import COMPOSITES, ENUMS, MAX_DEPTH, Btf, BtfType, Enumerator, Kind
from appliance.ebpf.btf.btf import Member as MemberType
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.values.arrays import Array, ByteArray
from appliance.ebpf.values.codec import Codec, RawBytes
from appliance.ebpf.values.composites import Anonymous, Composite
from appliance.ebpf.values.members import BitField, Field, Member
from appliance.ebpf.values.names import type_name
from appliance.ebpf.values.scalars import Boolean, Enumeration, Float, Number

MAX_PARTS = 1 << 24
MAX_INTEGER = 16  # bytes: __int128
POINTER_SIZE = 8

_WHERE = "section .BTF"


class Codecs:
    """The codecs of an object's types, each made when it is first asked for. Any thread."""

    def __init__(self, btf: Btf | None) -> None:
        self._btf = btf
        self._known: dict[int, Codec] = {}

    def of(self, number: int, size: int) -> Codec:
        """The codec of a type that something of `size` bytes is declared to have.

        It gives bytes if the object doesn't say the type (number 0), or if the type has another size, as that of a
        structure with an array of no length at its end, which was given more. Raises ObjectError for a type that no
        value can have.
        """
        if self._btf is None or not number:
            return RawBytes(size)
        codec = self.numbered(number)
        return codec if codec.size == size else RawBytes(size)

    def numbered(self, number: int) -> Codec:
        """The codec of the type of that number. Raises ObjectError for one that no value can have."""
        if self._btf is None:
            raise ObjectError("the object has no types", where=_WHERE, hint="build it with -g")
        return _Builder(self._btf, self._known).codec(number, 0)


class _Builder:
    def __init__(self, btf: Btf, known: dict[int, Codec]) -> None:
        self.btf = btf
        self.known = known

    def codec(self, number: int, depth: int) -> Codec:
        if number not in self.known:
            if depth > MAX_DEPTH:
                raise ObjectError(f"type {number} holds itself", where=_WHERE)
            codec = self._made(number, type_name(self.btf, number), self.btf.resolve(number), depth)
            if codec.parts > MAX_PARTS:
                raise ObjectError(f"a value of {codec.name} is made of {codec.parts} values", where=_WHERE)
            self.known[number] = codec
        return self.known[number]

    def _made(self, number: int, name: str, found: BtfType, depth: int) -> Codec:
        if found.kind in COMPOSITES:
            return self._composite(name, found, depth)
        if found.kind is Kind.ARRAY:
            return self._array(name, found, depth)
        if found.kind is Kind.PTR:
            return Number(name, POINTER_SIZE, signed=False)
        if found.kind in ENUMS and found.size in (1, 2, 4, 8):
            names = {entry.name: entry.value for entry in found.entries if isinstance(entry, Enumerator)}
            return Enumeration(name, found.size, names, signed=found.signed)
        if found.kind is Kind.FLOAT and found.size in Float.FORMATS:
            return Float(name, found.size)
        if found.kind is Kind.INT and 1 <= found.size <= MAX_INTEGER and not found.bit_offset:
            if found.is_bool:
                return Boolean(name, found.size)
            return Number(name, found.size, signed=found.signed)
        raise ObjectError(f"type {number} ({name}) is none that values have here", where=_WHERE)

    def _array(self, name: str, array: BtfType, depth: int) -> Codec:
        element = self.btf.resolve(array.target)
        if element.kind is Kind.INT and element.size == 1 and (element.name == "char" or not _is_signed(element)):
            return ByteArray(name, array.count)
        return Array(name, self.codec(array.target, depth + 1), array.count)

    def _composite(self, name: str, composite: BtfType, depth: int) -> Composite:
        members: list[Member] = []
        parts, taken = 1, set[str]()
        for entry in composite.entries:
            assert isinstance(entry, MemberType)
            member = self._member(entry, depth)
            if member is None:
                continue
            if entry.bit_offset + _bits(entry, self.btf) > 8 * composite.size:
                raise ObjectError(f"a member of {name} reaches beyond it", where=_WHERE)
            if not taken.isdisjoint(member.fields):
                raise ObjectError(f"two members of {name} have one name", where=_WHERE)
            taken.update(member.fields)
            parts += sum(codec.parts for codec in member.fields.values())
            members.append(member)
        return Composite(name, composite.size, members, union=composite.kind is Kind.UNION, parts=parts)

    def _member(self, entry: MemberType, depth: int) -> Member | None:
        """A member's part; None for a nameless bit field, which is padding."""
        codec = self.codec(entry.type, depth + 1)
        if entry.bits:
            if not isinstance(codec, Number) or entry.bits > codec.bits:
                raise ObjectError(f"{codec.name} in a bit field of {entry.bits} bits", where=_WHERE)
            return BitField(entry.name, codec.narrowed(entry.bits), entry.bit_offset) if entry.name else None
        if entry.bit_offset % 8:
            raise ObjectError(f"the member {entry.name!r} begins inside of a byte", where=_WHERE)
        if entry.name:
            return Field(entry.name, codec, entry.bit_offset // 8)
        return Anonymous(codec, entry.bit_offset // 8) if isinstance(codec, Composite) else None


def _is_signed(number: BtfType) -> bool:
    return number.signed or number.is_bool


def _bits(entry: MemberType, btf: Btf) -> int:
    return entry.bits or 8 * btf.size_of(entry.type)

"""Codecs of structures and unions: a dict of all fields, or whatever has them: a mapping, an instance of a dataclass.

Decoded, a union shows its bytes as each of its members. Encoded, one member is enough, and several must agree about the
bits that they share; so what came out can go in again, and two structures behind one common head can both be given.
"""

from __future__ import annotations

import dataclasses
import keyword
from collections.abc import Mapping, Sequence
from typing import Any

from appliance.ebpf.values.codec import Codec
from appliance.ebpf.values.errors import ValueUnfit
from appliance.ebpf.values.members import Member


class Composite(Codec):
    """A structure, or a union, whose members all begin at its start. `fields` has those of nameless members too.
    Any thread."""

    def __init__(self, name: str, size: int, members: Sequence[Member], *, union: bool, parts: int) -> None:
        super().__init__(name, size, parts)
        self.members = tuple(members)
        self.union = union
        self.fields: Mapping[str, Codec] = {
            field: codec for member in members for field, codec in member.fields.items()
        }

    @property
    def short_name(self) -> str:
        """The name behind `struct` or `union`, or that of the typedef; empty if it has none."""
        last = self.name.rpartition(" ")[2]
        return last if last.isidentifier() else ""

    def pack(self, value: object, into: bytearray, offset: int) -> None:
        fields = fields_of(value)
        if fields is None:
            raise self.unfit(value, f"a dict or dataclass with {self._known()}")
        for name in fields:
            if name not in self.fields:
                raise ValueUnfit(f"{self.name} has no field {name!r}", hint=f"it has {self._known()}")
        self.pack_fields(fields, into, offset)

    def unpack(self, data: bytes, offset: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        self.unpack_fields(data, offset, fields)
        return fields

    def mark(self, into: bytearray, offset: int) -> None:
        for member in self.members:
            member.mark(into, offset)

    def pack_fields(self, fields: Mapping[str, Any], into: bytearray, offset: int) -> None:
        """Put in what the mapping has for the members here; what else it has is others' affair. Raises ValueUnfit."""
        if self.union and self.members:
            self._pack_union([member for member in self.members if member.given(fields)], fields, into, offset)
            return
        for member in self.members:
            member.pack(fields, into, offset)

    def unpack_fields(self, data: bytes, offset: int, fields: dict[str, Any]) -> None:
        """Add the members' values to `fields`."""
        for member in self.members:
            member.unpack(data, offset, fields)

    def _pack_union(self, given: Sequence[Member], fields: Mapping[str, Any], into: bytearray, offset: int) -> None:
        if not given:
            raise ValueUnfit(f"{self.name} has no value", hint=f"give one of {self._known()}")
        bits = owned = 0
        for member in given:
            data, mask = bytearray(self.size), bytearray(self.size)
            member.pack(fields, data, 0)
            member.mark(mask, 0)
            own, owns = int.from_bytes(data, "little"), int.from_bytes(mask, "little")
            if (own ^ bits) & owns & owned:
                hint = "give one of them, or values that have the same bytes"
                raise ValueUnfit(f"the members of {self.name} differ", where=next(iter(member.fields)), hint=hint)
            bits, owned = bits | own, owned | owns
        into[offset : offset + self.size] = bits.to_bytes(self.size, "little")

    def _known(self) -> str:
        return ", ".join(self.fields) or "no fields"


class Anonymous(Member):
    """A structure or union without a name of its own. Any thread."""

    def __init__(self, composite: Composite, offset: int) -> None:
        self.composite = composite
        self.offset = offset
        self.fields = composite.fields

    def pack(self, fields: Mapping[str, Any], into: bytearray, offset: int) -> None:
        self.composite.pack_fields(fields, into, offset + self.offset)

    def unpack(self, data: bytes, offset: int, fields: dict[str, Any]) -> None:
        self.composite.unpack_fields(data, offset + self.offset, fields)

    def mark(self, into: bytearray, offset: int) -> None:
        self.composite.mark(into, offset + self.offset)


def fields_of(value: object) -> Mapping[str, Any] | None:
    """What a mapping or an instance of a dataclass has, by the names that C uses; None if it is neither."""
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {c_name(field.name): getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def c_name(name: str) -> str:
    """What a field of a dataclass is called in C: `from_` is `from`, which Python can't spell."""
    plain = name.removesuffix("_")
    return plain if plain != name and keyword.iskeyword(plain) else name


def python_name(name: str) -> str:
    """What a field of C is called in a dataclass."""
    return f"{name}_" if keyword.iskeyword(name) else name

"""Members of structures and unions, and how each takes its part out of a mapping of fields.

struct flow {
    __u32 packets;                      Field
    __u32 syn : 1, length : 15;         BitField, BitField
    union { __u32 v4; __u8 v6[16]; };   Anonymous (composites.py): its fields are found in what is around it
};
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from appliance.ebpf.values.codec import Codec
from appliance.ebpf.values.errors import ValueUnfit
from appliance.ebpf.values.scalars import Number


class Member(ABC):
    """A part of a composite; `fields` are the names by which it is found, with what each is. Any thread."""

    fields: Mapping[str, Codec]

    def given(self, fields: Mapping[str, Any]) -> bool:
        """Whether the mapping has something for it. None means nothing, as in a dataclass for a union."""
        return any(fields.get(name) is not None for name in self.fields)

    @abstractmethod
    def pack(self, fields: Mapping[str, Any], into: bytearray, offset: int) -> None:
        """Put its part in; `offset` is where the composite begins. Raises ValueUnfit."""

    @abstractmethod
    def unpack(self, data: bytes, offset: int, fields: dict[str, Any]) -> None:
        """Take its part out."""

    @abstractmethod
    def mark(self, into: bytearray, offset: int) -> None:
        """Set the bits that it owns."""


class _Named(Member):
    def __init__(self, name: str, codec: Codec) -> None:
        self.name = name
        self.fields = {name: codec}

    def _value(self, fields: Mapping[str, Any]) -> object:
        if self.name not in fields:
            hint = "give a value for every field; of a union, for one of its members"
            raise ValueUnfit(f"the field {self.name!r} is missing", hint=hint)
        return fields[self.name]


class Field(_Named):
    """A member of whole bytes. Any thread."""

    def __init__(self, name: str, codec: Codec, offset: int) -> None:
        super().__init__(name, codec)
        self.codec = codec
        self.offset = offset

    def pack(self, fields: Mapping[str, Any], into: bytearray, offset: int) -> None:
        value = self._value(fields)
        try:
            self.codec.pack(value, into, offset + self.offset)
        except ValueUnfit as error:
            raise error.within(self.name) from None

    def unpack(self, data: bytes, offset: int, fields: dict[str, Any]) -> None:
        fields[self.name] = self.codec.unpack(data, offset + self.offset)

    def mark(self, into: bytearray, offset: int) -> None:
        self.codec.mark(into, offset + self.offset)


class BitField(_Named):
    """A number in some bits; bit 0 is the lowest of the first byte. Any thread."""

    def __init__(self, name: str, number: Number, bit_offset: int) -> None:
        super().__init__(name, number)
        self.number = number
        first, last = bit_offset // 8, (bit_offset + number.bits - 1) // 8
        self._first, self._after = first, last + 1
        self._shift = bit_offset - 8 * first
        self._mask = (1 << number.bits) - 1

    def pack(self, fields: Mapping[str, Any], into: bytearray, offset: int) -> None:
        value = self._value(fields)
        try:
            self._put(self.number.checked(value) & self._mask, into, offset)
        except ValueUnfit as error:
            raise error.within(self.name) from None

    def unpack(self, data: bytes, offset: int, fields: dict[str, Any]) -> None:
        bits = int.from_bytes(data[offset + self._first : offset + self._after], "little")
        fields[self.name] = self.number.of_bits(bits >> self._shift & self._mask)

    def mark(self, into: bytearray, offset: int) -> None:
        self._put(self._mask, into, offset)

    def _put(self, bits: int, into: bytearray, offset: int) -> None:
        place = slice(offset + self._first, offset + self._after)
        known = int.from_bytes(into[place], "little")
        into[place] = (known | bits << self._shift).to_bytes(self._after - self._first, "little")

"""Codecs of what has no parts: numbers, truth values, enumerations, floating point."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from appliance.ebpf.values.codec import Codec


class Number(Codec):
    """An integer or a pointer, of any number of bytes; in bit fields, of fewer bits. Any thread."""

    def __init__(self, name: str, size: int, *, signed: bool, bits: int | None = None) -> None:
        super().__init__(name, size)
        self.signed = signed
        self.bits = 8 * size if bits is None else bits
        self.least = -(1 << self.bits - 1) if signed else 0
        self.most = (1 << self.bits - signed) - 1

    def checked(self, value: object) -> int:
        """The value as an integer. Raises ValueUnfit if it is none, or out of range."""
        if not isinstance(value, int) or not self.least <= value <= self.most:
            raise self.unfit(value, self._range())
        return value

    def of_bits(self, bits: int) -> int:
        """The value that the lowest `bits` of an integer stand for."""
        return bits - (1 << self.bits) if self.signed and bits >> self.bits - 1 else bits

    def narrowed(self, bits: int) -> Number:
        """The same in a bit field."""
        return Number(f"{self.name}:{bits}", self.size, signed=self.signed, bits=bits)

    def pack(self, value: object, into: bytearray, offset: int) -> None:
        into[offset : offset + self.size] = self.checked(value).to_bytes(self.size, "little", signed=self.signed)

    def unpack(self, data: bytes, offset: int) -> int:
        return int.from_bytes(data[offset : offset + self.size], "little", signed=self.signed)

    def _range(self) -> str:
        return f"an integer from {self.least} to {self.most}"


class Boolean(Number):
    """True or False; 1 and 0 may be given too. Whatever is not 0 is true. Any thread."""

    def __init__(self, name: str, size: int, bits: int | None = None) -> None:
        super().__init__(name, size, signed=False, bits=bits)
        self.most = 1

    def of_bits(self, bits: int) -> bool:
        return bits != 0

    def narrowed(self, bits: int) -> Boolean:
        return Boolean(f"{self.name}:{bits}", self.size, bits)

    def unpack(self, data: bytes, offset: int) -> bool:
        return any(data[offset : offset + self.size])

    def _range(self) -> str:
        return "True or False"


class Enumeration(Number):
    """An integer; the name of an enumerator may be given for its value. Other numbers fit too, as in C.

    Compilers before LLVM 16 don't say that an enumeration has negative values. They are read as large numbers then, and
    may be given as either. Any thread.
    """

    def __init__(
        self, name: str, size: int, names: Mapping[str, int], *, signed: bool, bits: int | None = None
    ) -> None:
        super().__init__(name, size, signed=signed, bits=bits)
        self.names = names
        self.least = -(1 << self.bits - 1)

    def checked(self, value: object) -> int:
        number = super().checked(self.names.get(value, value) if isinstance(value, str) else value)
        return number if self.signed else number & (1 << self.bits) - 1

    def narrowed(self, bits: int) -> Enumeration:
        return Enumeration(f"{self.name}:{bits}", self.size, self.names, signed=self.signed, bits=bits)

    def _range(self) -> str:
        shown = [*self.names][:8]
        more = ", …" if len(self.names) > len(shown) else ""
        return f"{super()._range()}, or one of {', '.join(shown)}{more}" if shown else super()._range()


class Float(Codec):
    """`float` or `double`. An integer may be given. Any thread."""

    FORMATS: Mapping[int, struct.Struct] = {4: struct.Struct("<f"), 8: struct.Struct("<d")}

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, size)
        self._format = self.FORMATS[size]

    def pack(self, value: object, into: bytearray, offset: int) -> None:
        try:
            self._format.pack_into(into, offset, value)
        except (struct.error, OverflowError):
            raise self.unfit(value, f"a number that {self.size} bytes of floating point can hold") from None

    def unpack(self, data: bytes, offset: int) -> float:
        value: float = self._format.unpack_from(data, offset)[0]
        return value

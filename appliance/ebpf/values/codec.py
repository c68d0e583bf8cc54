"""What a codec is: the way between Python's values and the bytes that a type of C has.

    Codec
      RawBytes                      bytes as they are, where nothing says what they mean
      Number, Boolean, Float        scalars.py
      Enumeration, ByteArray, Array scalars.py, arrays.py
      Composite                     composites.py: structures and unions
      TypedCodec                    python_types.py: another codec, whose values become those of a Python type

Numbers are in the machine's byte order, as programs see them: what a program keeps in network order is a number with
its bytes swapped here too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from appliance.ebpf.values.errors import ValueUnfit


class Codec(ABC):
    """One type: `size` bytes, what C calls it, and of how many values one of its values is made.

    Codecs never change and may be shared. Any thread.
    """

    def __init__(self, name: str, size: int, parts: int = 1) -> None:
        self.name = name
        self.size = size
        self.parts = parts

    def encode(self, value: object) -> bytes:
        """The bytes of a value; padding is zero. Raises ValueUnfit, which says where in the value."""
        data = bytearray(self.size)
        self.pack(value, data, 0)
        return bytes(data)

    def decode(self, data: bytes) -> Any:
        """The value in exactly `size` bytes. Raises ValueUnfit for another number of them."""
        if len(data) != self.size:
            raise ValueUnfit(f"{len(data)} bytes where {self.name} has {self.size}")
        return self.unpack(data, 0)

    @abstractmethod
    def pack(self, value: object, into: bytearray, offset: int) -> None:
        """Put a value into zeros. Raises ValueUnfit."""

    @abstractmethod
    def unpack(self, data: bytes, offset: int) -> Any:
        """The value that begins at byte `offset`."""

    def mark(self, into: bytearray, offset: int) -> None:
        """Set every bit that a value owns, and none that is padding."""
        into[offset : offset + self.size] = b"\xff" * self.size

    def unfit(self, value: object, hint: str) -> ValueUnfit:
        """The refusal of a value."""
        shown = repr(value)
        short = shown if len(shown) <= 60 else f"{shown[:57]}..."
        return ValueUnfit(f"{short} is no value of {self.name}", hint=hint)


class RawBytes(Codec):
    """`size` bytes that stay bytes. Any thread."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes", size)

    def pack(self, value: object, into: bytearray, offset: int) -> None:
        if not isinstance(value, bytes | bytearray) or len(value) != self.size:
            raise self.unfit(value, f"give {self.size} bytes: the object has no type for it")
        into[offset : offset + self.size] = value

    def unpack(self, data: bytes, offset: int) -> bytes:
        return data[offset : offset + self.size]

"""Codecs of arrays. One of characters or unsigned bytes is `bytes`, whatever they mean: text, an address, a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appliance.ebpf.values.codec import Codec
from appliance.ebpf.values.errors import ValueUnfit


class ByteArray(Codec):
    """`bytes` of the array's length. Text may be given too: it becomes UTF-8, with zeros behind it. Any thread."""

    def pack(self, value: object, into: bytearray, offset: int) -> None:
        data = value
        if isinstance(value, str):
            data = value.encode("utf-8", "surrogateescape").ljust(self.size, b"\0")
        if not isinstance(data, bytes | bytearray) or len(data) != self.size:
            raise self.unfit(value, f"{self.size} bytes, or text of at most as many in UTF-8")
        into[offset : offset + self.size] = data

    def unpack(self, data: bytes, offset: int) -> bytes:
        return data[offset : offset + self.size]


class Array(Codec):
    """A list, with every element there. An array of length 0, as at the end of a structure, is the empty list.
    Any thread."""

    def __init__(self, name: str, element: Codec, count: int) -> None:
        super().__init__(name, element.size * count, 1 + element.parts * count)
        self.element = element
        self.count = count

    def pack(self, value: object, into: bytearray, offset: int) -> None:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != self.count:
            raise self.unfit(value, f"a sequence of {self.count}")
        for number, each in enumerate(value):
            try:
                self.element.pack(each, into, offset + number * self.element.size)
            except ValueUnfit as error:
                raise error.within(f"[{number}]") from None

    def unpack(self, data: bytes, offset: int) -> list[Any]:
        step = self.element.size
        return [self.element.unpack(data, offset + number * step) for number in range(self.count)]

    def mark(self, into: bytearray, offset: int) -> None:
        for number in range(self.count):
            self.element.mark(into, offset + number * self.element.size)

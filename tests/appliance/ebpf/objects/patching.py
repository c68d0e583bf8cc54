"""Objects whose headers and sections can be changed by name, and what the loader says to that."""

from __future__ import annotations

import struct
from typing import ClassVar

import pytest

from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.objects.objects import load_object


class Object:
    """An object whose headers can be changed by name, and which knows where its sections are."""

    HEADER: ClassVar = {
        "class": (4, "B"),
        "data": (5, "B"),
        "type": (16, "H"),
        "machine": (18, "H"),
        "shoff": (40, "Q"),
    }
    HEADER |= {"shentsize": (58, "H"), "shnum": (60, "H"), "shstrndx": (62, "H")}
    SECTION: ClassVar = {"name": (0, "I"), "type": (4, "I"), "flags": (8, "Q"), "offset": (24, "Q"), "size": (32, "Q")}
    SECTION |= {"link": (40, "I"), "info": (44, "I"), "entsize": (56, "Q")}

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.start = struct.unpack_from("<Q", data, 40)[0]
        names = self.get(struct.unpack_from("<H", data, 62)[0], "offset")
        self.sections = {}
        for index in range(struct.unpack_from("<H", data, 60)[0]):
            at = names + self.get(index, "name")
            self.sections[data[at : data.index(b"\0", at)].decode()] = index

    def get(self, section: int, field: str) -> int:
        offset, code = self.SECTION[field]
        return int(struct.unpack_from(f"<{code}", self.data, self.start + 64 * section + offset)[0])

    def header(self, field: str, value: int) -> Object:
        offset, code = self.HEADER[field]
        struct.pack_into(f"<{code}", self.data, offset, value)
        return self

    def section(self, name: str, field: str, value: int) -> Object:
        offset, code = self.SECTION[field]
        struct.pack_into(f"<{code}", self.data, self.start + 64 * self.sections[name] + offset, value)
        return self

    def inside(self, name: str, offset: int, code: str, value: int) -> Object:
        struct.pack_into(f"<{code}", self.data, self.get(self.sections[name], "offset") + offset, value)
        return self


def refusal(data: bytes | bytearray | Object) -> str:
    """The message, without the file's name and without what to do."""
    with pytest.raises(ObjectError) as caught:
        load_object(bytes(data.data if isinstance(data, Object) else data), "x.o")
    return str(caught.value).split("\n")[0].removeprefix("x.o: ")


def fault(data: Object) -> str:
    """What is wrong with the file's one program."""
    (program,) = load_object(bytes(data.data), "x.o").programs.values()
    return str(program.fault)

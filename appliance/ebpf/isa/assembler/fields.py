"""The named parts of a statement, read as what they stand for: registers, numbers, sizes.

Widths are in the letters: `r` is a register's 64 bits, `w` its low 32. All letters of an operation must agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn

from appliance.ebpf.isa.assembler.statements import Statement
from appliance.ebpf.isa.instructions import FRAME_POINTER, Immediate, Operand, Register, Width
from appliance.ebpf.isa.syntax import TYPES


class Fields:
    """The named parts of one statement, read as what they stand for. For one thread."""

    def __init__(self, statement: Statement, match: re.Match[str], helpers: Mapping[str, int]) -> None:
        self.helpers = helpers
        self._statement = statement
        self._match = match

    def has(self, name: str) -> bool:
        return self._match.groupdict().get(name) is not None

    def __getitem__(self, name: str) -> str:
        return self._match[name]

    def refuse(self, name: str, what: str, hint: str | None = None) -> NoReturn:
        self._statement.refuse(what, self._match.start(name), hint)

    def register(self, name: str) -> int:
        number = int(self[name][1:])
        if number > FRAME_POINTER:
            self.refuse(name, f"there is no register {self[name]}", "registers are r0 to r10")
        return number

    @property
    def width(self) -> Width:
        """What the destination's letter says."""
        return 64 if self["dst"][0] == "r" else 32

    def same_width(self, name: str, width: int) -> int:
        """The register's number, if its letter says `width` bits."""
        if (self[name][0] == "r") is not (width == 64):
            letter = "r" if width == 64 else "w"
            self.refuse(name, f"{self[name]} has the wrong width here", f"write {letter}{self[name][1:]}")
        return self.register(name)

    def number(self, name: str, bits: int, *, unsigned: bool = False) -> int:
        """The number as a signed one of `bits`; with `unsigned` it may be written either way."""
        value = _integer(self[name])
        limit = 1 << (bits if unsigned else bits - 1)
        if not -(1 << bits - 1) <= value < limit:
            hint = f"r1 = {self[name]} ll loads 64 bits" if bits == 32 else None
            self.refuse(name, f"{self[name]} does not fit in {bits} bits", hint)
        return value - (1 << bits) if value >= 1 << bits - 1 else value

    def operand(self, width: int) -> Operand:
        if self["source"][0] in "rw":
            return Register(self.same_width("source", width))
        return Immediate(self.number("source", 32, unsigned=width == 32))

    def offset(self, bits: int = 16) -> int:
        return self.number("offset", bits) if self.has("offset") else 0

    def type(self) -> tuple[int, bool]:
        """(bytes, signed)."""
        return TYPES[self["type"]]

    def unsigned_size(self, *sizes: int) -> int:
        size, signed = self.type()
        if signed or size not in sizes:
            self.refuse(
                "type", f"{self['type']} is not possible here", f"use {' or '.join(f'u{s * 8}' for s in sizes)}"
            )
        return size


def _integer(text: str) -> int:
    digits = text.replace(" ", "").replace("\t", "")
    return int(digits, 16 if "x" in digits else 10)

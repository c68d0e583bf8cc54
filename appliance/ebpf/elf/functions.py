"""The functions of an object file, and the order in which a program and what it calls are put together.

    section xdp         section .text                        ProgramSpec
    +----------+        +------+--------+--------+           +----------+--------+------+
    | filter   |─calls─>| hash | verify | unused |    ==>    | filter   | verify | hash |
    +----------+        +------+--------+--------+           +----------+--------+------+

A program comes first; the functions it reaches follow, each once, in the order in which they are first met.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from appliance.ebpf.elf.elf import ElfFile, Symbol
from appliance.ebpf.isa.codec.slots import SLOT_SIZE
from appliance.ebpf.object_errors import ObjectError


@dataclass(frozen=True, slots=True)
class Function:
    """The code between two bytes of a section. `is_global` says whether others may call it by name."""

    name: str
    section: int
    start: int
    code: bytes
    is_global: bool

    @property
    def slots(self) -> int:
        return len(self.code) // SLOT_SIZE


class FunctionTable:
    """All functions of a file, by where they start. Raises ObjectError if they overlap or leave their section.
    Any thread."""

    def __init__(self, elf: ElfFile) -> None:
        self._elf = elf
        self._by_section: dict[int, list[Function]] = {section.index: [] for section in elf.sections if section.is_code}
        for symbol in elf.symbols:
            if symbol.type == "STT_FUNC" and symbol.section in self._by_section:
                self._by_section[symbol.section].append(_function(elf, symbol, symbol.section))
        for functions in self._by_section.values():
            functions.sort(key=lambda function: function.start)
            for one, next_one in pairwise(functions):
                if one.start + len(one.code) > next_one.start:
                    raise ObjectError(f"the functions {one.name} and {next_one.name} overlap")

    def of_section(self, section: int) -> Iterator[Function]:
        """The functions of a section, in order."""
        return iter(self._by_section.get(section, ()))

    def at(self, section: int, offset: int) -> Function:
        """The function that starts at that byte. Raises ObjectError if none does."""
        functions = self._by_section.get(section, [])
        index = bisect_left(functions, offset, key=lambda function: function.start)
        if index == len(functions) or functions[index].start != offset:
            name = self._elf.sections[section].name
            raise ObjectError(f"no function starts at byte {offset} of section {name}")
        return functions[index]


def _function(elf: ElfFile, symbol: Symbol, section: int) -> Function:
    home = elf.sections[section]
    end = symbol.value + symbol.size
    if symbol.value % SLOT_SIZE or symbol.size % SLOT_SIZE or not symbol.size or end > home.size:
        raise ObjectError(
            f"{symbol.size} bytes from byte {symbol.value} are not whole instructions inside the section",
            where=f"section {home.name}, function {symbol.name}",
        )
    return Function(symbol.name, section, symbol.value, home.data[symbol.value : end], symbol.binding != "STB_LOCAL")


def first_slots(functions: Iterable[Function]) -> dict[Function, int]:
    """The slot at which each function starts when they stand one behind the other in that order."""
    starts, slot = {}, 0
    for function in functions:
        starts[function] = slot
        slot += function.slots
    return starts

"""What the bytes of a function refer to: maps, variables and other functions, by relocations or by plain offsets.

    R_BPF_64_64     a 64-bit immediate load: a map, a variable, or a function's address     symbol + immediate
    R_BPF_64_32     a call of a function                                                    symbol + 8 * (immediate + 1)
    none            a call of a function in the same section                                next slot + immediate

The compiler names a global by its own symbol, and a static thing by its section and the distance in the immediate.
Source: Documentation/bpf/llvm_reloc.rst of the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from appliance.ebpf.elf.elf import ElfFile, Relocation, Symbol
from appliance.ebpf.elf.functions import Function, FunctionTable
from appliance.ebpf.isa.codec import KernelFunctionReference, MapReference, MapValueReference, Slot
from appliance.ebpf.isa.codec.slots import SLOT_SIZE, unpack_slots
from appliance.ebpf.isa.opcodes import CallKind, InstructionClass, JumpCode, Mode, PseudoSource, Size
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.objects.externs import Externs, KernelSymbol
from appliance.ebpf.objects.map_declarations import MapPlaces

R_BPF_64_64 = 1
R_BPF_64_32 = 10

_LOAD = InstructionClass.LD | Size.DW | Mode.IMM
_CALL = InstructionClass.JMP | JumpCode.CALL

Target: TypeAlias = MapReference | MapValueReference | KernelSymbol | KernelFunctionReference | Function


class Resolver:
    """Finds what the instructions of a file refer to. For one thread."""

    def __init__(self, elf: ElfFile, functions: FunctionTable, maps: MapPlaces, externs: Externs) -> None:
        self._elf = elf
        self._functions = functions
        self._maps = maps
        self._externs = externs
        self._by_offset: dict[int, Mapping[int, Relocation]] = {}

    def targets(self, function: Function) -> dict[int, Target]:
        """By the slot in the function, what the loads and calls in it refer to. Raises ObjectError."""
        relocations = self._relocations(function.section)
        found: dict[int, Target] = {}
        for number, slot in enumerate(unpack_slots(function.code)):
            offset = function.start + number * SLOT_SIZE
            relocation = relocations.get(offset)
            try:
                target = self._relocated(relocation, slot) if relocation else self._plain(function, offset, slot)
            except ObjectError as error:
                raise error.within(f"function {function.name}, slot {number}") from None
            if target is not None:
                found[number] = target
        return found

    def _relocations(self, section: int) -> Mapping[int, Relocation]:
        """The relocations of a section by the byte that they change, checked once."""
        if section not in self._by_offset:
            entries = self._elf.relocations.get(section, ())
            known = {relocation.offset: relocation for relocation in entries}
            where = f"section {self._elf.sections[section].name}"
            if len(known) != len(entries):
                raise ObjectError("two relocations change the same instruction", where=where)
            for offset in known:
                if offset % SLOT_SIZE or offset >= self._elf.sections[section].size:
                    raise ObjectError(f"a relocation changes byte {offset}, where no instruction starts", where=where)
            self._by_offset[section] = known
        return self._by_offset[section]

    def _plain(self, function: Function, offset: int, slot: Slot) -> Function | None:
        """What an instruction without a relocation refers to: a function by its distance, or nothing."""
        if slot.opcode == _CALL and slot.src == CallKind.LOCAL:
            return self._functions.at(function.section, offset + (slot.immediate + 1) * SLOT_SIZE)
        if slot.opcode == _LOAD and slot.src == PseudoSource.CODE:
            raise ObjectError("the load of a function's address has no relocation")
        return None

    def _relocated(self, relocation: Relocation, slot: Slot) -> Target | None:
        symbol = relocation.symbol
        if not symbol.defined and relocation.type == R_BPF_64_64 and slot.opcode == _LOAD:
            return self._externs.address(symbol, slot.immediate)
        if not symbol.defined and relocation.type == R_BPF_64_32 and slot.opcode == _CALL:
            return self._externs.callee(symbol)
        if symbol.section is None:
            raise ObjectError(f"the symbol {symbol.name} lies in no section", hint="build with -fno-common")
        if relocation.type == R_BPF_64_64 and slot.opcode == _LOAD:
            return self._address(symbol, symbol.section, symbol.value + slot.immediate)
        if relocation.type == R_BPF_64_32 and slot.opcode == _CALL:
            return self._functions.at(symbol.section, symbol.value + (slot.immediate + 1) * SLOT_SIZE)
        raise ObjectError(f"a relocation of type {relocation.type} does not fit opcode {slot.opcode:#04x}")

    def _address(self, symbol: Symbol, section: int, offset: int) -> Target:
        """What lies at byte `offset` of a section, for a load of its address."""
        declared = self._maps.declared.get((section, offset))
        if declared is not None:
            return MapReference(declared.name)
        data = self._maps.data.get(section)
        if data is not None:
            if not 0 <= offset < data.value_size:
                raise ObjectError(f"{symbol.name} + {offset - symbol.value} lies outside of {data.name}")
            return MapValueReference(data.name, offset)
        if self._elf.sections[section].is_code:
            return self._functions.at(section, offset)
        place = f"byte {offset} of section {self._elf.sections[section].name}"
        raise ObjectError(f"{symbol.name} ({place}) is neither a map nor a variable nor a function")

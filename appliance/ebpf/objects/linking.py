"""A program put together: its function, those that it reaches behind it, and every reference resolved.

    program ── call ─> f ── call ─> g        in the file: each in its section, anywhere
    [ program | f | g ]                      linked: one after the other, in the order in which they are met

Functions that two programs call are in both. CO-RE relocations are applied before the bytes are decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from appliance.ebpf.btf.btf import Btf, Kind
from appliance.ebpf.core.btf_ext import InstructionInfo
from appliance.ebpf.core.code import CodeRelocator
from appliance.ebpf.elf.elf import ElfFile
from appliance.ebpf.elf.functions import Function, first_slots
from appliance.ebpf.isa.codec import ConstantReference, FunctionReference, Reference, decode
from appliance.ebpf.isa.codec.slots import SLOT_SIZE
from appliance.ebpf.isa.instructions import Branch, Instruction, Jump, slot_numbers
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.objects.externs import Externs, KernelSymbol
from appliance.ebpf.objects.relocation import Resolver, Target
from appliance.errors import SourceLine
from hooks.contracts.contract import HookPoint

MAX_SLOTS = 1 << 20  # of all programs of a file together, called functions counted for each caller


@dataclass(frozen=True, slots=True)
class LinkedCode:
    """Instructions, and what is known of some by their index: source lines, functions that begin there, and the types
    of these (numbers in the file's BTF)."""

    instructions: tuple[Instruction, ...]
    lines: Mapping[int, SourceLine]
    functions: Mapping[int, Function]
    function_types: Mapping[int, int]


class Linker:
    """Links the programs of one file, one after the other. For one thread."""

    def __init__(
        self,
        elf: ElfFile,
        resolver: Resolver,
        relocator: CodeRelocator,
        externs: Externs,
        info: InstructionInfo,
        btf: Btf | None,
    ) -> None:
        self._elf = elf
        self._resolver = resolver
        self._relocator = relocator
        self._externs = externs
        self._info = info
        self._btf = btf
        self._targets: dict[Function, dict[int, Target]] = {}
        self._room = MAX_SLOTS

    def link(self, program: Function, hook: HookPoint) -> LinkedCode:
        """A program with the functions that it reaches behind it. Raises ObjectError, CoreError or DecodeError."""
        reached = self._reached(program)
        starts = first_slots(reached)
        references = {
            starts[function] + slot: self._reference(target, starts, hook)
            for function, targets in reached.items()
            for slot, target in targets.items()
        }
        instructions = decode(b"".join(map(self._relocator.code, reached)), references)
        index_of = {slot: index for index, slot in enumerate(slot_numbers(instructions))}
        functions = {self._index(index_of, start, function): function for function, start in starts.items()}
        _check_jumps(instructions, functions)
        return LinkedCode(instructions, dict(self._lines(starts, index_of)), functions, self._function_types(functions))

    def _reached(self, program: Function) -> dict[Function, dict[int, Target]]:
        """The program and every function it calls or takes the address of, in the order in which they are met."""
        reached: dict[Function, dict[int, Target]] = {}
        waiting = [program]
        while waiting:
            function = waiting.pop()
            if function in reached:
                continue
            self._room -= function.slots
            if self._room < 0:
                raise ObjectError(f"the programs have more than {MAX_SLOTS} slots together")
            if function not in self._targets:
                self._targets[function] = self._resolver.targets(function)
            reached[function] = self._targets[function]
            called = [target for target in reached[function].values() if isinstance(target, Function)]
            waiting.extend(reversed(called))
        return reached

    def _reference(self, target: Target, starts: Mapping[Function, int], hook: HookPoint) -> Reference:
        if isinstance(target, KernelSymbol):
            return ConstantReference(self._externs.address_at(target, hook))
        return FunctionReference(starts[target]) if isinstance(target, Function) else target

    @staticmethod
    def _index(index_of: Mapping[int, int], start: int, function: Function) -> int:
        if start not in index_of:
            raise ObjectError("the function before it ends in the middle of an instruction", where=function.name)
        return index_of[start]

    def _function_types(self, functions: Mapping[int, Function]) -> dict[int, int]:
        types = {}
        for index, function in functions.items():
            known = self._info.functions.get(self._elf.sections[function.section].name, {}).get(function.start)
            if known is not None and self._btf is not None and self._btf.type(known).kind is Kind.FUNC:
                types[index] = known
        return types

    def _lines(self, starts: Mapping[Function, int], index_of: Mapping[int, int]) -> Iterator[tuple[int, SourceLine]]:
        for function, start in starts.items():
            end = function.start + len(function.code)
            name = self._elf.sections[function.section].name
            for offset, line in self._info.lines.between(name, function.start, end):
                index = index_of.get(start + (offset - function.start) // SLOT_SIZE)
                if index is not None:
                    yield index, line


def _check_jumps(instructions: Iterable[Instruction], functions: Mapping[int, Function]) -> None:
    """A jump stays in its function: beyond it, other code lies here than in the file."""
    bounds = [*functions, None]
    position = 0
    for index, instruction in enumerate(instructions):
        if bounds[position + 1] == index:
            position += 1
        if not isinstance(instruction, Jump | Branch):
            continue
        first, after = bounds[position], bounds[position + 1]
        if instruction.target < (first or 0) or (after is not None and instruction.target >= after):
            name = functions[first or 0].name
            raise ObjectError(f"the jump at instruction {index} leaves the function", where=f"function {name}")

"""One subprogram being written: its registers, its stack, its pointers. The convention of generated code:

    i64 program_NAME(ptr context)               the entry: r1 is the context's address
    i64 program_NAME.AT(ptr context, i64 × 5)   a subprogram that starts at instruction AT, called with r1 to r5

    r0 … r9    64-bit locals. Inside a basic block the newest value of each is known and used as it is; where a block
               ends, the changed ones are written to stack slots, which LLVM turns back into registers.
    r10        the end of a stack of 512 bytes. Where the verifier knows which part of the stack an access keeps to, the
               access starts from that part's buffer and not from r10, so that LLVM makes registers of it (see stack).

Registers start as zero, and so does the stack of a program that nobody verified: no undefined value can exist. Zeros
that a verified program never reads cost nothing in registers; its stack is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from llvmlite import ir

from appliance.ebpf.isa.instructions import FRAME_POINTER, Immediate, Operand, Width, slot_numbers
from appliance.errors import InputRefused
from appliance.helpers.native.call import Clock, MapSite
from appliance.ir import I64, U64, Code, Number, Pointer, Value
from appliance.jit.stack import Stack, StackLayout
from appliance.verifier.program import Access, VerifiedProgram


class NotCompilable(InputRefused):
    """The program asks for something that has no native code here. The verifier accepts no such program."""


@dataclass(frozen=True, slots=True)
class ProgramPlan:
    """What all subprograms of one program share. `functions`: the subprograms by their first instruction."""

    program: VerifiedProgram
    maps: Mapping[str, MapSite]
    clock: Clock
    functions: dict[int, ir.Function]


class Registers:
    """r0 to r9 of one subprogram. Values are i64. For one thread."""

    def __init__(self, code: Code) -> None:
        self._slots = [code.variable(I64, 0) for _ in range(FRAME_POINTER)]
        self._newest: dict[int, U64] = {}
        self._unwritten: set[int] = set()

    def get(self, number: int) -> U64:
        if number not in self._newest:
            self._newest[number] = self._slots[number].get()
        return self._newest[number]

    def set(self, number: int, value: U64) -> None:
        self._newest[number] = value
        self._unwritten.add(number)

    def end_block(self) -> None:
        """Write what changed, before a jump; the next block starts knowing nothing."""
        for number in sorted(self._unwritten):
            self._slots[number].set(self._newest[number])
        self.forget()

    def forget(self) -> None:
        """Know nothing: what a block that ends the subprogram knew is nothing to the block behind it."""
        self._newest.clear()
        self._unwritten.clear()


class Subprogram:
    """What an emitter writes with. `blocks` are the basic blocks by their first instruction; `switched` the comparisons
    that a table stands in front of. For one thread."""

    def __init__(self, plan: ProgramPlan, function: ir.Function, leaders: Sequence[int], layout: StackLayout) -> None:
        self.plan = plan
        self.code = Code(function)
        self.context: Pointer = function.args[0]
        self.registers = Registers(self.code)
        self.blocks = {leader: function.append_basic_block(f"at.{leader}") for leader in leaders}
        self.switched: set[int] = set()
        self._stack = Stack(self.code, layout)

    @overload
    def read(self, register: int) -> U64: ...

    @overload
    def read(self, register: int, width: Width) -> Value: ...

    def read(self, register: int, width: Width = 64) -> Value:
        """The register, or its low half."""
        if register == FRAME_POINTER:
            value = self._stack.end()
        else:
            value = self.registers.get(register)
        return self.narrow(value, width)

    def write(self, register: int, value: Number) -> None:
        """The register becomes the value, zero-extended. Raises NotCompilable for r10, which raw bytecode may name."""
        if register == FRAME_POINTER:
            raise NotCompilable("r10 is read-only", where=self.plan.program.spec.name)
        self.registers.set(register, self.code.resize(value, I64))

    def operand(self, source: Operand, width: Width = 64) -> Value:
        """A register, or a constant cut to `width` bits."""
        if isinstance(source, Immediate):
            return ir.Constant(ir.IntType(width), source.value & ((1 << width) - 1))
        return self.read(source.number, width)

    def narrow(self, value: U64, bits: int) -> Value:
        return self.code.resize(value, ir.IntType(bits))

    def place(self, index: int, base: int, offset: int) -> Pointer:
        """Where the instruction's memory operand is, as a pointer (a context's field: see memory)."""
        known = self.plan.program.facts.accesses.get(index)
        return self.stack_place(index, base, known, offset) or self.pointer(base, offset)

    def pointer(self, base: int, offset: int = 0) -> Pointer:
        """base + offset with nothing known of it."""
        pointer = self.code.pointer(self.read(base))
        return self.code.at(pointer, offset) if offset else pointer

    def stack_place(self, index: int, register: int, access: Access | None, offset: int = 0) -> Pointer | None:
        """Where register + offset is, if the verifier saw the instruction touch this subprogram's own stack there."""
        stack = self.plan.program.facts.stack
        extent = stack.own.get((index, register)) if stack is not None else None
        if extent is None:
            return None
        if access is not None and access.offset is not None:
            return self._stack.place(access.offset)
        return self._stack.place_within(extent, self.code.add(self.read(register), offset))

    def branch(self, target: int) -> None:
        """End the block with a jump."""
        self.registers.end_block()
        self.code.builder.branch(self.blocks[target])

    def refusal(self, what: str, index: int) -> NotCompilable:
        """An error that names the instruction, to be raised."""
        spec = self.plan.program.spec
        slot = slot_numbers(spec.instructions)[index]
        return NotCompilable(f"instruction {slot} of {spec.name}: {what}", where=spec.line_of(index))

"""Instructions made into steps: functions that change the machine and answer which instruction comes next.

Each instruction is looked at once, when its step is made; what it needs is bound to the step, and a run is no more than
a loop over calls. Registers are used in place. The frequent case, where every operand is a number, is asked for first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from appliance.ebpf.interpreter import alu, control_flow, memory
from appliance.ebpf.interpreter.machine import Machine
from appliance.ebpf.interpreter.operands import Step
from appliance.ebpf.interpreter.violation import Violation
from appliance.ebpf.isa.instructions import (
    FRAME_POINTER,
    Alu,
    Atomic,
    Branch,
    ByteSwap,
    CallFunction,
    CallHelper,
    CallKernel,
    CallRegister,
    Exit,
    Instruction,
    Jump,
    LegacyPacketLoad,
    Load,
    LoadConstant,
    LoadFunction,
    LoadMap,
    LoadMapValue,
    Move,
    Negate,
    Store,
)
from appliance.ebpf.isa.opcodes import AtomicOp


def make_steps(instructions: Sequence[Instruction]) -> list[Step]:
    """One step for each instruction, and one behind the last, which is a violation to reach."""
    return [*(_make_step(instruction, index + 1) for index, instruction in enumerate(instructions)), _run_past]


def _make_step(instruction: Instruction, following: int) -> Step:
    match instruction:
        case Branch() | Store():
            written = None
        case Atomic(op, src=src, fetch=fetch):
            written = src if fetch and op is not AtomicOp.CMPXCHG else None
        case _:
            written = getattr(instruction, "dst", None)
    return _write_frame_pointer if written == FRAME_POINTER else _STEPS[type(instruction)](instruction, following)


def _write_frame_pointer(_: Machine) -> int:
    raise Violation("r10 is read-only")


def _run_past(_: Machine) -> int:
    raise Violation("the program runs past its last instruction")


_STEPS: dict[type, Callable[[Any, int], Step]] = {
    Alu: alu.alu,
    Move: alu.move,
    Negate: alu.negate,
    ByteSwap: alu.byte_swap,
    Load: memory.load,
    Store: memory.store,
    Atomic: memory.atomic,
    LegacyPacketLoad: memory.legacy_load,
    LoadConstant: alu.load_constant,
    LoadMap: memory.load_map,
    LoadMapValue: memory.load_map_value,
    LoadFunction: alu.load_function,
    Jump: control_flow.jump,
    Branch: control_flow.branch,
    CallHelper: control_flow.call_helper,
    CallFunction: control_flow.call_function,
    CallRegister: control_flow.call_register,
    CallKernel: control_flow.call_kernel,
    Exit: control_flow.leave,
}

"""Which registers and stack bytes may still be read, at the start of every block.

A set of places is one integer: bits 0 to 10 are the registers, bit 11 + 512 + offset the stack byte at r10 + offset.

States are freed of what is dead before they are compared, so that paths that differ in nothing that matters merge. A
place that is wrongly taken for dead can only make the verifier refuse more, never accept more: it forgets the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.ebpf.isa.instructions import (
    FRAME_POINTER,
    STACK_SIZE,
    Alu,
    Atomic,
    Branch,
    ByteSwap,
    CallFunction,
    CallHelper,
    CallRegister,
    Exit,
    Immediate,
    Instruction,
    LegacyPacketLoad,
    Load,
    LoadConstant,
    LoadFunction,
    LoadMap,
    LoadMapValue,
    Move,
    Negate,
    Register,
    Store,
)
from appliance.ebpf.isa.opcodes import AluOp, AtomicOp
from appliance.ebpf.spec import MapSpec
from appliance.helpers.dynptrs import DYNPTR_SIZE
from appliance.helpers.kernel.prototypes import EVERY_PROTOTYPE
from appliance.helpers.prototypes import ArgumentKind
from appliance.verifier.budget import Budget
from appliance.verifier.control_flow.cfg import ControlFlowGraph

_STACK_BIT = 11 + STACK_SIZE
_CALLER_SAVED = 0b111111
_WHOLE_STACK = ((1 << STACK_SIZE) - 1) << 11


def stack_bytes(offset: int, size: int) -> int:
    """The set of `size` stack bytes at r10 + offset, those outside of the stack left out."""
    return ((1 << size) - 1) << (_STACK_BIT + offset) & _WHOLE_STACK if offset >= -STACK_SIZE else 0


def register_effects(instruction: Instruction, helpers: Mapping[int, str]) -> tuple[int, int]:
    """The registers that an instruction reads, and those that it overwrites."""
    match instruction:
        case Alu(dst=dst, source=Register(number)) | Branch(dst=dst, source=Register(number)):
            reads = 1 << dst | 1 << number
            return reads, 0
        case Alu(dst=dst) | Branch(dst=dst) | Negate(dst=dst) | ByteSwap(dst=dst):
            return 1 << dst, 0
        case Move(dst=dst, source=Register(number)) | Load(dst=dst, base=number):
            return 1 << number, 1 << dst
        case Move(dst=dst) | LoadConstant(dst=dst) | LoadMap(dst=dst) | LoadMapValue(dst=dst) | LoadFunction(dst=dst):
            return 0, 1 << dst
        case Store(base=base, source=Register(number)):
            return 1 << base | 1 << number, 0
        case Store(base=base):
            return 1 << base, 0
        case Atomic(op=AtomicOp.CMPXCHG, base=base, src=src):
            return 1 << base | 1 << src | 1, 0
        case Atomic(base=base, src=src):
            return 1 << base | 1 << src, 0
        case CallHelper(helper):
            prototype = EVERY_PROTOTYPE.get(helpers.get(helper, ""))
            count = len(prototype.arguments) if prototype is not None else 5
            return (1 << count + 1) - 2, _CALLER_SAVED
        case CallFunction():
            return _CALLER_SAVED & ~1, _CALLER_SAVED
        case CallRegister(register):
            return _CALLER_SAVED & ~1 | 1 << register, _CALLER_SAVED
        case Exit():
            return 1, 0
        case LegacyPacketLoad(index=index):
            return 1 << 6 | (1 << index if index is not None else 0), _CALLER_SAVED
        case _:
            return (1 << FRAME_POINTER) - 1, 0  # a call that is not known here: everything may be read


def live_at_blocks(
    instructions: Sequence[Instruction],
    graph: ControlFlowGraph,
    helpers: Mapping[int, str],
    maps: Mapping[str, MapSpec],
    budget: Budget,
) -> list[int]:
    """The places that are live at the start of each block. Raises BudgetSpent."""
    budget.visit(sum(block.end - block.start for block in graph.blocks))
    effects = [_block_registers(instructions[block.start : block.end], helpers) for block in graph.blocks]
    live = _solve(graph, effects, 0, budget)
    always = 0
    stacks = []
    for block, (reads, kills) in zip(graph.blocks, effects, strict=True):
        tracker = _StackTracker(helpers, maps)
        for instruction in instructions[block.start : block.end]:
            tracker.step(instruction)
        live_out = 0
        for successor in block.successors:
            live_out |= live[successor]
        tracker.leave(live_out)
        always |= tracker.escaped
        stacks.append((reads | tracker.reads, kills | tracker.kills))
    return _solve(graph, stacks, always, budget)


def _block_registers(instructions: Sequence[Instruction], helpers: Mapping[int, str]) -> tuple[int, int]:
    """The registers that a block reads before it writes them, and those that it overwrites."""
    reads = kills = 0
    for instruction in instructions:
        read, killed = register_effects(instruction, helpers)
        reads |= read & ~kills
        kills |= killed
    return reads, kills


def _solve(graph: ControlFlowGraph, effects: Sequence[tuple[int, int]], always: int, budget: Budget) -> list[int]:
    """Backward data flow: live-in = reads + (live-out - kills), and what is `always` live."""
    live = [0] * len(graph.blocks)
    order = graph.reverse_postorder()
    order.reverse()
    changed = True
    while changed:
        budget.visit(len(order))
        changed = False
        for number in order:
            out = always
            for successor in graph.blocks[number].successors:
                out |= live[successor]
            reads, kills = effects[number]
            new = reads | always | (out & ~kills)
            if new != live[number]:
                live[number] = new
                changed = True
    return live


class _StackTracker:
    """Follows copies of r10 through one block, to know which stack bytes its instructions read and write.

    An address that leaves the block, or is used in a way not followed here, makes every byte from it upwards live
    everywhere (`escaped`).
    """

    def __init__(self, helpers: Mapping[int, str], maps: Mapping[str, MapSpec]) -> None:
        self._helpers = helpers
        self._maps = maps
        self._addresses: dict[int, int] = {FRAME_POINTER: 0}
        self._map_of: dict[int, str] = {}
        self.reads = 0
        self.kills = 0
        self.escaped = 0

    def step(self, instruction: Instruction) -> None:
        """One instruction of the block, in order."""
        match instruction:
            case Load(size=size, base=base, offset=offset):
                self._read(base, offset, size)
            case Store(size=size, base=base, offset=offset, source=source):
                if isinstance(source, Register):
                    self._escape(source.number)
                if base in self._addresses:
                    self.kills |= stack_bytes(self._addresses[base] + offset, size) & ~self.reads
            case Atomic(size=size, base=base, offset=offset, src=src):
                self._escape(src)
                self._read(base, offset, size)
            case CallHelper(helper):
                self._call(helper)
            case CallFunction() | CallRegister():
                for register in range(1, 6):
                    self._read(register, 0, max(-self._addresses.get(register, 0), 0))
            case Move(width=64, dst=dst, source=Register(number), sign_bits=0) if number in self._addresses:
                address = self._addresses[number]
                self._overwrite(dst)
                self._addresses[dst] = address
                return
            case Alu(op=AluOp.ADD, width=64, dst=dst, source=Immediate(value)) if dst in self._addresses:
                self._addresses[dst] += value
                return
            case LoadMap(dst=dst, map=name):
                self._overwrite(dst)
                self._map_of[dst] = name
                return
            case Alu(dst=dst, source=source) if dst in self._addresses:
                self.escaped |= _WHOLE_STACK
            case Alu(source=Register(number)) if number in self._addresses:
                self.escaped |= _WHOLE_STACK
        self._forget(instruction)

    def leave(self, live_out: int) -> None:
        """The end of the block: addresses in live registers go where they are not followed."""
        for register in list(self._addresses):
            if register != FRAME_POINTER and live_out >> register & 1:
                self._escape(register)

    def _forget(self, instruction: Instruction) -> None:
        if len(self._addresses) == 1 and not self._map_of:
            return  # r10 is never written
        written = register_effects(instruction, self._helpers)[1]
        if isinstance(instruction, Alu | Negate | ByteSwap):
            written |= 1 << instruction.dst
        for register in [r for r in (*self._addresses, *self._map_of) if written >> r & 1]:
            self._overwrite(register)

    def _overwrite(self, register: int) -> None:
        self._addresses.pop(register, None)
        self._map_of.pop(register, None)

    def _escape(self, register: int) -> None:
        address = self._addresses.get(register)
        if address is not None:
            low = max(address, -STACK_SIZE)
            self.escaped |= stack_bytes(low, -low) if low < 0 else 0

    def _read(self, base: int, offset: int, size: int) -> None:
        if base in self._addresses:
            self.reads |= stack_bytes(self._addresses[base] + offset, size) & ~self.kills

    def _call(self, helper: int) -> None:
        prototype = EVERY_PROTOTYPE.get(self._helpers.get(helper, ""))
        kinds = prototype.arguments if prototype is not None else (ArgumentKind.ANYTHING,) * 5
        spec = self._maps.get(self._map_of.get(prototype.map_register if prototype is not None else 0, ""))
        for register, kind in enumerate(kinds, 1):
            address = self._addresses.get(register)
            if address is None:
                continue
            size = -address
            if spec is not None and kind is ArgumentKind.MAP_KEY:
                size = spec.key_size
            elif spec is not None and kind in (ArgumentKind.MAP_VALUE, ArgumentKind.MAP_VALUE_OUT):
                size = spec.value_size
            elif kind in (ArgumentKind.NEW_DYNPTR, ArgumentKind.DYNPTR, ArgumentKind.RING_DYNPTR):
                size = DYNPTR_SIZE
            self._read(register, 0, max(size, 0))

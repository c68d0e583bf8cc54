"""The results of CO-RE relocations written into instructions (bpf_core_patch_insn).

    class          what changes                         what it held before
    ALU, ALU64     immediate                            the local value, if the compiler was bound to write it
    LDX, ST, STX   offset, and the size of the access   the same
    LD (64 bits)   both immediates                      the same

Without a result the instruction becomes a call of a helper that does not exist, as libbpf does it.
"""

from __future__ import annotations

from appliance.ebpf.core.core import RelocationResult, Value
from appliance.ebpf.isa.codec.slots import Slot
from appliance.ebpf.isa.opcodes import InstructionClass, JumpCode, Mode, Size
from appliance.ebpf.object_errors import CoreError

POISON_HELPER = 0xBAD2310
POISON = Slot(InstructionClass.JMP | JumpCode.CALL, immediate=POISON_HELPER)

_CLASS, _SOURCE, _SIZE = 0x07, 0x08, 0x18
_WIDE_LOAD = InstructionClass.LD | Size.DW | Mode.IMM
_SIZES = {8: Size.DW, 4: Size.W, 2: Size.H, 1: Size.B}
_MAX_OFFSET = (1 << 15) - 1
_WORD = (1 << 32) - 1
_ARITHMETIC = frozenset({InstructionClass.ALU, InstructionClass.ALU64})
_MEMORY = frozenset({InstructionClass.LDX, InstructionClass.ST, InstructionClass.STX})


def patch(slots: list[Slot], number: int, result: RelocationResult) -> None:
    """Write the result into slot `number` (and the next, if the instruction has two). Raises CoreError."""
    slot = slots[number]
    wide = slot.opcode == _WIDE_LOAD
    if wide and (number + 1 >= len(slots) or not _is_plain_pair(slot, slots[number + 1])):
        raise CoreError("the load of 64 bits is not one of a plain number")
    if result.target is None or result.local is None:
        for poisoned in range(number, number + 1 + wide):
            slots[poisoned] = POISON
    elif wide:
        held = slot.immediate & _WORD | (slots[number + 1].immediate & _WORD) << 32
        _check_held(held, result.local, (1 << 64) - 1)
        slots[number] = slot._replace(immediate=_signed(result.target.value))
        slots[number + 1] = slots[number + 1]._replace(immediate=_signed(result.target.value >> 32))
    elif slot.opcode & _CLASS in _ARITHMETIC and not slot.opcode & _SOURCE:
        _check_held(slot.immediate, result.local, _WORD)
        slots[number] = slot._replace(immediate=_signed(result.target.value))
    elif slot.opcode & _CLASS in _MEMORY:
        slots[number] = _access(slot, result.local, result.target, result.resizable)
    else:
        raise CoreError(f"opcode {slot.opcode:#04x} takes no relocation")


def _is_plain_pair(first: Slot, second: Slot) -> bool:
    return not (first.src or first.offset or second.opcode or second.dst or second.src or second.offset)


def _check_held(held: int, local: Value, mask: int) -> None:
    if local.validate and (held ^ local.value) & mask:
        raise CoreError(f"the instruction holds {held}, where the types of the file say {local.value}")


def _access(slot: Slot, local: Value, target: Value, resizable: bool) -> Slot:
    """The load or store at the target's offset, in the target's size."""
    _check_held(slot.offset, local, (1 << 64) - 1)
    if not 0 <= target.value <= _MAX_OFFSET:
        raise CoreError(f"the offset {target.value} does not fit into a load or store")
    if not resizable:
        return POISON
    slot = slot._replace(offset=target.value)
    if local.size == target.size:
        return slot
    if _SIZES.get(local.size) != slot.opcode & _SIZE:
        raise CoreError(f"the instruction does not access the {local.size} bytes of its field")
    if target.size not in _SIZES:
        raise CoreError(f"no load or store takes the {target.size} bytes of the target's field")
    return slot._replace(opcode=slot.opcode & ~_SIZE | _SIZES[target.size])


def _signed(value: int) -> int:
    """The low 32 bits as an immediate holds them."""
    value &= _WORD
    return value - (1 << 32) if value >> 31 else value

"""The total table of emitters: instruction type to the function that writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from appliance.ebpf.isa import instructions as ebpf
from appliance.jit import arithmetic, atomics, calls, constants, jumps, memory
from appliance.jit.subprogram import Subprogram

# The third argument is the instruction, of the type that the entry stands under.
Emitter = Callable[[Subprogram, int, Any], None]

EMITTERS: Mapping[type[ebpf.Instruction], Emitter] = {
    ebpf.Alu: arithmetic.emit_alu,
    ebpf.Move: arithmetic.emit_move,
    ebpf.Negate: arithmetic.emit_negate,
    ebpf.ByteSwap: arithmetic.emit_byte_swap,
    ebpf.Load: memory.emit_load,
    ebpf.Store: memory.emit_store,
    ebpf.Atomic: atomics.emit_atomic,
    ebpf.LegacyPacketLoad: memory.refuse_legacy_load,
    ebpf.LoadConstant: constants.emit_constant,
    ebpf.LoadMap: constants.emit_map,
    ebpf.LoadMapValue: constants.emit_map_value,
    ebpf.LoadFunction: calls.emit_function_address,
    ebpf.Jump: jumps.emit_jump,
    ebpf.Branch: jumps.emit_branch,
    ebpf.CallHelper: calls.emit_helper,
    ebpf.CallFunction: calls.emit_function,
    ebpf.CallRegister: calls.emit_register_call,
    ebpf.CallKernel: calls.refuse_kernel_call,
    ebpf.Exit: jumps.emit_exit,
}

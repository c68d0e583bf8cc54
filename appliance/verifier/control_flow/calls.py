"""Instructions behind which other code runs before the next one does: a block of the graph ends with them."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.ebpf.isa.instructions import CallFunction, CallHelper, CallRegister, Instruction, LegacyPacketLoad
from appliance.helpers.kernel.prototypes import EVERY_PROTOTYPE
from appliance.helpers.prototypes import HelperPrototype

TAIL_CALL = "tail_call"


def runs_other_code(helpers: Mapping[int, str], instruction: Instruction) -> bool:
    """Whether other code runs before the next instruction does."""
    if isinstance(instruction, CallFunction | CallRegister | LegacyPacketLoad):
        return True
    prototype = called_helper(helpers, instruction)
    return prototype is not None and (prototype.callback_register != 0 or prototype.name == TAIL_CALL)


def called_helper(helpers: Mapping[int, str], instruction: Instruction) -> HelperPrototype | None:
    """The helper that the instruction calls; None if it calls none, or one that is not known."""
    if not isinstance(instruction, CallHelper):
        return None
    return EVERY_PROTOTYPE.get(helpers.get(instruction.helper, ""))

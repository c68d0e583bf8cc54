"""The tables leave nothing out."""

from typing import get_args

from appliance.ebpf.isa.instructions import Instruction
from appliance.ebpf.isa.opcodes import AluOp, AtomicOp, Condition
from appliance.helpers.native import IMPLEMENTATIONS
from appliance.helpers.prototypes import PROTOTYPES
from appliance.jit.arithmetic import OPERATIONS
from appliance.jit.atomics import LLVM_NAMES
from appliance.jit.emitters import EMITTERS
from appliance.jit.jumps import COMPARISONS


def test_every_instruction_has_an_emitter() -> None:
    assert EMITTERS.keys() == set(get_args(Instruction))


def test_every_operation_has_its_code() -> None:
    assert OPERATIONS.keys() == set(AluOp)
    assert COMPARISONS.keys() == set(Condition)
    assert LLVM_NAMES.keys() | {AtomicOp.CMPXCHG} == set(AtomicOp)


def test_every_helper_has_an_implementation() -> None:
    assert IMPLEMENTATIONS.keys() == PROTOTYPES.keys()

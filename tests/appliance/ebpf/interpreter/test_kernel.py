"""The execution cases say what Linux does: the kernel runs every one that it can express.

Raw memory has no counterpart there. The kernel answers with r0's low half; the high half is asked for by calling the
program as a function and shifting.
"""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from appliance.ebpf.isa.codec import encode
from appliance.ebpf.isa.instructions import Alu, CallFunction, Exit, Immediate, Instruction
from appliance.ebpf.isa.opcodes import AluOp
from tests.appliance.verifier.kernel import kernel_maps, update
from tests.execution_cases import ExecutionCase, load_cases
from tests.kernel_bpf import KernelRun, loaded_in_kernel, run_in_kernel, run_loaded

FRAME = bytes(64)
CASES = [case for case in load_cases() if case.kernel and case.result is not None and not case.memory]


def run_with_others(case: ExecutionCase, frame: bytes) -> KernelRun:
    """The case on a frame, with its maps and the programs that tail calls lead to."""
    if not case.map_specs:
        return run_in_kernel(encode(case.instructions), frame)
    with ExitStack() as opened:
        maps = opened.enter_context(kernel_maps(case.map_specs))
        descriptors = {
            name: opened.enter_context(loaded_in_kernel(encode(program.instructions, maps)))
            for name, program in case.other_programs.items()
        }
        for spec in case.map_specs.values():
            for index, name in spec.values:
                update(maps[spec.name], index.to_bytes(4, "little"), descriptors[name].to_bytes(4, "little"))
        return run_loaded(descriptors["case"], frame)


def high_half(program: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
    """A program that answers with the upper half of r0 of `program`."""
    caller = (CallFunction(3), Alu(AluOp.RSH, 64, 0, Immediate(32)), Exit())
    moved = (replace(i, target=i.target + len(caller)) if hasattr(i, "target") else i for i in program)
    return (*caller, *moved)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: ExecutionCase) -> None:
    assert case.result is not None
    frame = FRAME if case.packet is None else case.packet
    run = run_with_others(case, frame)
    assert hex(run.result) == hex(case.result & 0xFFFFFFFF)
    assert run.frame == (frame if case.packet_after is None else case.packet_after)
    if case.result > 0xFFFFFFFF:
        assert hex(run_in_kernel(encode(high_half(case.instructions)), frame).result) == hex(case.result >> 32)


def test_most_cases_run_here() -> None:
    assert len(CASES) >= 150

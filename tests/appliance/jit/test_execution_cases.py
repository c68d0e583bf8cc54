"""Native code does what every execution case says, whatever it promises nothing about (faults) aside."""

from dataclasses import replace

import pytest

from appliance.ebpf.instructions import (
    Exit,
    Immediate,
    Instruction,
    Jump,
    LoadMapValue,
    Move,
    Register,
    Store,
)
from appliance.ebpf.spec import CollectionSpec, MapSpec, MapType
from appliance.jit.collection import Collection
from tests.appliance.jit.support import Frame, run_loaded, run_loops, run_raw
from tests.execution_cases import ExecutionCase, load_cases

CASES = [case for case in load_cases() if case.fault is None]
HEADROOM, TAILROOM = 256, 320  # as the interpreter gives them
ANSWER = MapSpec("answer", MapType.ARRAY, 4, 8, 1)


@pytest.mark.parametrize("case", [case for case in CASES if case.packet is None], ids=lambda case: case.name)
def test_raw(case: ExecutionCase) -> None:
    memory = bytearray(case.memory)
    assert hex(run_raw(case.instructions, memory)) == hex(case.result or 0)
    assert memory == (case.memory if case.memory_after is None else case.memory_after)


def _with_answer_in_a_map(instructions: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
    """The verifier wants a verdict in r0, and the cases answer with any number: it goes into a map instead."""
    end = len(instructions)
    epilogue = (LoadMapValue(1, ANSWER.name, 0), Store(8, 1, 0, Register(0)), Move(64, 0, Immediate(2)), Exit())
    return (*(Jump(end) if isinstance(each, Exit) else each for each in instructions), *epilogue)


@pytest.mark.parametrize("case", [case for case in CASES if case.packet is not None], ids=lambda case: case.name)
def test_verified_on_a_frame(case: ExecutionCase) -> None:
    frame = Frame(case.packet or b"", headroom=HEADROOM, tailroom=TAILROOM)
    for name, value in case.context.items():
        setattr(frame.context, name, value)
    program = replace(case.program, instructions=_with_answer_in_a_map(case.instructions))
    spec = CollectionSpec(case.name, "linux", {"case": program}, {ANSWER.name: ANSWER})
    with Collection.load(spec, loops=run_loops) as loaded:
        assert run_loaded(loaded, "case", frame.context) == 2
        answer = loaded.maps[ANSWER.name].lookup(bytes(4)) or b""
        assert hex(int.from_bytes(answer, "little")) == hex(case.result or 0)
    assert frame.data == (case.packet if case.packet_after is None else case.packet_after)

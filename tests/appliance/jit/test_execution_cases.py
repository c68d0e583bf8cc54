"""Native code does what every execution case says, whatever it promises nothing about (faults) aside."""

from dataclasses import replace

import pytest

from appliance.ebpf.isa.instructions import (
    CallFunction,
    Exit,
    Immediate,
    Instruction,
    Jump,
    LoadFunction,
    LoadMapValue,
    Move,
    Register,
    Store,
)
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import CollectionSpec, MapSpec
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
    own = min((each.target for each in instructions if isinstance(each, CallFunction | LoadFunction)), default=end)
    epilogue = (LoadMapValue(1, ANSWER.name, 0), Store(8, 1, 0, Register(0)), Move(64, 0, Immediate(2)), Exit())
    ours = (Jump(end) if isinstance(each, Exit) and at < own else each for at, each in enumerate(instructions))
    return (*ours, *epilogue)


@pytest.mark.parametrize("case", [case for case in CASES if case.packet is not None], ids=lambda case: case.name)
def test_verified_on_a_frame(case: ExecutionCase) -> None:
    frame = Frame(case.packet or b"", headroom=HEADROOM, tailroom=TAILROOM)
    for name, value in case.context.items():
        setattr(frame.context, name, value)
    programs = case.other_programs
    if not case.programs:
        programs = {"case": replace(case.program, instructions=_with_answer_in_a_map(case.instructions))}
    spec = CollectionSpec(case.name, "linux", programs, {**case.map_specs, ANSWER.name: ANSWER})
    with Collection.load(spec, loops=run_loops) as loaded:
        verdict = run_loaded(loaded, "case", frame.context)
        answer = loaded.maps[ANSWER.name].lookup(bytes(4)) or b""
        assert verdict == (case.result if case.programs else 2)
        assert hex(verdict if case.programs else int.from_bytes(answer, "little")) == hex(case.result or 0)
    assert frame.data == (case.packet if case.packet_after is None else case.packet_after)

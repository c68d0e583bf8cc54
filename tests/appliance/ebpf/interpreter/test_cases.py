"""The checking interpreter does what every execution case says."""

import pytest

from appliance.ebpf.interpreter import Context, Fault, Interpreter, PacketMemory
from appliance.helpers.model.table import python_helpers
from appliance.maps import model
from hooks.contracts.xdp import XDP_LINUX, FrameContext
from tests.execution_cases import ExecutionCase, load_cases

CASES = load_cases()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: ExecutionCase) -> None:
    maps = {name: model(spec) for name, spec in case.map_specs.items()}
    interpreter = Interpreter(case.program, maps, python_helpers(), programs=case.other_programs)
    memory, packet = bytearray(case.memory), PacketMemory(case.packet or b"")
    try:
        if case.packet is None:
            result = interpreter.run_memory(memory)
        else:
            result = interpreter.run(Context(XDP_LINUX, FrameContext(**case.context), packet))
    except Fault as fault:
        assert str(fault) == case.fault
        return
    assert (hex(result), case.fault) == (hex(case.result or 0), None)
    assert memory == (case.memory if case.memory_after is None else case.memory_after)
    if case.packet is not None:
        assert packet.frame == (case.packet if case.packet_after is None else case.packet_after)


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 150

"""Test runs: the room around the frame, the context that is copied, and runs that no optimiser may leave out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from llvmlite import ir

from appliance.datapath.test_run import bpf_test_run, export_programs
from appliance.datapath.test_run_data import HEADROOM, PAGE_ROOM
from appliance.ir import I64, PTR, Code, Engine
from hooks.contracts.xdp import FrameContext

FRAME = bytes(range(20))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """`measure` answers headroom and tailroom, as upper and lower half; `step` counts its runs in a context's field."""
    module = ir.Module("test_run")
    code = Code.define(module, "program_measure", I64, context=PTR)
    places = {
        name: code.field(code["context"], FrameContext, name).load()
        for name in ("hard_start", "data", "data_end", "hard_end")
    }
    before = code.sub(places["data"], places["hard_start"])
    behind = code.sub(places["hard_end"], places["data_end"])
    code.ret(code.or_(code.shl(before, 32), behind))
    measure = code.function
    code = Code.define(module, "program_step", I64, context=PTR)
    counted = code.field(code["context"], FrameContext, "rx_queue_index")
    counted.add(1)
    code.ret(code.resize(counted.load(), I64))
    export_programs(module, {"measure": measure, "step": code.function})
    with Engine(module) as compiled:
        yield compiled


@pytest.mark.parametrize("size", [14, 1500, PAGE_ROOM, PAGE_ROOM + 1, 9000])
def test_the_room_is_a_pages(engine: Engine, size: int) -> None:
    answer = bpf_test_run(engine, "measure", bytes(size), FrameContext(), 1).r0
    assert divmod(answer, 1 << 32) == (HEADROOM, max(0, PAGE_ROOM - size))


@pytest.mark.parametrize("repeat", [1, 2, 1000])
def test_every_run_is_made(engine: Engine, repeat: int) -> None:
    given = FrameContext(rx_queue_index=5, ingress_ifindex=3)
    run = bpf_test_run(engine, "step", FRAME, given, repeat)
    assert (run.r0, run.data) == (5 + repeat, FRAME)
    assert (run.context.rx_queue_index, run.context.ingress_ifindex) == (5 + repeat, 3)
    assert given.rx_queue_index == 5
    assert run.nanoseconds > 0


def test_an_unknown_program(engine: Engine) -> None:
    with pytest.raises(KeyError, match="program_nothing"):
        bpf_test_run(engine, "nothing", FRAME, FrameContext(), 1)

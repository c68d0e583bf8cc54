"""The native helpers and those of the interpreter give the same answers."""

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir

from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.spec import ProgramSpec
from appliance.helpers.model.table import python_helpers
from appliance.helpers.native import IMPLEMENTATIONS, Clock, HelperCall
from appliance.ir import I64, PTR, Code, Engine
from hooks.contracts.xdp import XDP_LINUX, FrameContext
from tests.appliance.jit.support import Frame, program, run_frame, run_raw

HEADROOM, TAILROOM = 64, 64
DISTANCES = st.integers(-80, 80) | st.sampled_from([-(1 << 31), (1 << 31) - 1])
MOVES = st.lists(st.tuples(st.sampled_from(["xdp_adjust_head", "xdp_adjust_tail"]), DISTANCES), max_size=8)


def _moving_helpers() -> Engine:
    module = ir.Module("moves")
    for name in ("xdp_adjust_head", "xdp_adjust_tail"):
        code = Code.define(module, name, I64, linkage="external", context=PTR, distance=I64)
        context = code["context"]
        arguments = [code.integer(context), code["distance"]]
        call = HelperCall(code, XDP_LINUX, Clock.FRAME, context, arguments, [context, context])
        code.ret(IMPLEMENTATIONS[name](call))
    return Engine(module)


def test_frames_grow_and_shrink_alike() -> None:
    with _moving_helpers() as engine:
        native = {
            name: engine.function(name, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
            for name in ("xdp_adjust_head", "xdp_adjust_tail")
        }

        @settings(max_examples=200, deadline=None)
        @given(st.binary(min_size=14, max_size=100), MOVES)
        def agree(data: bytes, moves: list[tuple[str, int]]) -> None:
            frame = Frame(data, headroom=HEADROOM, tailroom=TAILROOM)
            packet = PacketMemory(data, headroom=HEADROOM, tailroom=TAILROOM)
            python = {"xdp_adjust_head": packet.adjust_head, "xdp_adjust_tail": packet.adjust_tail}
            for name, distance in moves:
                assert native[name](ctypes.byref(frame.context), distance) == python[name](distance)
                assert frame.context.data - frame.start == packet.data
                assert frame.data == packet.frame

        agree()


@pytest.mark.parametrize(
    "code",
    [
        "call get_prandom_u32; exit",
        "call get_smp_processor_id; exit",
        "r3 = r1; r3 += 5; r2 = 5; r4 = 7; r5 = 99; call csum_diff; exit",
        "r3 = r1; r3 += 4; r1 = 0; r2 = 0; r4 = 8; r5 = -1; call csum_diff; exit",
        "r2 = 12; r3 = 0; r4 = 0; r5 = 0x1234567 ll; call csum_diff; exit",
        "r2 = 0; r3 = 0; r4 = 0; r5 = -1; call csum_diff; exit",
    ],
)
def test_answers_are_the_same(code: str) -> None:
    memory = bytes(range(0xF0, 0x100))
    spec = ProgramSpec("test", "", XDP_LINUX, assemble(code))
    checked = Interpreter(spec, {}, python_helpers()).run_memory(bytearray(memory))
    assert hex(run_raw(spec.instructions, bytearray(memory))) == hex(checked)


@pytest.mark.parametrize("flags", ["0", "1", "0x100000000 ll"])
def test_redirects_are_the_same(flags: str) -> None:
    one, two = FrameContext(), FrameContext()
    code = f"r1 = 0x700000003 ll; r2 = {flags}; call redirect; exit"
    verified = program(assemble(code))
    checked = Interpreter(verified.spec, {}, python_helpers()).run(Context(XDP_LINUX, two, PacketMemory(b"")))
    assert run_frame(verified, one) == checked
    assert one.redirect_ifindex == two.redirect_ifindex == (3 if flags == "0" else 0)


def test_random_numbers_go_on_alike() -> None:
    """The state is the frame's, so that a replay gives the same verdicts with both engines."""
    module = ir.Module("random")
    code = Code.define(module, "draw", I64, linkage="external", context=PTR)
    call = HelperCall(code, XDP_LINUX, Clock.FRAME, code["context"], [], [])
    code.ret(IMPLEMENTATIONS["get_prandom_u32"](call))
    one, two = FrameContext(random_state=42), FrameContext(random_state=42)
    spec = ProgramSpec("test", "", XDP_LINUX, assemble("call get_prandom_u32; exit"))
    interpreter = Interpreter(spec, {}, python_helpers())
    with Engine(module) as engine:
        draw = engine.function("draw", ctypes.c_uint64, ctypes.c_void_p)
        for _ in range(10):
            assert draw(ctypes.byref(one)) == interpreter.run(Context(XDP_LINUX, two, PacketMemory(b"")))
            assert one.random_state == two.random_state

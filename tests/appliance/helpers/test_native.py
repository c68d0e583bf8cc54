"""The native helpers, each as a function of its own: `i64 (FrameContext *, r1 … r5)`."""

import ctypes
import errno
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir

from appliance.helpers.native import IMPLEMENTATIONS, Clock, HelperCall
from appliance.ir import I64, PTR, Code, Engine
from hooks.xdp import XDP_LINUX, FrameContext
from tests.appliance.jit.support import Frame

EINVAL = (1 << 64) - errno.EINVAL
MASK32 = 0xFFFFFFFF
MAPLESS = sorted(name for name in IMPLEMENTATIONS if not name.startswith("map_"))


def _compile(clock: Clock) -> Engine:
    """One module with every helper that takes no map (those are tested with the maps)."""
    module = ir.Module("helpers")
    for name in MAPLESS:
        registers = {f"r{number}": I64 for number in range(1, 6)}
        code = Code.define(module, name, I64, linkage="external", context=PTR, **registers)
        arguments = [code[register] for register in registers]
        pointers = [code.pointer(argument) for argument in arguments]
        call = HelperCall(code, XDP_LINUX, clock, code["context"], arguments, pointers)
        code.ret(IMPLEMENTATIONS[name](call))
    return Engine(module)


class Helpers:
    """The compiled helpers by name; numbers may be negative."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, name: str, *arguments: int, context: FrameContext | None = None) -> int:
        function = self._engine.function(name, ctypes.c_uint64, ctypes.c_void_p, *[ctypes.c_uint64] * 5)
        numbers = [argument % (1 << 64) for argument in (*arguments, 0, 0, 0, 0, 0)[:5]]
        return int(function(ctypes.byref(context or FrameContext()), *numbers))


@pytest.fixture(scope="module")
def helpers() -> Iterator[Helpers]:
    with _compile(Clock.MONOTONIC) as engine:
        yield Helpers(engine)


def test_the_monotonic_clock_is_this_machines(helpers: Helpers) -> None:
    before = time.monotonic_ns()
    told = helpers("ktime_get_ns")
    assert before <= told <= time.monotonic_ns()


def test_the_frames_clock_is_the_frames() -> None:
    with _compile(Clock.FRAME) as engine:
        assert Helpers(engine)("ktime_get_ns", context=FrameContext(time_ns=1234567890123)) == 1234567890123


def test_random_numbers_follow_xorshift64_star(helpers: Helpers) -> None:
    context, state = FrameContext(random_state=0), 0x9E3779B97F4A7C15
    for _ in range(5):
        state ^= state >> 12
        state ^= state << 25 & (1 << 64) - 1
        state ^= state >> 27
        assert helpers("get_prandom_u32", context=context) == (state * 0x2545F4914F6CDD1D & (1 << 64) - 1) >> 32
        assert context.random_state == state


def test_the_processor_is_the_workers_number(helpers: Helpers) -> None:
    assert helpers("get_smp_processor_id", context=FrameContext(processor_id=3)) == 3


def test_redirect_names_an_interface(helpers: Helpers) -> None:
    context = FrameContext()
    assert helpers("redirect", 7, 0, context=context) == 4
    assert context.redirect_ifindex == 7


def test_redirect_with_flags_is_aborted(helpers: Helpers) -> None:
    context = FrameContext(redirect_ifindex=2)
    assert helpers("redirect", 7, 1, context=context) == 0
    assert context.redirect_ifindex == 2


# csum_diff


def _partial(memory: bytes, seed: int) -> int:
    padded = memory + bytes(-len(memory) % 4)
    total = seed + sum(int.from_bytes(padded[at : at + 4], "little") for at in range(0, len(padded), 4))
    while total > MASK32:
        total = (total & MASK32) + (total >> 32)
    return total


def _expected(removed: bytes, added: bytes, seed: int) -> int:
    if not added:
        total = ~_partial(removed, ~seed & MASK32) & MASK32
    else:
        total = _partial(added, seed)
        if removed:
            total += ~_partial(removed, 0) & MASK32
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _csum_diff(helpers: Helpers, removed: bytes, added: bytes, seed: int) -> int:
    one, two = ctypes.create_string_buffer(removed), ctypes.create_string_buffer(added)
    where = ctypes.addressof(one), ctypes.addressof(two)
    return helpers("csum_diff", where[0] if removed else 0, len(removed), where[1] if added else 0, len(added), seed)


@pytest.mark.parametrize(
    ("removed", "added", "seed", "answer"),
    [
        (b"", b"", 74565, 0x2346),
        (b"", bytes(8), 0, 0),
        (b"", b"\xff" * 8, 0, 0xFFFF),
        (b"", bytes(8), MASK32, 0xFFFF),
        (b"\xff" * 8, b"", 0, 0),
        (bytes(8), b"", 5, 5),
        (bytes(8), bytes(8), 0, 0xFFFF),
        (b"\xff" * 4, b"\xff" * 12, 65534, 0xFFFE),
        (b"", b"\xff" * 7, 1, 0x100),
        (b"\xff" * 6, b"\xff" * 3, 77, 0x14C),
        (b"\xff" * 5, b"", 9, 0xFF09),
    ],
)
def test_csum_diff_answers_as_linux_6_18_did(
    helpers: Helpers, removed: bytes, added: bytes, seed: int, answer: int
) -> None:
    """Recorded with `bpftool prog run`. The zeros matter: one's complement has two of them."""
    assert _csum_diff(helpers, removed, added, seed) == answer
    assert _expected(removed, added, seed) == answer


def test_csum_diff_of_any_memory(helpers: Helpers) -> None:
    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, MASK32))
    def agrees(removed: bytes, added: bytes, seed: int) -> None:
        assert _csum_diff(helpers, removed, added, seed) == _expected(removed, added, seed)

    agrees()


# xdp_adjust_head and xdp_adjust_tail


def test_the_head_moves_both_ways(helpers: Helpers) -> None:
    frame = Frame(bytes(range(60)), headroom=8)
    assert helpers("xdp_adjust_head", 0, 4, context=frame.context) == 0
    assert frame.data == bytes(range(4, 60))
    assert helpers("xdp_adjust_head", 0, -12, context=frame.context) == 0
    assert frame.data == bytes(8) + bytes(range(60))
    assert frame.context.data == frame.context.data_meta == frame.context.hard_start


@pytest.mark.parametrize("offset", [-9, 47, 60, 1 << 20, -(1 << 31)])
def test_the_head_stays_inside_its_limits(helpers: Helpers, offset: int) -> None:
    """8 bytes of headroom in front, 14 bytes of frame left behind."""
    frame = Frame(bytes(60), headroom=8)
    before = bytes(frame.context)
    assert helpers("xdp_adjust_head", 0, offset, context=frame.context) == EINVAL
    assert bytes(frame.context) == before


def test_metadata_moves_with_the_head(helpers: Helpers) -> None:
    frame = Frame(bytes(60), headroom=16)
    frame.context.data_meta -= 4
    frame.memory[12:16] = b"meta"
    assert helpers("xdp_adjust_head", 0, -12, context=frame.context) == 0
    assert frame.memory[:4] == b"meta"
    assert frame.context.data_meta == frame.context.hard_start
    assert helpers("xdp_adjust_head", 0, -1, context=frame.context) == EINVAL


def test_the_tail_shrinks_and_grows_with_zeros(helpers: Helpers) -> None:
    frame = Frame(b"\xaa" * 60, tailroom=8)
    assert helpers("xdp_adjust_tail", 0, -40, context=frame.context) == 0
    assert frame.data == b"\xaa" * 20
    assert helpers("xdp_adjust_tail", 0, 48, context=frame.context) == 0
    assert frame.data == b"\xaa" * 20 + bytes(48)


@pytest.mark.parametrize("offset", [9, -47, 1 << 30, -(1 << 31)])
def test_the_tail_stays_inside_its_limits(helpers: Helpers, offset: int) -> None:
    frame = Frame(bytes(60), tailroom=8)
    before = bytes(frame.context), bytes(frame.memory)
    assert helpers("xdp_adjust_tail", 0, offset, context=frame.context) == EINVAL
    assert (bytes(frame.context), bytes(frame.memory)) == before


def test_offsets_are_32_bits_wide(helpers: Helpers) -> None:
    """The upper half of the register says nothing, as in the kernel."""
    frame = Frame(bytes(60))
    assert helpers("xdp_adjust_tail", 0, 0xDEAD_0000_0000 | 0xFFFFFFFF, context=frame.context) == 0
    assert len(frame.data) == 59

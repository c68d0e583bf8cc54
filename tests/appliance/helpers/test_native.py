"""The native helpers, each as a function of its own: `i64 (FrameContext *, r1 … r5)`."""

import ctypes
import errno
import os
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.helpers.clocks import CLOCKS
from appliance.helpers.native import IMPLEMENTATIONS, Clock
from appliance.helpers.prototypes import PROTOTYPES
from hooks.contracts.xdp import XDP_LINUX, FrameContext
from tests.appliance.helpers.native_functions import NativeHelpers
from tests.appliance.jit.support import Frame

EINVAL = (1 << 64) - errno.EINVAL
MASK32 = 0xFFFFFFFF
MAPLESS = sorted(
    name
    for name in IMPLEMENTATIONS
    if not (PROTOTYPES[name].needs_map or PROTOTYPES[name].needs_text) and PROTOTYPES[name].family in XDP_LINUX.families
)


@pytest.fixture(scope="module")
def helpers() -> Iterator[NativeHelpers]:
    with NativeHelpers(MAPLESS) as native:
        yield native


@pytest.mark.parametrize("name", CLOCKS)
def test_clocks_are_this_machines(helpers: NativeHelpers, name: str) -> None:
    ticks = CLOCKS[name]
    before = time.clock_gettime_ns(ticks.clock) // ticks.nanoseconds
    told = helpers(name)
    assert before <= told <= time.clock_gettime_ns(ticks.clock) // ticks.nanoseconds


def test_all_clocks_tell_the_frames_time() -> None:
    frame = FrameContext(time_ns=(1 << 63) + 1234567890123)
    with NativeHelpers(CLOCKS, Clock.FRAME) as native:
        for name, ticks in CLOCKS.items():
            assert native(name, context=frame) == frame.time_ns // ticks.nanoseconds


def test_the_process_is_this_one(helpers: NativeHelpers) -> None:
    assert helpers("get_current_pid_tgid") == os.getpid() << 32 | threading.get_native_id()


def test_random_numbers_follow_xorshift64_star(helpers: NativeHelpers) -> None:
    context, state = FrameContext(random_state=0), 0x9E3779B97F4A7C15
    for _ in range(5):
        state ^= state >> 12
        state ^= state << 25 & (1 << 64) - 1
        state ^= state >> 27
        assert helpers("get_prandom_u32", context=context) == (state * 0x2545F4914F6CDD1D & (1 << 64) - 1) >> 32
        assert context.random_state == state


def test_the_processor_is_the_workers_number(helpers: NativeHelpers) -> None:
    assert helpers("get_smp_processor_id", context=FrameContext(processor_id=3)) == 3


def test_redirect_names_an_interface(helpers: NativeHelpers) -> None:
    context = FrameContext()
    assert helpers("redirect", 7, 0, context=context) == 4
    assert context.redirect_ifindex == 7


def test_redirect_with_flags_is_aborted(helpers: NativeHelpers) -> None:
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


def _csum_diff(helpers: NativeHelpers, removed: bytes, added: bytes, seed: int) -> int:
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
    helpers: NativeHelpers, removed: bytes, added: bytes, seed: int, answer: int
) -> None:
    """Recorded with `bpftool prog run`. The zeros matter: one's complement has two of them."""
    assert _csum_diff(helpers, removed, added, seed) == answer
    assert _expected(removed, added, seed) == answer


def test_csum_diff_of_any_memory(helpers: NativeHelpers) -> None:
    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, MASK32))
    def agrees(removed: bytes, added: bytes, seed: int) -> None:
        assert _csum_diff(helpers, removed, added, seed) == _expected(removed, added, seed)

    agrees()


# xdp_adjust_head and xdp_adjust_tail


def test_the_head_moves_both_ways(helpers: NativeHelpers) -> None:
    frame = Frame(bytes(range(60)), headroom=8)
    assert helpers("xdp_adjust_head", 0, 4, context=frame.context) == 0
    assert frame.data == bytes(range(4, 60))
    assert helpers("xdp_adjust_head", 0, -12, context=frame.context) == 0
    assert frame.data == bytes(8) + bytes(range(60))
    assert frame.context.data == frame.context.data_meta == frame.context.hard_start


@pytest.mark.parametrize("offset", [-9, 47, 60, 1 << 20, -(1 << 31)])
def test_the_head_stays_inside_its_limits(helpers: NativeHelpers, offset: int) -> None:
    """8 bytes of headroom in front, 14 bytes of frame left behind."""
    frame = Frame(bytes(60), headroom=8)
    before = bytes(frame.context)
    assert helpers("xdp_adjust_head", 0, offset, context=frame.context) == EINVAL
    assert bytes(frame.context) == before


def test_metadata_moves_with_the_head(helpers: NativeHelpers) -> None:
    frame = Frame(bytes(60), headroom=16)
    frame.context.data_meta -= 4
    frame.memory[12:16] = b"meta"
    assert helpers("xdp_adjust_head", 0, -12, context=frame.context) == 0
    assert frame.memory[:4] == b"meta"
    assert frame.context.data_meta == frame.context.hard_start
    assert helpers("xdp_adjust_head", 0, -1, context=frame.context) == EINVAL


def test_the_tail_shrinks_and_grows_with_zeros(helpers: NativeHelpers) -> None:
    frame = Frame(b"\xaa" * 60, tailroom=8)
    assert helpers("xdp_adjust_tail", 0, -40, context=frame.context) == 0
    assert frame.data == b"\xaa" * 20
    assert helpers("xdp_adjust_tail", 0, 48, context=frame.context) == 0
    assert frame.data == b"\xaa" * 20 + bytes(48)


@pytest.mark.parametrize("offset", [9, -47, 1 << 30, -(1 << 31)])
def test_the_tail_stays_inside_its_limits(helpers: NativeHelpers, offset: int) -> None:
    frame = Frame(bytes(60), tailroom=8)
    before = bytes(frame.context), bytes(frame.memory)
    assert helpers("xdp_adjust_tail", 0, offset, context=frame.context) == EINVAL
    assert (bytes(frame.context), bytes(frame.memory)) == before


def test_offsets_are_32_bits_wide(helpers: NativeHelpers) -> None:
    """The upper half of the register says nothing, as in the kernel."""
    frame = Frame(bytes(60))
    assert helpers("xdp_adjust_tail", 0, 0xDEAD_0000_0000 | 0xFFFFFFFF, context=frame.context) == 0
    assert len(frame.data) == 59

"""Metadata, and bytes of the frame through memory: both engines and the kernel do the same."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.isa.codec import encode
from appliance.ebpf.spec import ProgramSpec
from appliance.helpers.model.table import python_helpers
from appliance.verifier import Verifier
from hooks.contracts.xdp import XDP_LINUX, FrameContext
from tests.appliance.helpers.native_functions import NativeHelpers
from tests.appliance.jit.support import Frame, run_frame
from tests.kernel_bpf import run_in_kernel

HEADROOM = 64
KERNEL_HEADROOM = 216  # 256 bytes less a `struct xdp_frame`
FRAME = bytes(range(100, 160))
M32 = (1 << 32) - 1


def everywhere(code: str) -> tuple[int, bytes]:
    """r0 and the frame after the program, which the verifier accepts and three engines agree on (r0: the low half)."""
    spec = ProgramSpec("test", "xdp", XDP_LINUX, assemble(code))
    frame, packet = Frame(FRAME, headroom=KERNEL_HEADROOM), PacketMemory(FRAME, headroom=KERNEL_HEADROOM)
    answer = run_frame(Verifier({}).verify(spec), frame.context) & M32
    checked = Interpreter(spec, {}, python_helpers()).run(Context(XDP_LINUX, FrameContext(), packet)) & M32
    kernel = run_in_kernel(encode(spec.instructions), FRAME)
    assert answer == checked == kernel.result
    assert frame.data == packet.frame
    metadata = packet.data - packet.data_meta  # which the kernel gives out in front, whatever is in it
    assert (len(kernel.frame), kernel.frame[metadata:]) == (metadata + len(packet.frame), packet.frame)
    return answer, packet.frame


@pytest.mark.parametrize("distance", [0, -4, -8, -216, -220, -256, -1, -2, -3, 4, (1 << 31) - 1, -(1 << 31)])
def test_metadata_is_made_as_in_the_kernel(distance: int) -> None:
    answer, _ = everywhere(f"r2 = {distance}; call xdp_adjust_meta; r0 &= 3; exit")
    assert (answer == 0) == (distance in (0, -4, -8, -216))


def test_metadata_is_readable_and_goes_along_with_the_head() -> None:
    answer, frame = everywhere("""
        r6 = r1; r2 = -8; call xdp_adjust_meta; r2 = *(u32 *)(r6 + 8); r3 = *(u32 *)(r6 + 0)
        r4 = r2; r4 += 8; if r4 > r3 goto out; *(u32 *)(r2 + 4) = 3
        r1 = r6; r2 = 16; call xdp_adjust_head
        r2 = *(u32 *)(r6 + 8); r3 = *(u32 *)(r6 + 0); r4 = r2; r4 += 8; if r4 > r3 goto out
        r0 = *(u32 *)(r2 + 4); r0 &= 3; exit
        out: r0 = 0; exit
    """)
    assert (answer, frame) == (3, FRAME[16:])


def test_the_length_is_the_frames() -> None:
    assert everywhere("r6 = r1; call xdp_get_buff_len; r0 >>= 5; r0 &= 3; exit")[0] == len(FRAME) >> 5
    assert (
        everywhere("r6 = r1; r2 = -20; call xdp_adjust_tail; r1 = r6; call xdp_get_buff_len; r0 -= 40; r0 &= 3; exit")[
            0
        ]
        == 0
    )


@pytest.mark.parametrize(
    ("offset", "size"), [(0, 8), (52, 8), (53, 8), (59, 1), (60, 1), (0xFFFF, 1), (0x10000, 1), (-1, 1)]
)
def test_bytes_are_loaded_as_in_the_kernel(offset: int, size: int) -> None:
    head = f"*(u64 *)(r10 - 8) = 0; r2 = {offset}; r3 = r10; r3 += -8; r4 = {size}; call xdp_load_bytes;"
    fits = 0 <= offset <= len(FRAME) - size
    error = 0 if fits else errno.EFAULT if not 0 <= offset <= 0xFFFF else errno.EINVAL
    assert everywhere(f"{head} r0 = -r0; r0 &= 3; exit")[0] == error & 3
    assert everywhere(f"{head} r0 = -r0; r0 >>= 2; r0 &= 3; exit")[0] == error >> 2 & 3
    loaded = everywhere(f"{head} r0 = *(u8 *)(r10 - {9 - size}); r0 &= 3; exit")[0]
    assert loaded == (FRAME[offset + size - 1] & 3 if fits else 0)


@pytest.mark.parametrize(("offset", "fits"), [(0, True), (56, True), (57, False), (0xFFFF, False), (0x10000, False)])
def test_bytes_are_stored_as_in_the_kernel(offset: int, fits: bool) -> None:
    code = f"*(u32 *)(r10 - 4) = 0x01020304; r2 = {offset}; r3 = r10; r3 += -4; r4 = 4; call xdp_store_bytes;"
    answer, frame = everywhere(f"{code} r0 &= 2; exit")
    stored = FRAME[:offset] + bytes([4, 3, 2, 1]) + FRAME[offset + 4 :]
    assert frame == (stored if fits else FRAME)
    assert (answer == 0) == fits


@pytest.fixture(scope="module")
def native() -> Iterator[NativeHelpers]:
    with NativeHelpers(["xdp_adjust_meta", "xdp_adjust_head", "xdp_adjust_tail", "xdp_get_buff_len"]) as helpers:
        yield helpers


def test_frames_with_metadata_move_alike(native: NativeHelpers) -> None:
    names = st.sampled_from(["xdp_adjust_meta", "xdp_adjust_head", "xdp_adjust_tail"])
    distances = st.integers(-20, 20).map(lambda n: 4 * n) | st.integers(-80, 80) | st.just(-(1 << 31))

    @settings(max_examples=200, deadline=None)
    @given(st.binary(min_size=14, max_size=100), st.lists(st.tuples(names, distances), max_size=8))
    def agree(data: bytes, moves: list[tuple[str, int]]) -> None:
        frame, packet = (
            Frame(data, headroom=HEADROOM, tailroom=HEADROOM),
            PacketMemory(data, headroom=HEADROOM, tailroom=HEADROOM),
        )
        python = {
            "xdp_adjust_meta": packet.adjust_meta,
            "xdp_adjust_head": packet.adjust_head,
            "xdp_adjust_tail": packet.adjust_tail,
        }
        for name, distance in moves:
            assert native(name, 0, distance, context=frame.context) == python[name](distance) % (1 << 64)
            places = frame.context.data_meta, frame.context.data
            assert [place - frame.start for place in places] == [packet.data_meta, packet.data]
            assert frame.data == packet.frame
            assert native("xdp_get_buff_len", context=frame.context) == len(packet.frame)

    agree()


@pytest.mark.parametrize(("distance", "error"), [(-252, 0), (-256, errno.EACCES), (-304, errno.EINVAL)])
def test_metadata_has_at_most_255_bytes(native: NativeHelpers, distance: int, error: int) -> None:
    frame, packet = Frame(FRAME, headroom=300), PacketMemory(FRAME, headroom=300)
    assert packet.adjust_meta(distance) == -error
    assert native("xdp_adjust_meta", 0, distance, context=frame.context) == -error % (1 << 64)

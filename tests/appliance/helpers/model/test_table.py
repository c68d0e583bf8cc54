"""The helpers of the interpreter: total, and by the kernel's rules."""

from __future__ import annotations

import errno
import os
import struct
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ebpf.interpreter import Context, Fault, Interpreter, PacketMemory
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import LINUX, WINDOWS
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.helpers.clocks import CLOCKS
from appliance.helpers.model.table import python_helpers
from appliance.helpers.prototypes import PROTOTYPES
from hooks.contracts.xdp import XDP_LINUX, FrameContext

M64 = (1 << 64) - 1


class Recorder:
    """A map that remembers what it was asked."""

    def __init__(self) -> None:
        self.spec = MapSpec("m", MapType.HASH, 4, 8, 1)
        self.calls: list[tuple[object, ...]] = []

    def lookup(self, key: bytes) -> bytearray | None:
        self.calls.append(("lookup", key))
        return None

    def update(self, key: bytes, value: bytes, flags: int) -> int:
        self.calls.append(("update", key, value, flags))
        return -errno.E2BIG

    def delete(self, key: bytes) -> int:
        self.calls.append(("delete", key))
        return -errno.ENOENT

    def lookup_and_delete(self, key: bytes) -> bytearray | None:
        self.calls.append(("lookup_and_delete", key))
        return None

    def push(self, value: bytes, flags: int) -> int:
        self.calls.append(("push", value, flags))
        return -errno.E2BIG

    def pop(self) -> bytes | None:
        self.calls.append(("pop",))
        return None

    def peek(self) -> bytes | None:
        self.calls.append(("peek",))
        return None

    def may_hold(self, value: bytes) -> bool:
        self.calls.append(("may_hold", value))
        return False


def run(
    text: str, frame: FrameContext | None = None, recorder: Recorder | None = None, packet: bytes = bytes(60)
) -> int:
    spec = ProgramSpec("test", "xdp", XDP_LINUX, assemble(text))
    maps = {"m": recorder} if recorder else {}
    context = Context(XDP_LINUX, frame or FrameContext(), PacketMemory(packet))
    return Interpreter(spec, maps, python_helpers()).run(context)


def test_every_prototype_has_an_implementation_and_nothing_else() -> None:
    assert set(python_helpers()) == set(PROTOTYPES)


def test_map_helpers_pass_keys_values_and_flags() -> None:
    recorder = Recorder()
    head = "*(u32 *)(r10 - 4) = 7; *(u64 *)(r10 - 16) = 9; r1 = map[m] ll; r2 = r10; r2 += -4; r3 = r10; r3 += -16;"
    assert run(head + "call map_lookup_elem; exit", recorder=recorder) == 0
    assert run(head + "r4 = 2; call map_update_elem; exit", recorder=recorder) == -errno.E2BIG & M64
    assert run(head + "call map_delete_elem; exit", recorder=recorder) == -errno.ENOENT & M64
    key, value = struct.pack("<I", 7), struct.pack("<Q", 9)
    assert recorder.calls == [("lookup", key), ("update", key, value, 2), ("delete", key)]


def test_the_clock_is_the_frame_s_unless_one_is_given() -> None:
    assert run("call ktime_get_ns; exit", FrameContext(time_ns=123456789)) == 123456789
    spec = ProgramSpec("test", "xdp", XDP_LINUX, assemble("call ktime_get_ns; exit"))
    helpers = python_helpers(clock=lambda frame: frame.time_ns + 1)
    context = Context(XDP_LINUX, FrameContext(time_ns=5), PacketMemory(bytes(14)))
    assert Interpreter(spec, {}, helpers).run(context) == 6


@pytest.mark.parametrize("name", CLOCKS)
def test_clocks_without_a_frame_are_this_machines(name: str) -> None:
    ticks = CLOCKS[name]
    platform = LINUX if name in LINUX.helpers.values() else WINDOWS
    spec = ProgramSpec("test", "", platform.hooks[0], assemble(f"call {name}; exit", platform))
    before = time.clock_gettime_ns(ticks.clock) // ticks.nanoseconds
    assert before <= Interpreter(spec, {}, python_helpers()).run_memory(bytearray())
    context = Context(platform.hooks[0], FrameContext(time_ns=87654321), PacketMemory(bytes(14)))
    assert Interpreter(spec, {}, python_helpers()).run(context) == 87654321 // ticks.nanoseconds


def test_the_process_is_this_one() -> None:
    assert run("call get_current_pid_tgid; exit") == os.getpid() << 32 | threading.get_native_id()


def test_random_numbers_are_xorshift64star() -> None:
    """The first of state 1 is known: 0x47e4ce4b896cdd1d >> 32."""
    frame = FrameContext(random_state=1)
    assert run("call get_prandom_u32; exit", frame) == 0x47E4CE4B
    assert frame.random_state == 0x2000001
    seeded, zero = FrameContext(random_state=0x9E3779B97F4A7C15), FrameContext(random_state=0)
    assert run("call get_prandom_u32; exit", seeded) == run("call get_prandom_u32; exit", zero)
    assert seeded.random_state == zero.random_state != 0


def test_the_processor_is_the_worker() -> None:
    assert run("call get_smp_processor_id; exit", FrameContext(processor_id=3)) == 3


def test_redirect_names_the_interface() -> None:
    frame = FrameContext()
    assert run("r1 = 0x100000007 ll; r2 = 0; call redirect; exit", frame) == 4
    assert frame.redirect_ifindex == 7
    assert run("r1 = 9; r2 = 1; call redirect; exit", frame) == 0
    assert frame.redirect_ifindex == 7


def test_the_context_must_be_given_as_it_came() -> None:
    for text in ("r1 += 4; r2 = 0; call xdp_adjust_head; exit", "r1 = r10; r2 = 0; call xdp_adjust_head; exit"):
        with pytest.raises(Fault, match="argument r1 of xdp_adjust_head must be the context"):
            run(text)


def test_a_distance_has_32_bits() -> None:
    assert run("r2 = 0xfffffffe ll; call xdp_adjust_tail; exit", packet=bytes(16)) == 0
    assert run("r2 = 0x100000000 ll; call xdp_adjust_tail; exit", packet=bytes(14)) == 0


def internet_sum(data: bytes) -> int:
    """RFC 1071, by its definition: 16-bit words modulo 0xffff."""
    padded = data + bytes(len(data) % 2)
    return sum(struct.unpack(f"<{len(padded) // 2}H", padded)) % 0xFFFF


def checksum(removed: bytes, added: bytes, seed: int) -> int:
    """csum_diff through a program, with the bytes on its stack."""
    stores = []
    for base, data in ((-64, removed), (-128, added)):
        stores += [f"*(u8 *)(r10 {base + at}) = {byte}" for at, byte in enumerate(data)]
    text = f"""
        {"; ".join(stores)}
        r1 = r10; r1 += -64; r2 = {len(removed)}
        r3 = r10; r3 += -128; r4 = {len(added)}
        r5 = {seed} ll
        call csum_diff
        exit
    """
    return run(text)


@given(st.binary(max_size=33), st.binary(max_size=33), st.integers(0, (1 << 32) - 1))
def test_csum_diff_is_the_difference_of_the_internet_checksum(removed: bytes, added: bytes, seed: int) -> None:
    answer = checksum(removed, added, seed)
    assert 0 <= answer <= 0xFFFF
    assert (answer - (seed + internet_sum(added) - internet_sum(removed))) % 0xFFFF == 0


def test_csum_diff_takes_null_for_nothing() -> None:
    assert run("r1 = 0; r2 = 0; r3 = 0; r4 = 0; r5 = 0x1ffff ll; call csum_diff; exit") == 1
    with pytest.raises(Fault, match="argument r1 of csum_diff must be a pointer, and is null"):
        run("r1 = 0; r2 = 4; r3 = 0; r4 = 0; r5 = 0; call csum_diff; exit")


def test_frames_of_raw_memory_have_no_clock_of_their_own() -> None:
    spec = ProgramSpec("test", "xdp", XDP_LINUX, assemble("call ktime_get_ns; exit"))
    interpreter = Interpreter(spec, {}, python_helpers())
    assert 0 < interpreter.run_memory(bytearray()) <= interpreter.run_memory(bytearray())

"""A ring that the kernel writes: records in order, once each, over its end and when it is full."""

from __future__ import annotations

import ctypes

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.isa.codec.encoder import encode
from hooks.kernel.programs import KernelXdp
from hooks.kernel.ring_buffer import PAGE, KernelRing
from hooks.linux import bpf as kernel
from tests.capabilities import requires

pytestmark = requires("root", "bpf")

# A record of the frame's first 4 bytes and 1000 more; the answer is PASS (2), or DROP (1) if there is no room.
WRITES = """
    r6 = *(u32 *)(r1 + 0)
    r7 = *(u32 *)(r1 + 4)
    r1 = r6
    r1 += 14
    if r1 > r7 goto full
    r6 = *(u32 *)(r6 + 0)
    r1 = map[ring] ll
    r2 = 1004
    r3 = 0
    call ringbuf_reserve
    if r0 == 0 goto full
    *(u32 *)(r0 + 0) = w6
    r1 = r0
    r2 = 0
    call ringbuf_submit
    r0 = 2
    exit
full:
    r0 = 1
    exit
"""


def write(program: int, number: int) -> int:
    """One run; what it answers."""
    frame = ctypes.create_string_buffer(number.to_bytes(4, "little"), 64)
    run = kernel.bpf_prog_test_run(prog_fd=program, data_size_in=64, data_in=ctypes.addressof(frame), repeat=1)
    kernel.bpf(kernel.BPF_PROG_TEST_RUN, run)
    return int(run.retval)


def test_records_come_once_and_in_order_however_often_it_goes_around() -> None:
    with KernelRing(PAGE) as ring, KernelXdp(encode(assemble(WRITES), {"ring": ring.descriptor})) as program:
        assert [*ring.records()] == []
        for number in range(50):
            assert write(program.descriptor, number) == 2
            assert [(record[:4], len(record)) for record in ring.records()] == [(number.to_bytes(4, "little"), 1004)]


def test_a_full_ring_takes_no_more_until_it_is_read() -> None:
    with KernelRing(PAGE) as ring, KernelXdp(encode(assemble(WRITES), {"ring": ring.descriptor})) as program:
        answers = [write(program.descriptor, number) for number in range(6)]
        assert answers == [2, 2, 2, 2, 1, 1] or answers == [2, 2, 2, 1, 1, 1]
        assert len([*ring.records()]) == answers.count(2)
        assert write(program.descriptor, 9) == 2


def test_closed_twice_is_closed() -> None:
    ring = KernelRing(PAGE)
    ring.close()
    ring.close()
    assert ring.descriptor == -1

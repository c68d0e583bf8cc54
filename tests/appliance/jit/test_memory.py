"""Loads, stores and atomics: on raw memory, on the stack, and through a hook's context."""

import pytest

from appliance.ebpf.isa.instructions import (
    Atomic,
    Exit,
    Immediate,
    LegacyPacketLoad,
    Load,
    LoadConstant,
    Move,
    Register,
    Store,
)
from appliance.ebpf.isa.opcodes import AtomicOp
from appliance.jit.subprogram import NotCompilable
from appliance.verifier.program import Access, Region
from tests.appliance.jit.support import Frame, program, run_frame, run_raw

ALL = (1 << 64) - 1


@pytest.mark.parametrize(
    ("size", "signed", "expected"),
    [
        (1, False, 0x80),
        (2, False, 0x8180),
        (4, False, 0x83828180),
        (8, False, 0x8786858483828180),
        (1, True, ALL - 0x7F),
    ],
)
def test_loads_extend(size: int, signed: bool, expected: int) -> None:
    memory = bytearray([0x55, *range(0x80, 0x88)])
    assert run_raw([Load(size, 0, 1, 1, signed), Exit()], memory) == expected


@pytest.mark.parametrize(
    ("size", "stored"), [(1, "efffffffffffffff"), (2, "efcdffffffffffff"), (8, "efcdab8967452301")]
)
def test_stores_cut(size: int, stored: str) -> None:
    memory = bytearray(b"\xff" * 8)
    run_raw([LoadConstant(2, 0x0123456789ABCDEF), Store(size, 1, 0, Register(2)), Exit()], memory)
    assert memory.hex() == stored


def test_an_immediate_is_stored_sign_extended() -> None:
    memory = bytearray(8)
    run_raw([Store(8, 1, 0, Immediate(-2)), Exit()], memory)
    assert memory == (ALL - 1).to_bytes(8, "little")


def test_the_stack_is_reached_by_both_ways() -> None:
    """What is stored through r10 is found at the place that the verifier named, and the other way round."""
    instructions = [
        Store(8, 10, -8, Immediate(7)),
        Store(8, 10, -512, Immediate(9)),
        Load(8, 2, 10, -8),
        Load(8, 0, 10, -512),
        Exit(),
    ]
    for known in ({0: -8, 3: -512}, {1: -512, 2: -8}, {}):
        accesses = {index: Access(Region.STACK, offset) for index, offset in known.items()}
        assert run_frame(program(instructions, accesses), Frame(b"").context) == 9


@pytest.mark.parametrize(
    ("op", "fetch", "after", "source"),
    [
        (AtomicOp.ADD, False, 0x13, 3),
        (AtomicOp.ADD, True, 0x13, 0x10),
        (AtomicOp.OR, True, 0x13, 0x10),
        (AtomicOp.AND, True, 0x00, 0x10),
        (AtomicOp.XOR, False, 0x13, 3),
        (AtomicOp.XCHG, True, 0x03, 0x10),
    ],
)
@pytest.mark.parametrize("size", [4, 8])
def test_atomics(op: AtomicOp, fetch: bool, after: int, source: int, size: int) -> None:
    memory = bytearray((0x10).to_bytes(8, "little"))
    instructions = [Move(64, 2, Immediate(3)), Atomic(op, size, 1, 0, 2, fetch), Move(64, 0, Register(2)), Exit()]
    assert run_raw(instructions, memory) == source
    assert memory == after.to_bytes(8, "little")


@pytest.mark.parametrize(("expected", "after"), [(0x10, 3), (0x11, 0x10)])
def test_compare_and_exchange(expected: int, after: int) -> None:
    """r0 becomes the old value, whether it was the expected one or not; its upper half doesn't count in 32 bits."""
    memory = bytearray((0x10).to_bytes(4, "little"))
    instructions = [
        LoadConstant(0, 0xABCD00000000 | expected),
        Move(64, 2, Immediate(3)),
        Atomic(AtomicOp.CMPXCHG, 4, 1, 0, 2, True),
        Exit(),
    ]
    assert run_raw(instructions, memory) == 0x10
    assert memory == after.to_bytes(4, "little")


def test_packet_pointers_come_whole_out_of_the_context() -> None:
    frame = Frame(bytes([1, 2, 3, 4]))
    instructions = [Load(4, 2, 1, 0), Load(2, 0, 2, 2), Exit()]
    accesses = {0: Access(Region.CONTEXT, 0), 1: Access(Region.PACKET)}
    assert run_frame(program(instructions, accesses), frame.context) == 0x0403


def test_scalars_may_be_read_in_parts() -> None:
    frame = Frame(b"")
    frame.context.ingress_ifindex = 0x8899AABB
    for size, offset, signed, expected in (
        (4, 12, False, 0x8899AABB),
        (2, 14, False, 0x8899),
        (1, 13, False, 0xAA),
        (1, 13, True, ALL - 0x55),
    ):
        verified = program([Load(size, 0, 1, offset, signed), Exit()], {0: Access(Region.CONTEXT, offset)})
        assert run_frame(verified, frame.context) == expected


@pytest.mark.parametrize(
    ("instruction", "message"),
    [
        (Load(2, 0, 1, 0), "instruction 0 of test: an access to xdp_md outside of its fields"),
        (Load(8, 0, 1, 24), "instruction 0 of test: an access to xdp_md outside of its fields"),
        (Store(4, 1, 12, Immediate(1)), "instruction 0 of test: a store to the context's field ingress_ifindex"),
        (LegacyPacketLoad(4, 0, None), "instruction 0 of test: a classic-BPF packet load"),
    ],
)
def test_what_no_verifier_accepts_is_refused(instruction: Load | Store | LegacyPacketLoad, message: str) -> None:
    offset = getattr(instruction, "offset", 0)
    verified = program([instruction, Exit()], {0: Access(Region.CONTEXT, offset)})
    with pytest.raises(NotCompilable, match=f"^{message}$"):
        run_frame(verified, Frame(b"").context)

"""Arbitrary well-formed programs, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from appliance.ebpf.isa.instructions import (
    Alu,
    Atomic,
    Branch,
    ByteSwap,
    CallFunction,
    CallHelper,
    CallKernel,
    CallRegister,
    Exit,
    Immediate,
    Instruction,
    Jump,
    LegacyPacketLoad,
    Load,
    LoadConstant,
    LoadFunction,
    LoadMap,
    LoadMapValue,
    Move,
    Negate,
    Operand,
    Register,
    Store,
)
from appliance.ebpf.isa.opcodes import AluOp, AtomicOp, Condition

REGISTERS = st.integers(0, 10)
INT16 = st.integers(-(1 << 15), (1 << 15) - 1)
INT32 = st.integers(-(1 << 31), (1 << 31) - 1)
SIZES = st.sampled_from([1, 2, 4, 8])
WIDTHS = st.sampled_from([32, 64])
OPERANDS: st.SearchStrategy[Operand] = st.one_of(st.builds(Register, REGISTERS), st.builds(Immediate, INT32))
MAPS = st.sampled_from(["counters", "settings"])
ATOMICS = [(op, fetch) for op in (AtomicOp.ADD, AtomicOp.OR, AtomicOp.AND, AtomicOp.XOR) for fetch in (False, True)]
ATOMICS += [(AtomicOp.XCHG, True), (AtomicOp.CMPXCHG, True)]
SIGN_EXTENSIONS = [(32, 8), (32, 16), (64, 8), (64, 16), (64, 32)]


def instructions(length: int) -> st.SearchStrategy[Instruction]:
    """One instruction of any type, whose target (if any) is within a program of `length` instructions."""
    targets = st.integers(0, length - 1)
    return st.one_of(
        st.builds(Alu, st.sampled_from(AluOp), WIDTHS, REGISTERS, OPERANDS),
        st.builds(Move, WIDTHS, REGISTERS, OPERANDS),
        st.builds(
            lambda form, dst, src: Move(form[0], dst, Register(src), form[1]),
            st.sampled_from(SIGN_EXTENSIONS),
            REGISTERS,
            REGISTERS,
        ),
        st.builds(Negate, WIDTHS, REGISTERS),
        st.builds(ByteSwap, st.sampled_from(["le", "be", "swap"]), st.sampled_from([16, 32, 64]), REGISTERS),
        st.builds(Load, SIZES, REGISTERS, REGISTERS, INT16),
        st.builds(Load, st.sampled_from([1, 2, 4]), REGISTERS, REGISTERS, INT16, st.just(True)),
        st.builds(Load, SIZES, REGISTERS, REGISTERS, INT16, st.just(False), st.just(True)),
        st.builds(Store, SIZES, REGISTERS, INT16, OPERANDS),
        st.builds(Store, SIZES, REGISTERS, INT16, st.builds(Register, REGISTERS), st.just(True)),
        st.builds(
            lambda kind, size, base, offset, src: Atomic(kind[0], size, base, offset, src, kind[1]),
            st.sampled_from(ATOMICS),
            st.sampled_from([4, 8]),
            REGISTERS,
            INT16,
            REGISTERS,
        ),
        st.builds(LegacyPacketLoad, st.sampled_from([1, 2, 4]), INT32, st.none() | REGISTERS),
        st.builds(LoadConstant, REGISTERS, st.integers(0, (1 << 64) - 1)),
        st.builds(LoadMap, REGISTERS, MAPS),
        st.builds(LoadMapValue, REGISTERS, MAPS, st.integers(0, (1 << 31) - 1)),
        st.builds(LoadFunction, REGISTERS, targets),
        st.builds(Jump, targets, st.booleans()),
        st.builds(Branch, st.sampled_from(Condition), WIDTHS, REGISTERS, OPERANDS, targets),
        st.builds(CallHelper, st.integers(0, (1 << 31) - 1)),
        st.builds(CallFunction, targets),
        st.builds(CallKernel, st.integers(0, (1 << 31) - 1)),
        st.builds(CallRegister, REGISTERS),
        st.just(Exit()),
    )


def programs() -> st.SearchStrategy[tuple[Instruction, ...]]:
    """Programs of 1 to 12 instructions of every type. They decode; few would verify."""
    return st.integers(1, 12).flatmap(
        lambda length: st.lists(instructions(length), min_size=length, max_size=length).map(tuple)
    )

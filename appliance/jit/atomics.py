"""Atomic read-modify-write (RFC 9669, section 5.3), in the kernel's memory model.

An operation that returns the old value orders everything around it; one that returns nothing orders nothing but itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from llvmlite import ir

from appliance.ebpf.isa.instructions import Atomic
from appliance.ebpf.isa.opcodes import AtomicOp
from appliance.jit.subprogram import Subprogram

LLVM_NAMES: Mapping[AtomicOp, str] = {
    AtomicOp.ADD: "add",
    AtomicOp.OR: "or",
    AtomicOp.AND: "and",
    AtomicOp.XOR: "xor",
    AtomicOp.XCHG: "xchg",
}


def emit_atomic(sub: Subprogram, index: int, atomic: Atomic) -> None:
    builder, bits = sub.code.builder, atomic.size * 8
    place = sub.code.typed(sub.place(index, atomic.base, atomic.offset), ir.IntType(bits))
    source = sub.narrow(sub.read(atomic.src), bits)
    if atomic.op is AtomicOp.CMPXCHG:
        expected = sub.narrow(sub.read(0), bits)
        pair = builder.cmpxchg(place, expected, source, "seq_cst", "seq_cst")
        sub.write(0, builder.extract_value(pair, 0))
        return
    fetches = atomic.fetch or atomic.op is AtomicOp.XCHG
    old = builder.atomic_rmw(LLVM_NAMES[atomic.op], place, source, "seq_cst" if fetches else "monotonic")
    if fetches:
        sub.write(atomic.src, old)

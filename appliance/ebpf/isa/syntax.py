"""The words of the assembly language that the assembler reads and the disassembler writes.

It is the C-like language of LLVM's BPF assembler, one statement a line (or between semicolons):

    r1 = 7                     w1 = w2                    r1 = (s8)r2              r1 = -r1
    r1 += r2                   w1 s>>= 3                  r1 = be16 r1             r1 = bswap32 r1
    r1 = *(u32 *)(r2 + 4)      *(u8 *)(r10 - 1) = 0       r1 = *(s16 *)(r2 + 0)    r0 = *(u16 *)skb[r3 + 12]
    lock *(u64 *)(r1 + 0) += r2                           r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)
    r2 = xchg_64(r1 + 0, r2)                              r0 = cmpxchg_64(r1 + 0, r0, r2)
    w1 = load_acquire((u32 *)(r2 + 4))                    store_release((u64 *)(r2 + 8), r1)
    r1 = 0x1122334455667788 ll                            r1 = map[flows] ll
    r1 = map[.rodata][0] + 16 ll                          r1 = func helper ll
    if r1 s> r2 goto out       goto +2                    gotol out                exit
    call map_lookup_elem       call 1                     call helper              callx r3
    call kernel 17             out:                       # a comment              // another

A target is a label, or a distance in slots from the next instruction. A name after `call` is a helper of the platform,
else a label. In a listing each instruction is preceded by its slot number and a colon, and lines that start with a
semicolon quote the source; both are read over, so a listing can be assembled again.
"""

from __future__ import annotations

from typing import Literal

from appliance.ebpf.isa.opcodes import AtomicOp

TYPES: dict[str, tuple[int, bool]] = {
    "u8": (1, False),
    "u16": (2, False),
    "u32": (4, False),
    "u64": (8, False),
    "s8": (1, True),
    "s16": (2, True),
    "s32": (4, True),
}
TYPE_NAMES = {meaning: name for name, meaning in TYPES.items()}

FETCHES: dict[str, AtomicOp] = {
    "atomic_fetch_add": AtomicOp.ADD,
    "atomic_fetch_or": AtomicOp.OR,
    "atomic_fetch_and": AtomicOp.AND,
    "atomic_fetch_xor": AtomicOp.XOR,
}
FETCH_NAMES = {op: name for name, op in FETCHES.items()}

# Exchanges carry their width in the name; the operand's letter (r or w) must agree.
EXCHANGES: dict[str, tuple[AtomicOp, int]] = {
    "xchg_64": (AtomicOp.XCHG, 8),
    "xchg32_32": (AtomicOp.XCHG, 4),
    "cmpxchg_64": (AtomicOp.CMPXCHG, 8),
    "cmpxchg32_32": (AtomicOp.CMPXCHG, 4),
}
EXCHANGE_NAMES = {meaning: name for name, meaning in EXCHANGES.items()}

SWAPS: dict[str, Literal["be", "le", "swap"]] = {"be": "be", "le": "le", "bswap": "swap"}
SWAP_NAMES: dict[str, str] = {order: word for word, order in SWAPS.items()}

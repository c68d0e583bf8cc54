"""Fields that an instruction does not use are 0 (RFC 9669, 3.1): the decoder and Linux refuse anything else there."""

from __future__ import annotations

import pytest

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.isa.codec import decode, encode
from appliance.ebpf.isa.codec.slots import DecodeError
from tests.fuzz.fuzz_engines import kernel_is_there
from tests.kernel_bpf import KernelRefused, run_in_kernel

BEFORE = encode(assemble("r0 = 0; r2 = 1; r3 = 1; *(u64 *)(r10 - 8) = 0"))
AFTER = encode(assemble("r0 = 0; exit"))

# A byte of each field, and a value that means nothing there: no offset is 5, no register written here is 4.
FIELDS = {"dst": (1, 0x04), "src": (1, 0x40), "offset": (2, 5), "immediate": (4, 7), "second": (9, 0x01)}

RESERVED = [
    *((f"{r}2 {op} 1", ("src", "offset")) for r in "rw" for op in ("+=", "/=", "s%=", "<<=", "^=")),
    *((f"{r}2 {op} {r}3", ("offset", "immediate")) for r in "rw" for op in ("+=", "/=", "s%=", "s>>=", "^=")),
    *((f"{r}2 = 5", ("src", "offset")) for r in "rw"),
    *((f"{r}2 = {r}3", ("offset", "immediate")) for r in "rw"),
    ("r2 = (s16)r3", ("immediate",)),
    *((f"{r}2 = -{r}2", ("src", "offset", "immediate")) for r in "rw"),
    *((f"r2 = {swap} r2", ("src", "offset")) for swap in ("le16", "be32", "bswap64")),
    ("r2 = 1 ll", ("offset", "second")),
    ("r2 = *(u64 *)(r10 - 8)", ("immediate",)),
    ("r2 = *(s32 *)(r10 - 8)", ("immediate",)),
    ("*(u64 *)(r10 - 8) = r2", ("immediate",)),
    ("*(u64 *)(r10 - 8) = 1", ("src",)),
    ("goto +0", ("dst", "src", "immediate")),
    ("gotol +0", ("dst", "src", "offset")),
    *((f"if {r}2 {op} 1 goto +0", ("src",)) for r in "rw" for op in ("==", "s>", "&")),
    *((f"if {r}2 {op} {r}3 goto +0", ("immediate",)) for r in "rw" for op in ("==", "s>", "&")),
    ("call ktime_get_ns", ("dst", "offset")),
    ("exit", ("dst", "src", "offset", "immediate")),
]


def program(line: str, field: str | None = None) -> bytes:
    """The instruction among others, with a value in that field."""
    slots = bytearray(encode(assemble(f"{line}; r0 = 0; exit"))[: -len(AFTER)])
    if field is not None:
        place, value = FIELDS[field]
        slots[place] = slots[place] & 0xF0 | value if field == "dst" else slots[place] | value
    return BEFORE + bytes(slots) + AFTER


@pytest.mark.parametrize(("line", "fields"), RESERVED)
def test_reserved_fields_are_0(line: str, fields: tuple[str, ...]) -> None:
    decode(program(line))
    for field in fields:
        with pytest.raises(DecodeError, match=r"reserved here|has no kind|must be 0"):
            decode(program(line, field))


@pytest.mark.parametrize(("line", "fields"), RESERVED)
def test_linux_refuses_the_same(line: str, fields: tuple[str, ...]) -> None:
    if kernel_is_there():
        if line != "exit":  # what is behind it is never reached, and that Linux refuses, too
            run_in_kernel(program(line), bytes(64))
        for field in fields:
            with pytest.raises(KernelRefused):
                run_in_kernel(program(line, field), bytes(64))

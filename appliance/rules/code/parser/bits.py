"""How generated code reads bits of a header: in as few loads as there are, each of a whole number.

BPF programs assume, as every program for XDP does, that the machine reads unaligned numbers.
"""

from __future__ import annotations

from llvmlite import ir

from appliance.ir import I32, I64, AnyType, Code, Pointer, Value
from appliance.rules.headers import Bits

_LOADS = (8, 4, 2, 1)  # bytes


def read(code: Code, header: Pointer, bits: Bits) -> Value:
    """The value of these bits, with 32 bits where it fits into them and 64 where not. `header` points to the header,
    and all of the bits are known to be in the frame."""
    wide: AnyType = I64 if bits.size > 4 else I32
    value: Value = ir.Constant(wide, 0)
    done = 0
    while done < bits.size:
        size = next(each for each in _LOADS if each <= bits.size - done)
        loaded: Value = code.load(code.at(header, bits.offset + done), ir.IntType(8 * size), align=size)
        piece: Value = code.resize(code.swap_bytes(loaded), wide)
        value = piece if done == 0 else code.or_(code.shl(value, 8 * size), piece)
        done += size
    if bits.shift:
        value = code.shr(value, bits.shift)
    if bits.shift + bits.width < 8 * bits.size:
        value = code.and_(value, (1 << bits.width) - 1)
    if bits.factor != 1:
        value = code.mul(value, bits.factor)
    return value if bits.maximum >> 32 else code.resize(value, I32)

"""Choices by arithmetic, where a branch would be followed both ways at every turn of a loop, by a verifier or a
processor that can't foretell it."""

from __future__ import annotations

from llvmlite import ir

from appliance.ir import I64, U64, Code


def sign(code: Code, number: U64) -> U64:
    """All ones if the highest bit is set, else 0."""
    return _hidden(code, code.builder.ashr(number, ir.Constant(I64, 63)))


def lower(code: Code, one: U64, other: U64) -> U64:
    """The lower of two numbers that differ by less than 2**63. Of a branch, verifiers would learn how large it can be,
    anew each time round."""
    difference = code.sub(one, other)
    return code.add(other, code.and_(difference, sign(code, difference)))


def all_ones_if_equal(code: Code, one: U64, other: U64 | int) -> U64:
    """All ones if two numbers below 2**63 are the same, else 0."""
    return sign(code, _hidden(code, code.sub(code.xor(one, other), 1)))


def _hidden(code: Code, number: U64) -> U64:
    """The same, of which LLVM doesn't know how it came about: it would make a branch of it."""
    hidden: U64 = code.builder.asm(ir.FunctionType(I64, [I64]), "", "=r,0", [number], False)
    return hidden

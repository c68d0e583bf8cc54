"""SipHash-2-4 (Aumasson and Bernstein, 2012) of a few whole 8-byte words, as the kernel's lib/siphash.c has it."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from appliance.helpers.syncookie_secrets import KEY_SIZE
from appliance.ir import I64, PTR, U64, AnyType, Code, Pointer

START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def siphash(code: Code, key: Pointer, words: Sequence[U64]) -> U64:
    """64 bits of the words, under the 16 bytes at `key`."""
    hash: U64 = code.call(_emit(code.module, len(words)), key, *words)
    return hash


def _emit(module: ir.Module, count: int) -> ir.Function:
    """`i64 siphash.COUNT(key, word 0, …)`"""
    name = f"siphash.{count}"
    known = module.globals.get(name)
    if known is not None:
        return known
    words: dict[str, AnyType] = {f"w{number}": I64 for number in range(count)}
    code = Code.define(module, name, I64, key=PTR, **words)
    code.function.attributes.add("noinline")
    keys = [code.load(code.at(code["key"], offset), I64) for offset in range(0, KEY_SIZE, 8)] * 2
    state = [code.xor(key, start) for key, start in zip(keys, START, strict=True)]
    length = ir.Constant(I64, 8 * count % 256 << 56)
    for word in (*(code[f"w{number}"] for number in range(count)), length):
        state[3] = code.xor(state[3], word)
        state = _round(code, _round(code, state))
        state[0] = code.xor(state[0], word)
    state[2] = code.xor(state[2], 0xFF)
    for _ in range(4):
        state = _round(code, state)
    code.ret(code.xor(code.xor(state[0], state[1]), code.xor(state[2], state[3])))
    return code.function


def _round(code: Code, state: Sequence[U64]) -> list[U64]:
    a, b, c, d = state
    a, c = code.add(a, b), code.add(c, d)
    b, d = code.xor(_rotate(code, b, 13), a), code.xor(_rotate(code, d, 16), c)
    a = code.add(_rotate(code, a, 32), d)
    c = code.add(c, b)
    d, b = code.xor(_rotate(code, d, 21), a), code.xor(_rotate(code, b, 17), c)
    return [a, b, _rotate(code, c, 32), d]


def _rotate(code: Code, value: U64, left: int) -> U64:
    return code.or_(code.shl(value, left), code.shr(value, 64 - left))

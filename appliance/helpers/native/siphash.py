"""SipHash-2-4 (Aumasson and Bernstein, 2012) of a few whole 8-byte words, as the kernel's lib/siphash.c has it."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from appliance.helpers.syncookie_secrets import KEY_SIZE
from appliance.ir import I32, I64, PTR, U64, AnyType, Code, Pointer, Value

START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def siphash(code: Code, *asked: tuple[Pointer, Sequence[U64]]) -> list[U64]:
    """64 bits of each message, under the 16 bytes at its key. A message is a few words, each has as many.

    A round waits for the one before, and two messages don't wait for each other: they are lanes of vectors.
    """
    arguments = [argument for key, words in asked for argument in (key, *words)]
    found = code.call(_emit(code.module, len(asked), len(asked[0][1])), *arguments)
    if len(asked) == 1:
        return [found]
    return [code.builder.extract_element(found, ir.Constant(I32, lane)) for lane in range(len(asked))]


def _emit(module: ir.Module, lanes: int, count: int) -> ir.Function:
    """`siphash.LANES.COUNT(key 0, word 0 …, key 1, word 0 …)`: i64, or a vector of them."""
    name = f"siphash.{lanes}.{count}"
    known = module.globals.get(name)
    if known is not None:
        return known
    names = [["key", *(f"w{number}" for number in range(count))] for _ in range(lanes)]
    given: dict[str, AnyType] = {
        f"{name}_{lane}": PTR if name == "key" else I64 for lane in range(lanes) for name in names[lane]
    }
    type_ = I64 if lanes == 1 else ir.VectorType(I64, lanes)
    code = Code.define(module, name, type_, **given)
    code.function.attributes.add("noinline")
    keys = [
        _lanes(code, [code.load(code.at(code[f"key_{lane}"], offset), I64) for lane in range(lanes)])
        for offset in range(0, KEY_SIZE, 8)
    ]
    words = [_lanes(code, [code[f"w{number}_{lane}"] for lane in range(lanes)]) for number in range(count)]
    state = [code.xor(key, _all(type_, start)) for key, start in zip(keys * 2, START, strict=True)]
    for word in (*words, _all(type_, 8 * count % 256 << 56)):
        state[3] = code.xor(state[3], word)
        state = _round(code, _round(code, state))
        state[0] = code.xor(state[0], word)
    state[2] = code.xor(state[2], _all(type_, 0xFF))
    for _ in range(4):
        state = _round(code, state)
    code.ret(code.xor(code.xor(state[0], state[1]), code.xor(state[2], state[3])))
    return code.function


def _round(code: Code, state: Sequence[Value]) -> list[Value]:
    a, b, c, d = state
    a, c = code.add(a, b), code.add(c, d)
    b, d = code.xor(_rotate(code, b, 13), a), code.xor(_rotate(code, d, 16), c)
    a = code.add(_rotate(code, a, 32), d)
    c = code.add(c, b)
    d, b = code.xor(_rotate(code, d, 21), a), code.xor(_rotate(code, b, 17), c)
    return [a, b, _rotate(code, c, 32), d]


def _rotate(code: Code, value: Value, left: int) -> Value:
    return code.or_(code.shl(value, _all(value.type, left)), code.shr(value, _all(value.type, 64 - left)))


def _all(type_: AnyType, number: int) -> Value:
    """The number, in each lane if there are any."""
    return ir.Constant(type_, [number] * type_.count if isinstance(type_, ir.VectorType) else number)


def _lanes(code: Code, values: Sequence[U64]) -> Value:
    """One value for each lane, as a vector; a single one as it is."""
    if len(values) == 1:
        return values[0]
    vector = ir.Constant(ir.VectorType(I64, len(values)), ir.Undefined)
    for lane, value in enumerate(values):
        vector = code.builder.insert_element(vector, value, ir.Constant(I32, lane))
    return vector

"""The Internet checksum's difference (RFC 1624), as Linux 6.13 and later answer it on every architecture."""

from __future__ import annotations

from llvmlite import ir

from appliance.helpers.native.call import HelperCall
from appliance.ir import I8, I16, I32, I64, PTR, U32, U64, AnyType, Code


def csum_diff(call: HelperCall) -> U64:
    """What removing `from` (r1, r2 bytes) and adding `to` (r3, r4 bytes) makes of the sum r5, folded to 16 bits.

    A size of 0 takes no part. Sizes are the low 32 bits, as in the kernel; any size is allowed.
    """
    code, partial = call.code, _partial_sum(call.code.module)
    removed_size, added_size = (code.resize(call.low(argument), I64) for argument in (1, 3))
    removed, added, seed = call.pointers[0], call.pointers[2], call.low(4)
    result = code.variable(I32)
    with code.if_else(code.compare(added_size, "==", 0)) as (nothing_added, something_added):
        with nothing_added:
            complement = code.call(partial, removed, removed_size, code.builder.not_(seed))
            result.set(code.builder.not_(complement))
        with something_added:
            result.set(code.call(partial, added, added_size, seed))
            with code.if_(code.compare(removed_size, "!=", 0)):
                minus = code.builder.not_(code.call(partial, removed, removed_size, 0))
                result.set(_add(code, result.get(), minus))
    return _fold_to_16(code, result.get())


def _add(code: Code, left: U32, right: U32) -> U32:
    """Addition in one's complement: the carry comes back in below."""
    return _fold_to_32(code, code.add(code.resize(left, I64), code.resize(right, I64)))


def _fold_to_32(code: Code, total: U64) -> U32:
    for _ in range(2):
        total = code.add(code.and_(total, 0xFFFFFFFF), code.shr(total, 32))
    return code.resize(total, I32)


def _fold_to_16(code: Code, total: U32) -> U64:
    folded = code.resize(total, I64)
    for _ in range(2):
        folded = code.add(code.and_(folded, 0xFFFF), code.shr(folded, 16))
    return folded


def _partial_sum(module: ir.Module) -> ir.Function:
    """`i32 (ptr memory, i64 size, i32 seed)`: the memory's 32-bit words and the seed, added in one's complement.

    An odd rest counts as if zeros followed it. The total has 64 bits, so that no carry of 32-bit words is lost.
    """
    known = module.globals.get("checksum.partial")
    if known is not None:
        return known
    code = Code.define(module, "checksum.partial", I32, memory=PTR, size=I64, seed=I32)
    memory, size = code["memory"], code["size"]
    total = code.variable(I64, code.resize(code["seed"], I64))
    words = code.shr(size, 2)
    with code.count(words) as index:
        total.add(code.resize(code.load(code.at(memory, code.shl(index, 2)), I32), I64))
    rest = code.variable(I64, code.shl(words, 2))
    types: tuple[AnyType, ...] = (I16, I8)
    for type_ in types:
        width = type_.width // 8
        with code.if_(code.compare(code.and_(size, width), "!=", 0)):
            part = code.resize(code.load(code.at(memory, rest.get()), type_), I64)
            # The single last byte stands behind a pair, in the upper half, if there is one.
            shift = 0 if type_ is I16 else code.shl(code.and_(size, 2), 3)
            total.add(code.shl(part, shift))
            rest.add(width)
    code.ret(_fold_to_32(code, total.get()))
    return code.function

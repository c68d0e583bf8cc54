"""Memory and strings, as the helpers of eBPF for Windows handle them: every size is given, and errors leave zeros.

Sizes have 64 bits. Errors are negative numbers, as that platform's headers say.
"""

from __future__ import annotations

import errno

from appliance.helpers.native.call import HelperCall
from appliance.ir import I8, I32, I64, PTR, U64, Code, Pointer, external


def memmove_s(call: HelperCall) -> U64:
    """Copy r4 bytes from r3 to r1, which has room for r2; they may overlap. 0, or -ERANGE and zeros in all of r1."""
    code, (target, _, source, *_) = call.code, call.pointers
    room, size = call.arguments[1], call.arguments[3]
    fits = code.compare(size, "<=", room)
    with code.if_else(fits) as (copied, refused):
        with copied:
            code.move(target, source, size)
        with refused:
            code.fill(target, 0, room)
    return code.select(fits, call.number(0), -errno.ERANGE)


def memcmp_s(call: HelperCall) -> U64:
    """-1, 0 or 1: the order of r2 bytes at r1 and r4 bytes at r3; of memories that begin alike, the shorter is less."""
    code, (left, _, right, *_) = call.code, call.pointers
    left_size, right_size = call.arguments[1], call.arguments[3]
    shorter = code.select(code.compare(left_size, "<", right_size), left_size, right_size)
    order = code.call(external(code.module, "memcmp", I32, PTR, PTR, I64), left, right, shorter)
    order = code.builder.sext(order, I64)
    return _sign(code, code.select(code.compare(order, "==", 0), code.sub(left_size, right_size), order))


def _sign(code: Code, number: U64) -> U64:
    above, below = code.compare_signed(number, ">", 0), code.compare_signed(number, "<", 0)
    return code.sub(code.resize(above, I64), code.resize(below, I64))


def memset(call: HelperCall) -> U64:
    """Fill r2 bytes at r1 with the lowest byte of r3. 0, where eBPF for Windows tells the memory's address."""
    code = call.code
    code.fill(call.pointers[0], code.resize(call.arguments[2], I8), call.arguments[1])
    return call.number(0)


def strncpy_s(call: HelperCall) -> U64:
    """Copy the string at r3, or its first r4 characters, to r1 with room for r2, and zeros behind it. 0 or -ERANGE."""
    code, (target, _, source, *_), room = call.code, call.pointers, call.arguments[1]
    length = _strnlen(code, source, call.arguments[3])
    fits = code.compare(length, "<", room)
    taken = code.select(fits, length, 0)
    code.move(target, source, taken)
    code.fill(code.at(target, taken), 0, code.sub(room, taken))
    return code.select(fits, call.number(0), -errno.ERANGE)


def strncat_s(call: HelperCall) -> U64:
    """Append the string at r3, or its first r4 characters, to the one at r1, which has room for r2. 0; or -EINVAL if r1
    holds no string, -ERANGE if both do not fit, and then an empty string."""
    code, (target, _, source, *_), room = call.code, call.pointers, call.arguments[1]
    held, length = _strnlen(code, target, room), _strnlen(code, source, call.arguments[3])
    total = code.add(held, length)
    fits = code.compare(total, "<", room)
    code.move(code.at(target, held), source, code.select(fits, length, 0))
    with code.if_(code.compare(room, "!=", 0)):
        code.fill(code.at(target, code.select(fits, total, 0)), 0, 1)
    error = code.select(code.compare(held, "==", room), call.number(-errno.EINVAL), -errno.ERANGE)
    return code.select(fits, 0, error)


def strnlen_s(call: HelperCall) -> U64:
    """The length of the string in the r2 bytes at r1; r2 if no zero ends it."""
    return _strnlen(call.code, call.pointers[0], call.arguments[1])


def _strnlen(code: Code, text: Pointer, most: U64) -> U64:
    length: U64 = code.call(external(code.module, "strnlen", I64, PTR, I64), text, most)
    return length

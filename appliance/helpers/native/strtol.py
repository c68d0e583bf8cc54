"""Numbers in text, as the kernel reads them (kernel/bpf/helpers.c, lib/kstrtox.c).

    blanks   -   0x   digits
    '  '   '-'  '0x'  '1f'     no more than 63 characters behind the sign

One function for the module parses; the helpers look at its sign.
"""

from __future__ import annotations

import errno

from llvmlite import ir

from appliance.helpers.native.call import HelperCall
from appliance.ir import I1, I8, I64, PTR, U1, U64, Code, Pointer, Variable

LONGEST = 63


def strtol(call: HelperCall) -> U64:
    """The signed number in the r2 bytes at r1, in the base r3 (0: as it is written), to r4.

    How many characters it has; or -EINVAL, -ERANGE, and then r4 gets 0.
    """
    code, (consumed, negative, magnitude) = call.code, _parsed(call)
    most = code.add(code.resize(negative, I64), (1 << 63) - 1)
    too_great = code.compare(magnitude, ">", most)
    number = code.select(negative, code.sub(call.number(0), magnitude), magnitude)
    return _answer(call, consumed, too_great, errno.ERANGE, number)


def strtoul(call: HelperCall) -> U64:
    """As strtol, of a number without a sign: -EINVAL if it has one."""
    consumed, negative, magnitude = _parsed(call)
    return _answer(call, consumed, negative, errno.EINVAL, magnitude)


def _answer(call: HelperCall, consumed: U64, bad: U1, error: int, number: U64) -> U64:
    code = call.code
    read = code.compare_signed(consumed, ">", 0)
    result = code.select(code.and_(read, bad), call.number(-error), consumed)
    code.store(code.select(code.compare_signed(result, ">", 0), number, 0), call.pointers[3])
    return result


def _parsed(call: HelperCall) -> tuple[U64, U1, U64]:
    """How many characters were read, or -errno; whether a minus was; and the number behind it."""
    code = call.code
    negative, number = code.buffer(1), code.buffer(8)
    text, (_, size, base, *_) = call.pointers[0], call.arguments
    consumed = code.call(_parse(code.module), text, size, base, negative, number)
    return consumed, code.resize(code.load(negative, I8), I1), code.load(number, I64)


def _parse(module: ir.Module) -> ir.Function:
    """`i64 (ptr text, i64 size, i64 base, ptr negative, ptr number)`: the characters read, or -errno."""
    known = module.globals.get("number.parse")
    if known is not None:
        return known
    code = Code.define(module, "number.parse", I64, text=PTR, size=I64, base=I64, negative=PTR, number=PTR)
    text, size = code["text"], code["size"]
    code.store(ir.Constant(I8, 0), code["negative"])
    code.store(ir.Constant(I64, 0), code["number"])
    base = code.variable(I64, code["base"])
    wrong = ir.Constant(I1, 1)
    for each in (0, 8, 10, 16):
        wrong = code.and_(wrong, code.compare(base.get(), "!=", each))
    with code.if_(wrong):
        code.ret(-errno.EINVAL)
    at = _skip_blanks(code, text, size)
    minus = code.compare(_character(code, text, at.get(), size), "==", ord("-"))
    code.store(code.resize(minus, I8), code["negative"])
    at.add(code.resize(minus, I64))
    end = code.add(at.get(), LONGEST)
    end = code.select(code.compare(end, "<", size), end, size)
    _skip_prefix(code, text, at, end, base)
    start = at.get()
    overflow = _read_digits(code, text, at, end, base.get())
    with code.if_(overflow):
        code.ret(-errno.ERANGE)
    code.ret(code.select(code.compare(at.get(), "==", start), ir.Constant(I64, -errno.EINVAL), at.get()))
    return code.function


def _character(code: Code, text: Pointer, at: U64, end: U64) -> U64:
    """The character as 64 bits; 0 behind the end, as behind the kernel's own copy."""
    result = code.variable(I64, 0)
    with code.if_(code.compare(at, "<", end)):
        result.set(code.resize(code.load(code.at(text, at), I8), I64))
    return result.get()


def _skip_blanks(code: Code, text: Pointer, size: U64) -> Variable[U64]:
    """Where the first character is that is no blank of Latin-1, where the kernel's isspace is at home."""
    at = code.variable(I64, 0)
    with code.loop() as loop:
        character = _character(code, text, at.get(), size)
        blank = code.compare(code.sub(character, 9), "<", 5)
        for each in (32, 160):
            blank = code.or_(blank, code.compare(character, "==", each))
        loop.break_if(code.builder.not_(blank))
        at.add(1)
    return at


def _skip_prefix(code: Code, text: Pointer, at: Variable[U64], end: U64, base: Variable[U64]) -> None:
    """Find the base that the number is written in, if none is given, and step over `0x` in base 16."""
    first, second, third = (_character(code, text, code.add(at.get(), skip), end) for skip in range(3))
    zero = code.compare(first, "==", ord("0"))
    prefixed = code.and_(zero, code.compare(code.or_(second, 0x20), "==", ord("x")))
    hexadecimal = code.and_(prefixed, code.compare(_digit(code, third), "<", 16))
    written = code.select(hexadecimal, ir.Constant(I64, 16), code.select(zero, ir.Constant(I64, 8), 10))
    base.set(code.select(code.compare(base.get(), "==", 0), written, base.get()))
    skipped = code.and_(prefixed, code.compare(base.get(), "==", 16))
    at.add(code.select(skipped, ir.Constant(I64, 2), 0))


def _read_digits(code: Code, text: Pointer, at: Variable[U64], end: U64, base: U64) -> U1:
    """Add digits to the number while there are any. Whether it needs more than 64 bits."""
    number, overflow = code.variable(I64, 0), code.variable(I1, 0)
    with code.loop() as loop:
        digit = _digit(code, _character(code, text, at.get(), end))
        loop.break_if(code.compare(digit, ">=", base))
        most = code.builder.udiv(code.sub(ir.Constant(I64, -1), digit), base)
        overflow.set(code.or_(overflow.get(), code.compare(number.get(), ">", most)))
        number.set(code.add(code.mul(number.get(), base), digit))
        at.add(1)
    code.store(number.get(), code["number"])
    return overflow.get()


def _digit(code: Code, character: U64) -> U64:
    """What the character counts; 16 or more if it is no digit of any base."""
    decimal = code.sub(character, ord("0"))
    letter = code.sub(code.or_(character, 0x20), ord("a"))
    hexadecimal = code.select(code.compare(letter, "<", 6), code.add(letter, 10), 16)
    return code.select(code.compare(decimal, "<", 10), decimal, hexadecimal)

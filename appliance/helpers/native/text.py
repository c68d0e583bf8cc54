"""Text in native code: the format is known when the code is written, and becomes one for the C library's snprintf.

    "%d of %pI4"  ──>  "%d of %u.%u.%u.%u"      a 32-bit number, and four bytes from where the second argument points

What the verifier proved makes it safe: strings end inside of maps that nobody can write, and addresses are readable.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence

from llvmlite import ir

from appliance.helpers.formats import (
    ADDRESS_SIZES,
    MOST_ARGUMENTS,
    Conversion,
    Format,
    FormatRefused,
    Printed,
    parse_format,
)
from appliance.helpers.native.call import HelperCall
from appliance.helpers.trace import HEAD_SIZE, LENGTH_SIZE, LONGEST_LINE, TraceHead
from appliance.ir import I8, I16, I32, I64, PTR, U64, AnyType, Code, Pointer, Value, external

SLOT = 8


def trace_printk(printed: int, call: HelperCall) -> U64:
    """Print the format at r1 with up to `printed` arguments, from r3 on. The text's length, -EINVAL for a format that
    is none, or 0 while nobody reads."""
    return _trace(call, call.arguments[2 : 2 + printed])


def trace_vprintk(call: HelperCall) -> U64:
    """The same with the r4 bytes of arguments at r3."""
    code, given = call.code, call.code.shr(call.arguments[3], 3)
    text = _format(call)
    wanted = len(text.conversions) if text is not None else 0
    answer = code.variable(I64, -errno.EINVAL)
    with code.if_(code.compare(given, ">=", wanted)):
        answer.set(_trace(call, [_Element(call.pointers[2], place) for place in range(min(wanted, MOST_ARGUMENTS))]))
    return answer.get()


def snprintf(call: HelperCall) -> U64:
    """Print the format at r3 with the arguments at r4 to the r2 bytes at r1: as much as fits, a zero, and zeros behind
    it. The length with its zero, as if all had fitted."""
    code, room = call.code, call.arguments[1]
    text = _format(call)
    assert text is not None  # the verifier refuses others
    code.fill(call.pointers[0], 0, room)
    elements = [_Element(call.pointers[3], place) for place in range(len(text.conversions))]
    return code.add(_print(code, call.pointers[0], room, text, elements), 1)


def strncmp(call: HelperCall) -> U64:
    """-1, 0 or 1: the order of the r2 bytes at r1, or what is before a zero, and of the constant string at r3."""
    code = call.code
    compare = external(code.module, "strncmp", I32, PTR, PTR, I64)
    order = code.call(compare, call.pointers[0], call.pointers[2], call.arguments[1])
    more, less = (code.resize(code.compare_signed(order, sign, 0), I64) for sign in "><")
    return code.sub(more, less)


class _Element:
    """One number of the array that an argument points to."""

    def __init__(self, array: Pointer, place: int) -> None:
        self._array, self._place = array, place

    def load(self, code: Code) -> U64:
        return code.load(code.at(self._array, self._place * SLOT), I64)


def _format(call: HelperCall) -> Format | None:
    """The call's format; None for what the kernel refuses as it runs."""
    assert call.text is not None
    try:
        return parse_format(call.text)
    except FormatRefused:
        return None


def _trace(call: HelperCall, arguments: Sequence[U64 | _Element]) -> U64:
    """A function of its own prints, out of the way of what runs while nobody reads."""
    code, text = call.code, _format(call)
    if text is None or len(text.conversions) > len(arguments):
        return call.number(-errno.EINVAL)
    used = arguments[: len(text.conversions)]
    log, answer = code.pointer(call.field("trace").load()), code.variable(I64, 0)
    with code.if_(code.builder.not_(code.is_null(log)), likely=False):
        values = [value.load(code) if isinstance(value, _Element) else value for value in used]
        answer.set(code.call(_line_printer(code.module, text), log, *values))
    return answer.get()


def _line_printer(module: ir.Module, text: Format) -> ir.Function:
    """`i64 (ptr log, i64 arguments…)`: prints a line of the format to the log."""
    places: dict[str, AnyType] = {f"a{place}": I64 for place in range(len(text.conversions))}
    code = Code.define(module, module.get_unique_name("trace.line"), I64, log=PTR, **places)
    for attribute in ("noinline", "cold", "nounwind"):
        code.function.attributes.add(attribute)
    line = code.buffer(LONGEST_LINE + 1)
    length = _print(code, line, LONGEST_LINE + 1, text, [code[place] for place in places])
    kept = code.select(code.compare(length, "<", LONGEST_LINE), length, LONGEST_LINE)
    head = {name: code.field(code["log"], TraceHead, name) for name, _ in TraceHead._fields_}
    used = head["used"].load()
    after = code.add(used, code.add(kept, LENGTH_SIZE))
    with code.if_else(code.compare(after, "<=", head["capacity"].load())) as (fits, full):
        with fits:
            entry = code.at(code["log"], code.add(used, HEAD_SIZE))
            code.store(code.resize(kept, I32), entry)
            code.copy(code.at(entry, LENGTH_SIZE), line, kept)
            head["used"].store(after)
        with full:
            head["lost"].add(1)
    code.ret(length)
    return code.function


def _print(code: Code, target: Pointer, room: U64 | int, text: Format, arguments: Sequence[U64 | _Element]) -> U64:
    """Print to the memory, if there is any. The length of the whole text."""
    template, left = b"", iter(arguments)
    given: list[Value] = []
    for piece in text.pieces:
        if isinstance(piece, bytes):
            template += piece.replace(b"%", b"%%")
            continue
        argument = next(left)
        value = argument.load(code) if isinstance(argument, _Element) else argument
        words, values = _PRINTERS[piece.printed](code, piece, value)
        template += words.encode()
        given += values
    fixed = (target, code.value(room, I64), _constant(code, template))
    printed = code.builder.call(_snprintf(code.module), [*fixed, *given])
    length: U64 = code.builder.sext(printed, I64)
    return length


def _snprintf(module: ir.Module) -> ir.Function:
    known = module.globals.get("snprintf")
    return known or ir.Function(module, ir.FunctionType(I32, (PTR, I64, PTR), var_arg=True), "snprintf")


def _constant(code: Code, text: bytes) -> Pointer:
    """A pointer to the text and a zero behind it."""
    content = ir.Constant(ir.ArrayType(I8, len(text) + 1), bytearray(text + b"\0"))
    constant = ir.GlobalVariable(code.module, content.type, code.module.get_unique_name("text"))
    constant.linkage, constant.global_constant, constant.initializer = "internal", True, content
    place: Pointer = code.builder.bitcast(constant, PTR)
    return place


_Printed = tuple[str, Sequence[Value]]


def _number(code: Code, conversion: Conversion, value: U64) -> _Printed:
    length = "l" if conversion.bits == 64 else ""
    return f"%{conversion.padding}{length}{conversion.letter}", [code.resize(value, ir.IntType(conversion.bits))]


def _address(code: Code, conversion: Conversion, value: U64) -> _Printed:
    return f"%{conversion.padding if conversion.width else '016'}lx", [value]


def _character(code: Code, conversion: Conversion, value: U64) -> _Printed:
    return f"%{conversion.padding}c", [code.resize(value, I32)]


def _string(code: Code, conversion: Conversion, value: U64) -> _Printed:
    return f"%{conversion.padding}s", [code.pointer(value)]


def _internet(code: Code, conversion: Conversion, value: U64) -> _Printed:
    """Bytes of IPv4 addresses, pairs of bytes of IPv6 addresses."""
    word, separator, type_ = _WORDS[conversion.letter]
    step = type_.width // 8
    places = range(0, ADDRESS_SIZES[conversion.printed], step)
    address = code.pointer(value)
    words = [code.swap_bytes(code.load(code.at(address, place), type_)) for place in places]
    return separator.join([word] * len(places)), [code.resize(each, I32) for each in words]


_WORDS: dict[str, tuple[str, str, AnyType]] = {
    "pI4": ("%u", ".", I8),
    "pi4": ("%03u", ".", I8),
    "pI6": ("%04x", ":", I16),
    "pi6": ("%04x", "", I16),
}
_PRINTERS: dict[Printed, Callable[[Code, Conversion, U64], _Printed]] = {
    Printed.SIGNED: _number,
    Printed.UNSIGNED: _number,
    Printed.ADDRESS: _address,
    Printed.CHARACTER: _character,
    Printed.STRING: _string,
    Printed.IPV4: _internet,
    Printed.IPV6: _internet,
}

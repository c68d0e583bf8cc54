"""Text in Python, for the interpreter; `native.text` says the same in native code."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from functools import partial

from appliance.ebpf.interpreter import Helper, HelperCall, Pointer, Value
from appliance.helpers.formats import ADDRESS_SIZES, MOST_ARGUMENTS, Conversion, FormatRefused, Printed, parse_format
from appliance.helpers.trace import append_line

M64 = (1 << 64) - 1
SLOT = 8


def trace_printk(printed: int, call: HelperCall) -> Value:
    """Print the format of r2 bytes at r1 with up to `printed` arguments, from r3 on. The text's length, -EINVAL for a
    format that is none, or 0 while nobody reads."""
    return _trace(call, range(2, 2 + printed), from_registers=True)


def trace_vprintk(call: HelperCall) -> Value:
    """The same with the r4 bytes of arguments at r3."""
    return _trace(call, range(call.number(3) // SLOT), from_registers=False)


def _trace(call: HelperCall, places: Sequence[int], *, from_registers: bool) -> Value:
    host = call.machine.context.host if call.machine.context is not None else None
    text = call.read(0, call.number(1))
    try:
        conversions = parse_format(text).conversions
    except FormatRefused:
        return -errno.EINVAL & M64
    if len(conversions) > len(places):
        return -errno.EINVAL & M64
    if host is None or not host.trace:
        return 0
    used = places[: len(conversions)]
    line = _render(text, [call.value(place) if from_registers else _element(call, 2, place) for place in used])
    append_line(host.trace, line)
    return len(line)


def snprintf(call: HelperCall) -> Value:
    """Print the format at r3 with the r5 bytes of arguments at r4 to the r2 bytes at r1: as much as fits, a zero, and
    zeros behind it. The length with its zero, as if all had fitted; or -EINVAL."""
    room, size = call.number(1), call.number(4)
    if size % SLOT or size > MOST_ARGUMENTS * SLOT:
        return -errno.EINVAL & M64
    text = _string(call.pointer(2))
    try:
        count = len(parse_format(text + b"\0").conversions)
    except FormatRefused:
        return -errno.EINVAL & M64
    if count > size // SLOT:
        return -errno.EINVAL & M64
    line = _render(text + b"\0", [_element(call, 3, place) for place in range(count)])
    if room:
        kept = line[: room - 1]
        call.write(0, kept + bytes(room - len(kept)))
    return len(line) + 1


def strncmp(call: HelperCall) -> Value:
    """-1, 0 or 1: the order of the r2 bytes at r1, or what is before a zero, and of the constant string at r3."""
    size = call.number(1)
    left, right = (text.partition(b"\0")[0] for text in (call.read(0, size), _string(call.pointer(2))[:size]))
    return (left > right) - (left < right) & M64


def _element(call: HelperCall, argument: int, place: int) -> Value:
    pointer = call.pointer(argument)
    return pointer.region.load(pointer.offset + place * SLOT, SLOT)


def _string(pointer: Pointer) -> bytes:
    """What is in front of the first zero. Raises Violation if none ends it."""
    end = pointer.offset
    while pointer.region.read(end, 1) != b"\0":
        end += 1
    return pointer.region.read(pointer.offset, end - pointer.offset)


def _render(text: bytes, arguments: Sequence[Value]) -> bytes:
    """The text; `arguments` are as many as the format wants."""
    left = iter(arguments)
    pieces = parse_format(text).pieces
    return b"".join(piece if isinstance(piece, bytes) else _write(piece, next(left)) for piece in pieces)


def _write(conversion: Conversion, value: Value) -> bytes:
    if isinstance(value, Pointer):
        if conversion.printed is Printed.STRING:
            return f"%{conversion.padding}s".encode() % _string(value)
        if conversion.printed in ADDRESS_SIZES:
            address = value.region.read(value.offset, ADDRESS_SIZES[conversion.printed])
            return _ADDRESSES[conversion.letter](address)
    assert isinstance(value, int)
    if conversion.printed is Printed.CHARACTER:
        return f"%{conversion.padding}c".encode() % (value & 0xFF)
    number = value & (1 << conversion.bits) - 1
    if conversion.printed is Printed.SIGNED and number >> conversion.bits - 1:
        number -= 1 << conversion.bits
    if conversion.printed is Printed.ADDRESS:
        return f"%{conversion.padding if conversion.width else '016'}x".encode() % number
    return f"%{conversion.padding}{conversion.letter}".encode() % number


_ADDRESSES: dict[str, Callable[[bytes], bytes]] = {
    "pI4": lambda address: ".".join(map(str, address)).encode(),
    "pi4": lambda address: ".".join(f"{byte:03}" for byte in address).encode(),
    "pI6": lambda address: address.hex(":", 2).encode(),
    "pi6": lambda address: address.hex().encode(),
}

HELPERS: dict[str, Helper] = {
    "trace_printk": partial(trace_printk, 3),
    **{f"trace_printk{2 + printed}": partial(trace_printk, printed) for printed in range(4)},
    "trace_vprintk": trace_vprintk,
    "snprintf": snprintf,
    "strncmp": strncmp,
}

"""The options of a TCP header, as a function of its own that walks over them: type, length, data, one behind the other.

      ┌──────┬────────┬───────────────┐        no operation (1) and the end (0) have no length;
      │ kind │ length │ length - 2    │        a length below 2, or behind the header's end, ends the walk
      └──────┴────────┴───────────────┘

The loop goes over places, not options, and an option is read where one is known to begin. So every place is a number
that Linux knows, and what it knows of where the next option begins is the same after every one (`_ANYWHERE`): it proves
each place once, where it would follow a walk from option to option along every path, a million instructions long.

What is found is one number of 64 bits. Of an option that is there twice the last one counts, as Linux reads them
(tcp_parse_options).
"""

from __future__ import annotations

import ctypes

from llvmlite import ir

from appliance.ir import I8, I16, I64, PTR, U1, U64, Code, Pointer, Variable
from appliance.rules.code.bpf_module import BpfModule
from appliance.rules.code.parser.cursor import Cursor, context_pointer, opaque

_LARGEST = 40  # bytes of options that a header has at most, each of which may be an option
_ANYWHERE = 511  # a mask that takes nothing from a place and a length
_FARTHEST = 0x7FFF  # a mask that takes nothing from where options begin: extension headers are 16 KiB at most
_MSS, _WINDOW_SCALE = 2, 3
_KINDS = {"mss": _MSS, "wscale": _WINDOW_SCALE, "sack_perm": 4, "timestamp": 8}
_BITS_OF_KINDS = 40  # below: a bit for each kind; then MSS (16 bits), and the window's shift (8)
_MSS_SHIFT, _SCALE_SHIFT = 40, 56


class Place(ctypes.Structure):
    """Where a frame has its options, in bytes from its beginning, and how long they are. Linux forgets what it knew of
    a number that is stored in the second half of 8 bytes: it proves the function once, not for each way to a header."""

    _fields_ = (
        ("_", ctypes.c_uint32),
        ("start", ctypes.c_uint32),
        ("_2", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
    )


FIELDS = (*(f"tcp.options.{name}" for name in _KINDS), "tcp.options.mss_val", "tcp.options.wscale.shift")


def parse_tcp_options(cursor: Cursor, start: U64, length: U64) -> None:
    """Set the fields of FIELDS from so many bytes of options, which begin that far into the frame."""
    code = cursor.code
    place = code.buffer(ctypes.sizeof(Place))
    code.field(place, Place, "start").store(start)
    code.field(place, Place, "length").store(length)
    found: U64 = code.call(_walk(cursor.module), code["context"], place)
    for name, kind in _KINDS.items():
        cursor.set(**{f"tcp.options.{name}": code.and_(code.shr(found, kind), 1)})
    cursor.set(**{"tcp.options.mss_val": code.and_(code.shr(found, _MSS_SHIFT), 0xFFFF)})
    cursor.set(**{"tcp.options.wscale.shift": code.shr(found, _SCALE_SHIFT)})


def _walk(module: BpfModule) -> ir.Function:
    """`tcp_options(context, place) -> found`, one for all programs of an object."""
    name = "tcp_options"
    if name in module.module.globals:
        function: ir.Function = module.module.globals[name]
        return function
    code = module.subprogram(name, inline=False, context=PTR, place=PTR)
    data, end = context_pointer(code, "data"), context_pointer(code, "data_end")
    start = code.resize(code.field(code["place"], Place, "start").load(), I64)
    length = code.and_(code.resize(code.field(code["place"], Place, "length").load(), I64), 63)
    options = code.at(data, code.and_(start, _FARTHEST))
    following, found = code.variable(I64, 0), code.variable(I64, 0)
    with code.count(_LARGEST) as at:
        with code.if_(code.compare(at, ">=", length)):
            code.ret(found.get())
        with code.if_(code.compare(at, "==", following.get())):
            _option(code, opaque(code, code.at(options, at)), at, length, end, following, found)
    code.ret(found.get())
    return code.function


def _option(
    code: Code, option: Pointer, at: U64, length: U64, end: Pointer, following: Variable[U64], found: Variable[U64]
) -> None:
    """One option, which begins `at` bytes behind the first one: note what it is, and where the next one begins."""
    _need(code, option, 1, end, found.get())
    kind: U64 = code.resize(code.load(option, I8, align=1), I64)
    with code.if_(code.compare(kind, "==", 0)):
        code.ret(found.get())
    size = code.variable(I64, 1)
    size.set(1)
    with code.if_(code.compare(kind, "!=", 1)):
        _need(code, option, 2, end, found.get())
        size.set(code.resize(code.load(code.at(option, 1), I8, align=1), I64))
        beyond = code.compare(code.add(at, size.get()), ">", length)
        with code.if_(code.or_(code.compare(size.get(), "<", 2), beyond)):
            code.ret(found.get())
        with code.if_(code.compare(kind, "<", _BITS_OF_KINDS)):
            found.set(code.or_(found.get(), code.shl(code.value(1, I64), kind)))
        with code.if_(_is(code, kind, _MSS, size.get(), 4)):
            _need(code, option, 4, end, found.get())
            value: U64 = code.resize(code.swap_bytes(code.load(code.at(option, 2), I16, align=2)), I64)
            _put(code, found, value, _MSS_SHIFT, 0xFFFF)
        with code.if_(_is(code, kind, _WINDOW_SCALE, size.get(), 3)):
            _need(code, option, 3, end, found.get())
            value = code.resize(code.load(code.at(option, 2), I8, align=1), I64)
            _put(code, found, value, _SCALE_SHIFT, 0xFF)
    following.set(code.and_(code.add(at, size.get()), _ANYWHERE))


def _need(code: Code, option: Pointer, size: int, end: Pointer, found: U64) -> None:
    """Answer what was found so far if the option has fewer bytes in the frame."""
    with code.if_(code.compare(code.integer(code.at(option, size)), ">", code.integer(end))):
        code.ret(found)


def _is(code: Code, kind: U64, wanted: int, size: U64, length: int) -> U1:
    return code.and_(code.compare(kind, "==", wanted), code.compare(size, "==", length))


def _put(code: Code, found: Variable[U64], value: U64, shift: int, mask: int) -> None:
    """Replace a piece of what was found."""
    rest = code.and_(found.get(), ((1 << 64) - 1) ^ (mask << shift))
    found.set(code.or_(rest, code.shl(value, shift)))

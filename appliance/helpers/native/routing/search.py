"""Reading the routing tables (`helpers.routing.layout`): one search for everything that is sorted."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

from llvmlite import ir

from appliance.helpers.routing.layout import ARRAYS, Copy, Tables
from appliance.ir import I64, I192, PTR, U32, U64, U192, Code, Pointer

NULL = ir.Constant(PTR, None)


@contextmanager
def reading(code: Code, tables: Pointer) -> Iterator[Pointer]:
    """The copy that is whole; what is written in the block is done again if the copy was changed meanwhile.

    `generation` is read before, and `writing` after, all of the copy, on any machine; RoutingTables.publish writes them
    in the order that this needs (appliance.epochs.ordering).
    """
    with code.loop() as loop:
        generation = code.field(tables, Tables, "generation").load_acquire()
        copies = code.field(tables, Tables, "copies").address
        yield code.load(code.at(copies, code.shl(code.and_(generation, 1), 3)), PTR, align=8)
        code.builder.fence("acquire")
        writing = code.field(tables, Tables, "writing").load_acquire()
        loop.break_if(code.compare(writing, "<", code.add(generation, 2)))


def key(code: Code, space: U64 | int, high: U64 | int, low: U64) -> U192:
    """A Key as one number."""
    lowest, middle, highest = (code.resize(code.value(part, I64), I192) for part in (low, high, space))
    return code.or_(code.or_(lowest, code.shl(middle, 64)), code.shl(highest, 128))


def entry_at(code: Code, copy: Pointer, array: str, index: U64) -> Pointer:
    """The entry number `index` of one of the copy's arrays; its first one for a number beyond the room there is."""
    kind, room = ARRAYS[array]
    first = code.pointer(code.field(copy, Copy, array).load())
    inside = code.select(code.compare(index, "<", room), index, 0)
    return code.at(first, code.mul(inside, ctypes.sizeof(kind)))


def find_last(code: Code, copy: Pointer, array: str, wanted: U192) -> Pointer:
    """The last entry whose key is not above `wanted`, or null."""
    first = code.pointer(code.field(copy, Copy, array).load())
    count = code.field(copy, Copy, f"{array}_count").load_monotonic()
    found: Pointer = code.call(_emit_find(code.module), first, count, ctypes.sizeof(ARRAYS[array][0]), wanted)
    return found


def find_exactly(code: Code, copy: Pointer, array: str, wanted: U192) -> Pointer:
    """The entry of that key, or null."""
    found = code.variable(PTR, find_last(code, copy, array, wanted))
    with code.if_(code.builder.not_(code.is_null(found.get()))):
        same = code.freeze(code.compare(code.load(found.get(), I192, align=8), "==", wanted))
        found.set(code.select(same, found.get(), NULL))
    return found.get()


def find_link(code: Code, copy: Pointer, interface: U32) -> Pointer:
    """The link of an interface's index (32 bits), or null."""
    return find_exactly(code, copy, "links", key(code, 0, 0, code.resize(interface, I64)))


def _emit_find(module: ir.Module) -> ir.Function:
    """`ptr find(first, count, stride, wanted)`: halve what is left until the place is found."""
    known = module.globals.get("routing.find")
    if known is not None:
        return known
    code = Code.define(module, "routing.find", PTR, first=PTR, count=I64, stride=I64, wanted=I192)
    first, stride = code["first"], code["stride"]
    low, high = code.variable(I64, 0), code.variable(I64, code["count"])
    with code.loop() as loop:
        start, end = low.get(), high.get()
        loop.break_if(code.compare(start, ">=", end))
        middle = code.shr(code.add(start, end), 1)
        held = code.load(code.at(first, code.mul(middle, stride)), I192, align=8)
        below = code.freeze(code.compare(held, "<=", code["wanted"]))
        low.set(code.select(below, code.add(middle, 1), start))
        high.set(code.select(below, end, middle))
    number = low.get()
    last = code.at(first, code.mul(code.sub(number, 1), stride))
    code.ret(code.select(code.compare(number, "==", 0), NULL, last))
    return code.function

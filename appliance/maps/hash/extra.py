"""Elements that stand by: what takes the place of an entry's element when the entry is updated.

    update of an entry        slot ─> old element                     slot ─> new element
                              extra  [ new │ b │ c │ … ]     ─>       extra  [ old │ b │ c │ … ]
                                        ^ turn                                  turn ^

So a reader has the whole of the old value, or the whole of the new one; and what it holds of the old one stays as it
was until the same processor has updated as many entries as it has extras. The kernel's preallocated hashes have one
extra element for each processor (`extra_elems` of kernel/bpf/hashtab.c).

An extra has one number in each place, and who takes it leaves 0: two threads that call themselves the same processor
wait for each other there, as long as it takes to write an element. Whoever waits holds the lock of a home, and whoever
is waited for has one already and takes no other.
"""

from __future__ import annotations

import ctypes

from llvmlite import ir

from appliance.ir import I32, I64, U32, Code, Field, lock
from appliance.maps.hash.layout import Extra, HashHeader, HashLayout
from appliance.maps.kind import Shape


class Extras:
    """Writes the taking and the putting back, for one shape. For one thread."""

    def __init__(self, shape: Shape, layout: HashLayout) -> None:
        self._processors = shape.processors
        self._layout = layout

    def take(self, code: Code) -> tuple[U32, Field[U32]]:
        """The number of an element that is the caller's, and the place where another is to be put back for it."""
        place = self._place(code)
        taken = code.variable(I32)
        with code.loop() as loop:
            taken.set(code.builder.atomic_rmw("xchg", code.typed(place.address, I32), ir.Constant(I32, 0), "acquire"))
            loop.break_if(code.compare(taken.get(), "!=", 0))
            lock.pause(code)
        return taken.get(), place

    def put_back(self, place: Field[U32], number: U32) -> None:
        """The element is linked nowhere any more, and is written last of all that stand by."""
        place.store_release(number)

    def _place(self, code: Code) -> Field[U32]:
        """Whose turn it is. Who is no worker, the control plane above all, has the last line."""
        processor = code["processor"]
        known = code.compare(processor, "<", self._processors)
        line = code.resize(code.select(known, processor, self._processors), I64)
        extra = code.at(code["map"], code.add(code.mul(line, ctypes.sizeof(Extra)), ctypes.sizeof(HashHeader)))
        turn = code.field(extra, Extra, "turn")
        current = turn.load_monotonic()
        turn.store_monotonic(code.add(current, 1))
        index = code.builder.urem(current, ir.Constant(I32, self._layout.extras))
        numbers = code.field(extra, Extra, "numbers").address
        return Field(code, code.at(numbers, code.mul(code.resize(index, I64), 4)), I32, 4)

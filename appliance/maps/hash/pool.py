"""The elements of a hash map: taken and given back by several threads without a lock.

The stack's top carries a tag that grows with every change, so that a compare-exchange fails if the top was taken and
put back meanwhile (the ABA problem): the link read from it would be stale. Links are read and written as words: who
reads one may be late, and what it reads then be another thread's key, of which nothing comes.
"""

from __future__ import annotations

from functools import cached_property

from llvmlite import ir

from appliance.ir import I32, I64, PTR, U1, U32, U64, VOID, Code, Field, Pointer
from appliance.maps.hash.layout import HashHeader, HashLayout
from appliance.maps.kind import Shape, internal


class Pool:
    """Writes the functions that work on one shape's elements, each when it is first needed. For one thread."""

    def __init__(self, module: ir.Module, shape: Shape, layout: HashLayout) -> None:
        self._module = module
        self._name = shape.name
        self._layout = layout

    @cached_property
    def take(self) -> ir.Function:
        return self._emit_take(self._module)

    @cached_property
    def give_back(self) -> ir.Function:
        return self._emit_give_back(self._module)

    def element(self, code: Code, map: Pointer, number: U32) -> Pointer:
        """The address of an element; numbers begin at 1."""
        first = code.inside(map, code.field(map, HashHeader, "elements").load())
        return code.inside(first, code.mul(code.sub(code.resize(number, I64), 1), self._layout.element_size))

    def _link(self, code: Code, map: Pointer, number: U32) -> Field[U32]:
        return Field(code, code.at(self.element(code, map, number), self._layout.key), I32, 4)

    def _exchange_top(self, code: Code, map: Pointer, old: U64, number: U32) -> U1:
        """Make element `number` the top if the top is still `old`."""
        tag = code.shl(code.add(code.shr(old, 32), 1), 32)
        top = code.field(map, HashHeader, "free").address
        return code.compare_exchange(top, old, code.or_(tag, code.resize(number, I64)), I64)

    def _emit_take(self, module: ir.Module) -> ir.Function:
        """The number of an element that nobody else has, or 0 if every element is in use.

        `fresh` is read before `free`, and never falls: if it was at its end then, an empty stack means a full map.
        """
        code = internal(module, f"{self._name}.take", I32, map=PTR)
        map = code["map"]
        fresh, top, counter = (code.field(map, HashHeader, name) for name in ("fresh", "free", "count"))
        with code.loop():
            taken = fresh.load_acquire()
            old = top.load_acquire()
            number = code.resize(old, I32)
            with code.if_(code.compare(number, "!=", 0)):
                link = self._link(code, map, number).load_monotonic()
                with code.if_(self._exchange_top(code, map, old, link)):
                    code.atomic_add(counter.address, 1, I32)
                    code.ret(number)
            with code.if_(code.compare(number, "==", 0)):
                with code.if_(code.compare(taken, ">=", code.field(map, HashHeader, "max_entries").load())):
                    code.ret(0)
                with code.if_(code.compare_exchange(fresh.address, taken, code.add(taken, 1), I32)):
                    code.atomic_add(counter.address, 1, I32)
                    code.ret(code.add(taken, 1))
        code.builder.unreachable()
        return code.function

    def _emit_give_back(self, module: ir.Module) -> ir.Function:
        """give_back(map, number): no slot leads to the element any more, and readers see that before they see what is
        written into it."""
        code = internal(module, f"{self._name}.give_back", VOID, map=PTR, number=I32)
        map, number = code["map"], code["number"]
        code.builder.fence("release")
        top = code.field(map, HashHeader, "free")
        code.atomic_add(code.field(map, HashHeader, "count").address, -1, I32)
        with code.loop() as loop:
            old = top.load_acquire()
            self._link(code, map, number).store_monotonic(code.resize(old, I32))
            loop.break_if(self._exchange_top(code, map, old, number))
        code.ret()
        return code.function

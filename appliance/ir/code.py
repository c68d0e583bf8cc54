"""A small kit for writing LLVM IR that reads like the code it builds.

    code = Code.define(module, "sum", I64, numbers=PTR, count=I64)
    total = code.variable(I64, 0)
    with code.count(code["count"]) as index:
        total.set(code.add(total.get(), code.load(code.at(code["numbers"], code.mul(index, 8)), I64)))
    code.ret(total.get())

Pointers are opaque and offsets are bytes. Structures are declared once, as `ctypes.Structure`, which Python reads and
writes too; `code.field(pointer, Structure, "name")` is the place of a field. A function computes (`values`), remembers
(`storage`), and goes its ways, which is what stands here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from appliance.ir.storage import Storage
from appliance.ir.types import I64, U1, U64, Value


class Loop:
    """An endless loop being written; leave it with break_ or start its next turn with continue_. For one thread."""

    def __init__(self, code: Code, head: ir.Block, end: ir.Block) -> None:
        self._code, self._head, self._end = code, head, end

    def break_(self) -> None:
        self._code.builder.branch(self._end)

    def continue_(self) -> None:
        self._code.builder.branch(self._head)

    def break_if(self, condition: U1) -> None:
        with self._code.if_(condition):
            self.break_()

    def continue_if(self, condition: U1) -> None:
        with self._code.if_(condition):
            self.continue_()


class Code(Storage):
    """One function being written. For one thread."""

    @classmethod
    def define(cls, module: ir.Module, name: str, result: Any, *, linkage: str = "internal", **parameters: Any) -> Code:
        """Start a function. Parameters are reached by name: `code["count"]`."""
        function = ir.Function(module, ir.FunctionType(result, tuple(parameters.values())), name)
        function.linkage = linkage
        for argument, argument_name in zip(function.args, parameters, strict=True):
            argument.name = argument_name
        return cls(function)

    def ret(self, value: Value | None = None) -> None:
        if value is None:
            self.builder.ret_void()
        else:
            self.builder.ret(self.value(value, self.function.function_type.return_type))

    @contextmanager
    def if_(self, condition: U1, *, likely: bool | None = None) -> Iterator[None]:
        with self.builder.if_then(condition, likely=likely):
            yield

    @contextmanager
    def if_else(self, condition: U1) -> Iterator[tuple[Any, Any]]:
        """`with code.if_else(c) as (then, otherwise): with then: …; with otherwise: …`"""
        with self.builder.if_else(condition) as branches:
            yield branches

    @contextmanager
    def loop(self) -> Iterator[Loop]:
        """An endless loop: `with code.loop() as loop: …; loop.break_if(done)`."""
        head = self.function.append_basic_block("loop")
        end = self.function.append_basic_block("after")
        self.builder.branch(head)
        self.builder.position_at_end(head)
        yield Loop(self, head, end)
        if not self.builder.block.is_terminated:
            self.builder.branch(head)
        self.builder.position_at_end(end)

    @contextmanager
    def count(self, end: U64 | int, start: U64 | int = 0) -> Iterator[U64]:
        """`for index in range(start, end)`, 64 bits, unsigned. Leave it early only by returning."""
        index = self.variable(I64, start)
        with self.loop() as loop:
            current = index.get()
            loop.break_if(self.compare(current, ">=", end))
            yield current
            index.set(self.add(current, 1))

"""Numbers and pointers of the function that is being written, and what is computed from them.

Where two values meet, the second may be a Python int: it becomes a constant of the other's type.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from appliance.ir.types import I64, PTR, U1, U64, N, Number, Pointer, Type, V, Value


class Values:
    """One function being written, as far as it computes. Parameters are reached by name: `code["count"]`.
    For one thread."""

    def __init__(self, function: ir.Function) -> None:
        self.function = function
        self.module = function.module
        self._entry = function.append_basic_block("entry")
        body = function.append_basic_block("body")
        ir.IRBuilder(self._entry).branch(body)
        self.builder = ir.IRBuilder(body)

    def __getitem__(self, parameter: str) -> Value:
        return next(argument for argument in self.function.args if argument.name == parameter)

    def value(self, value: V | int, type_: Type[V]) -> V:
        """A Python int becomes a constant of `type_`; an IR value stays what it is."""
        constant: V = ir.Constant(type_, value) if isinstance(value, int) else value
        return constant

    def _pair(self, left: V, right: V | int) -> tuple[V, V]:
        type_: Type[V] = left.type
        return left, self.value(right, type_)

    def add(self, left: N, right: N | int) -> N:
        result: N = self.builder.add(*self._pair(left, right))
        return result

    def sub(self, left: N, right: N | int) -> N:
        result: N = self.builder.sub(*self._pair(left, right))
        return result

    def mul(self, left: N, right: N | int) -> N:
        result: N = self.builder.mul(*self._pair(left, right))
        return result

    def and_(self, left: N, right: N | int) -> N:
        result: N = self.builder.and_(*self._pair(left, right))
        return result

    def or_(self, left: N, right: N | int) -> N:
        result: N = self.builder.or_(*self._pair(left, right))
        return result

    def xor(self, left: N, right: N | int) -> N:
        result: N = self.builder.xor(*self._pair(left, right))
        return result

    def shl(self, left: N, right: N | int) -> N:
        result: N = self.builder.shl(*self._pair(left, right))
        return result

    def shr(self, left: N, right: N | int) -> N:
        """Logical shift to the right."""
        result: N = self.builder.lshr(*self._pair(left, right))
        return result

    def compare(self, left: V, operator: str, right: V | int) -> U1:
        """Unsigned comparison: == != < <= > >=. Pointers compare by address."""
        result: U1 = self.builder.icmp_unsigned(operator, *self._pair(left, right))
        return result

    def compare_signed(self, left: V, operator: str, right: V | int) -> U1:
        result: U1 = self.builder.icmp_signed(operator, *self._pair(left, right))
        return result

    def not_(self, condition: U1) -> U1:
        result: U1 = self.builder.not_(condition)
        return result

    def is_null(self, pointer: Pointer) -> U1:
        return self.compare(self.integer(pointer), "==", 0)

    def select(self, condition: U1, then: V | int, otherwise: V | int) -> V:
        """One of the two, of which one at least is no int."""
        type_: Type[V] = getattr(otherwise if isinstance(then, int) else then, "type")  # noqa: B009
        chosen: V = self.builder.select(condition, self.value(then, type_), self.value(otherwise, type_))
        return chosen

    def resize(self, value: Number, type_: Type[N]) -> N:
        """Zero-extend or truncate."""
        resized: Any = value
        if value.type.width < type_.width:
            resized = self.builder.zext(value, type_)
        elif value.type.width > type_.width:
            resized = self.builder.trunc(value, type_)
        result: N = resized
        return result

    def integer(self, pointer: Pointer) -> U64:
        """The address."""
        number: U64 = self.builder.ptrtoint(pointer, I64)
        return number

    def pointer(self, integer: U64) -> Pointer:
        """The place at an address."""
        pointer: Pointer = self.builder.inttoptr(integer, PTR)
        return pointer

    def freeze(self, value: V) -> V:
        """One value, whichever: of what was read from memory that somebody may have written meanwhile, so that it can
        be branched on before it is known whether that happened."""
        frozen: Any = ir.Instruction(self.builder.block, value.type, "freeze", [value])
        self.builder._insert(frozen)
        result: V = frozen
        return result

    def swap_bytes(self, value: N) -> N:
        """Network order to host order, and back."""
        swapped: N = value if value.type.width == 8 else self.builder.bswap(value)
        return swapped

    def call(self, function: ir.Function, *arguments: Value) -> Value:
        types = function.function_type.args
        given = [
            self.value(argument, types[index]) if index < len(types) else argument
            for index, argument in enumerate(arguments)
        ]
        return self.builder.call(function, given)

"""Numbers and pointers of the function that is being written, and what is computed from them.

Where two values meet, the second may be a Python int: it becomes a constant of the other's type.
"""

from __future__ import annotations

from llvmlite import ir

from appliance.ir.symbols import I64, PTR, Value


class Values:
    """One function being written, as far as it computes. Parameters are reached by name: `code["count"]`."""

    def __init__(self, function: ir.Function) -> None:
        self.function = function
        self.module = function.module
        self._entry = function.append_basic_block("entry")
        body = function.append_basic_block("body")
        ir.IRBuilder(self._entry).branch(body)
        self.builder = ir.IRBuilder(body)

    def __getitem__(self, parameter: str) -> Value:
        return next(argument for argument in self.function.args if argument.name == parameter)

    def value(self, value: Value, type_: ir.Type) -> Value:
        """A Python int becomes a constant of `type_`; an IR value stays what it is."""
        return ir.Constant(type_, value) if isinstance(value, int) else value

    def _pair(self, left: Value, right: Value) -> tuple[Value, Value]:
        return left, self.value(right, left.type)

    def add(self, left: Value, right: Value) -> Value:
        return self.builder.add(*self._pair(left, right))

    def sub(self, left: Value, right: Value) -> Value:
        return self.builder.sub(*self._pair(left, right))

    def mul(self, left: Value, right: Value) -> Value:
        return self.builder.mul(*self._pair(left, right))

    def and_(self, left: Value, right: Value) -> Value:
        return self.builder.and_(*self._pair(left, right))

    def or_(self, left: Value, right: Value) -> Value:
        return self.builder.or_(*self._pair(left, right))

    def xor(self, left: Value, right: Value) -> Value:
        return self.builder.xor(*self._pair(left, right))

    def shl(self, left: Value, right: Value) -> Value:
        return self.builder.shl(*self._pair(left, right))

    def shr(self, left: Value, right: Value) -> Value:
        """Logical shift to the right."""
        return self.builder.lshr(*self._pair(left, right))

    def compare(self, left: Value, operator: str, right: Value) -> Value:
        """Unsigned comparison: == != < <= > >=. Pointers compare by address."""
        return self.builder.icmp_unsigned(operator, *self._pair(left, right))

    def compare_signed(self, left: Value, operator: str, right: Value) -> Value:
        return self.builder.icmp_signed(operator, *self._pair(left, right))

    def is_null(self, pointer: Value) -> Value:
        return self.compare(self.integer(pointer), "==", 0)

    def select(self, condition: Value, then: Value, otherwise: Value) -> Value:
        type_ = otherwise.type if isinstance(then, int) else then.type
        return self.builder.select(condition, self.value(then, type_), self.value(otherwise, type_))

    def resize(self, value: Value, type_: ir.IntType) -> Value:
        """Zero-extend or truncate."""
        if value.type.width < type_.width:
            return self.builder.zext(value, type_)
        return self.builder.trunc(value, type_) if value.type.width > type_.width else value

    def integer(self, pointer: Value) -> Value:
        return self.builder.ptrtoint(pointer, I64)

    def pointer(self, integer: Value) -> Value:
        return self.builder.inttoptr(integer, PTR)

    def freeze(self, value: Value) -> Value:
        """One value, whichever: of what was read from memory that somebody may have written meanwhile, so that it can
        be branched on before it is known whether that happened."""
        frozen = ir.Instruction(self.builder.block, value.type, "freeze", [value])
        self.builder._insert(frozen)
        return frozen

    def swap_bytes(self, value: Value) -> Value:
        """Network order to host order, and back."""
        return value if value.type.width == 8 else self.builder.bswap(value)

    def call(self, function: Value, *arguments: Value) -> Value:
        types = function.function_type.args
        given = [
            self.value(argument, types[index]) if index < len(types) else argument
            for index, argument in enumerate(arguments)
        ]
        return self.builder.call(function, given)

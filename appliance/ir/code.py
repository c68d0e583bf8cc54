"""A small kit for writing LLVM IR that reads like the code it builds.

    code = Code.define(module, "sum", I64, numbers=PTR, count=I64)
    total = code.variable(I64, 0)
    with code.count(code["count"]) as index:
        total.set(code.add(total.get(), code.load(code.at(code["numbers"], code.mul(index, 8)), I64)))
    code.ret(total.get())

Pointers are opaque and offsets are bytes. Structures are declared once, as `ctypes.Structure`, which Python reads and
writes too; `code.field(pointer, Structure, "name")` is the place of a field. Variables are stack slots that LLVM turns
into registers. Loads and stores of plain memory assume no alignment unless they are told one: a frame has none.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
PTR = ir.PointerType()
VOID = ir.VoidType()
PAGE = 4096

Value = Any  # llvmlite has no types of its own: an ir.Value, or an int where a constant of the same type is meant


def memory(module: ir.Module, name: str, size: int) -> Value:
    """`size` bytes of memory that lives elsewhere, as a pointer: who links the code says where it is (see compiler).

    Nothing else may be in these bytes as far as the module is concerned: LLVM takes different names for different
    memory. They begin a page.
    """
    symbol = ir.GlobalVariable(module, ir.ArrayType(I8, size), name)
    symbol.align = PAGE
    return symbol


def external(module: ir.Module, name: str, result: ir.Type, *parameters: ir.Type) -> ir.Function:
    """A function of the C library or an LLVM intrinsic, declared once per module."""
    known = module.globals.get(name)
    if known is not None:
        return known
    return ir.Function(module, ir.FunctionType(result, parameters), name)


def _declared_type(structure: type[ctypes.Structure], name: str) -> Any:
    """The type of a field that the structure, or one that it is derived from, declares."""
    declaring = (entry for parent in structure.__mro__ for entry in getattr(parent, "_fields_", ()))
    return next(entry[1] for entry in declaring if entry[0] == name)


class Variable:
    """A mutable local of the function being written."""

    def __init__(self, code: Code, type_: ir.Type, slot: ir.AllocaInstr) -> None:
        self._code = code
        self.type = type_
        self.address = slot

    def get(self) -> Value:
        return self._code.builder.load(self.address, typ=self.type)

    def set(self, value: Value) -> None:
        self._code.builder.store(self._code.value(value, self.type), self.address)

    def add(self, value: Value) -> None:
        self.set(self._code.add(self.get(), value))


class Field:
    """One field of a declared structure, at a pointer."""

    def __init__(self, code: Code, address: Value, type_: ir.Type, align: int) -> None:
        self._code = code
        self.address = address
        self.type = type_
        self._align = align

    def load(self) -> Value:
        return self._code.load(self.address, self.type, align=self._align)

    def store(self, value: Value) -> None:
        self._code.store(self._code.value(value, self.type), self.address, align=self._align)

    def add(self, value: Value) -> None:
        """Plain read, add, write: for counters that one thread alone writes."""
        self.store(self._code.add(self.load(), value))

    def load_acquire(self) -> Value:
        return self._code.builder.load_atomic(self.address, "acquire", self._align, typ=self.type)

    def store_release(self, value: Value) -> None:
        typed = self._code.typed(self.address, self.type)
        self._code.builder.store_atomic(self._code.value(value, self.type), typed, "release", self._align)


class Loop:
    """An endless loop being written; leave it with break_ or start its next turn with continue_."""

    def __init__(self, code: Code, head: ir.Block, end: ir.Block) -> None:
        self._code, self._head, self._end = code, head, end

    def break_(self) -> None:
        self._code.builder.branch(self._end)

    def continue_(self) -> None:
        self._code.builder.branch(self._head)

    def break_if(self, condition: Value) -> None:
        with self._code.if_(condition):
            self.break_()

    def continue_if(self, condition: Value) -> None:
        with self._code.if_(condition):
            self.continue_()


class Code:
    """One function being written."""

    def __init__(self, function: ir.Function) -> None:
        self.function = function
        self.module = function.module
        self._entry = function.append_basic_block("entry")
        body = function.append_basic_block("body")
        ir.IRBuilder(self._entry).branch(body)
        self.builder = ir.IRBuilder(body)

    @classmethod
    def define(
        cls, module: ir.Module, name: str, result: ir.Type, *, linkage: str = "internal", **parameters: ir.Type
    ) -> Code:
        """Start a function. Parameters are reached by name: `code["count"]`."""
        function = ir.Function(module, ir.FunctionType(result, tuple(parameters.values())), name)
        function.linkage = linkage
        for argument, argument_name in zip(function.args, parameters, strict=True):
            argument.name = argument_name
        return cls(function)

    def __getitem__(self, parameter: str) -> Value:
        return next(argument for argument in self.function.args if argument.name == parameter)

    # values

    def value(self, value: Value, type_: ir.Type) -> Value:
        """A Python int becomes a constant of `type_`; an IR value stays what it is."""
        return ir.Constant(type_, value) if isinstance(value, int) else value

    def variable(self, type_: ir.Type, initial: Value | None = None) -> Variable:
        with self.builder.goto_block(self._entry):
            slot = self.builder.alloca(type_)
        variable = Variable(self, type_, slot)
        if initial is not None:
            variable.set(initial)
        return variable

    def buffer(self, size: int, align: int = 8) -> Value:
        """`size` bytes of the function's own stack, as a pointer."""
        with self.builder.goto_block(self._entry):
            slot = self.builder.alloca(ir.ArrayType(I8, size))
        slot.align = align
        return self._retype(slot, PTR)

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
        then, otherwise = (
            (then, self.value(otherwise, then.type))
            if not isinstance(then, int)
            else (
                self.value(then, otherwise.type),
                otherwise,
            )
        )
        return self.builder.select(condition, then, otherwise)

    def resize(self, value: Value, type_: ir.IntType) -> Value:
        """Zero-extend or truncate."""
        if value.type.width < type_.width:
            return self.builder.zext(value, type_)
        return self.builder.trunc(value, type_) if value.type.width > type_.width else value

    def integer(self, pointer: Value) -> Value:
        return self.builder.ptrtoint(pointer, I64)

    def pointer(self, integer: Value) -> Value:
        return self.builder.inttoptr(integer, PTR)

    def swap_bytes(self, value: Value) -> Value:
        """Network order to host order, and back."""
        return value if value.type.width == 8 else self.builder.bswap(value)

    # memory

    def at(self, pointer: Value, offset: Value) -> Value:
        """The pointer `offset` bytes on."""
        return self.builder.gep(pointer, [self.value(offset, I64)], source_etype=I8)

    def inside(self, pointer: Value, offset: Value) -> Value:
        """`at`, where both places are in one object, or just behind it: so the result is not null."""
        return self.builder.gep(pointer, [self.value(offset, I64)], inbounds=True, source_etype=I8)

    def typed(self, pointer: Value, type_: ir.Type) -> Value:
        """The same pointer with a pointee type, which some of llvmlite's builders still ask for."""
        typed = type_.as_pointer()
        return pointer if hasattr(pointer.type, "pointee") else self._retype(pointer, typed)

    def _retype(self, pointer: Value, type_: ir.Type) -> Value:
        cast = ir.instructions.CastInstr(self.builder.block, "bitcast", pointer, type_)
        self.builder._insert(cast)
        return cast

    def load(self, pointer: Value, type_: ir.Type, *, align: int = 1) -> Value:
        loaded = self.builder.load(pointer, typ=type_)
        loaded.align = align
        return loaded

    def store(self, value: Value, pointer: Value, *, align: int = 1) -> None:
        self.builder.store(value, self.typed(pointer, value.type)).align = align

    def field(self, pointer: Value, structure: type[ctypes.Structure], name: str) -> Field:
        """A field of a declared structure. Integers only; an array field gives the place of its first element."""
        place = getattr(structure, name)
        declared = _declared_type(structure, name)
        element = getattr(declared, "_type_", None) if issubclass(declared, ctypes.Array) else declared
        is_plain = element is not None and issubclass(element, ctypes._SimpleCData)
        size = ctypes.sizeof(element) if is_plain and element is not None else 1
        packed = getattr(structure, "_pack_", 0)
        align = min(size, packed) if packed else size
        return Field(self, self.at(pointer, place.offset), ir.IntType(size * 8), align)

    def copy(self, target: Value, source: Value, size: Value) -> None:
        """memcpy of `size` bytes; a constant size becomes plain moves."""
        memcpy = external(self.module, "llvm.memcpy.p0.p0.i64", VOID, PTR, PTR, I64, I1)
        self.call(memcpy, target, source, self.value(size, I64), ir.Constant(I1, 0))

    def move(self, target: Value, source: Value, size: Value) -> None:
        """memmove: the memories may overlap."""
        memmove = external(self.module, "llvm.memmove.p0.p0.i64", VOID, PTR, PTR, I64, I1)
        self.call(memmove, target, source, self.value(size, I64), ir.Constant(I1, 0))

    def fill(self, target: Value, byte: Value, size: Value) -> None:
        """memset."""
        memset = external(self.module, "llvm.memset.p0.i64", VOID, PTR, I8, I64, I1)
        self.call(memset, target, self.value(byte, I8), self.value(size, I64), ir.Constant(I1, 0))

    def atomic_add(self, pointer: Value, value: Value, type_: ir.Type = I64, ordering: str = "monotonic") -> Value:
        """Add and give the old value."""
        return self.builder.atomic_rmw("add", self.typed(pointer, type_), self.value(value, type_), ordering)

    def compare_exchange(self, pointer: Value, expected: Value, wanted: Value, type_: ir.Type = I64) -> Value:
        """Store `wanted` if `expected` is there; true if it was (acquire and release)."""
        pair = self.builder.cmpxchg(
            self.typed(pointer, type_), self.value(expected, type_), self.value(wanted, type_), "acq_rel", "acquire"
        )
        return self.builder.extract_value(pair, 1)

    # control

    def call(self, function: Value, *arguments: Value) -> Value:
        types = function.function_type.args
        given = [
            self.value(argument, types[index]) if index < len(types) else argument
            for index, argument in enumerate(arguments)
        ]
        return self.builder.call(function, given)

    def ret(self, value: Value | None = None) -> None:
        if value is None:
            self.builder.ret_void()
        else:
            self.builder.ret(self.value(value, self.function.function_type.return_type))

    @contextmanager
    def if_(self, condition: Value, *, likely: bool | None = None) -> Iterator[None]:
        with self.builder.if_then(condition, likely=likely):
            yield

    @contextmanager
    def if_else(self, condition: Value) -> Iterator[tuple[Any, Any]]:
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
    def count(self, end: Value, start: Value = 0) -> Iterator[Value]:
        """`for index in range(start, end)`, 64 bits, unsigned. Leave it early only by returning."""
        index = self.variable(I64, start)
        with self.loop() as loop:
            current = index.get()
            loop.break_if(self.compare(current, ">=", end))
            yield current
            index.set(self.add(current, 1))

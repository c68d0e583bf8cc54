"""What the function that is being written keeps, reads and writes: variables, fields of structures, plain memory.

Variables are stack slots that LLVM turns into registers. Loads and stores of plain memory assume no alignment unless
they are told one: a frame has none.
"""

from __future__ import annotations

import ctypes
from typing import Any, Generic

from llvmlite import ir

from appliance.ir.symbols import external
from appliance.ir.types import I1, I8, I64, PTR, U1, U8, U64, VOID, AnyType, N, Pointer, Type, V
from appliance.ir.values import Values


class WrongWidth(AssertionError):
    """A number is stored in a place that is wider or narrower. A defect of the code that writes code."""


class Variable(Generic[V]):
    """A mutable local of the function being written. For one thread."""

    def __init__(self, code: Storage, type_: Type[V], slot: Any) -> None:
        self._code = code
        self.type: Type[V] = type_
        self.address = slot

    def get(self) -> V:
        value: V = self._code.builder.load(self.address, typ=self.type)
        return value

    def set(self, value: V | int) -> None:
        self._code.builder.store(self._code.as_wide(value, self.type), self.address)

    def add(self, value: V | int) -> None:
        """Of numbers only."""
        now: Any = self.get()
        self.set(self._code.add(now, value))


class Field(Generic[V]):
    """One field of a declared structure, at a pointer. For one thread."""

    def __init__(self, code: Storage, address: Pointer, type_: Type[V], align: int) -> None:
        self._code = code
        self.address = address
        self.type: Type[V] = type_
        self._align = align

    def load(self) -> V:
        return self._code.load(self.address, self.type, align=self._align)

    def store(self, value: V | int) -> None:
        self._code.store(self._code.as_wide(value, self.type), self.address, align=self._align)

    def add(self, value: V | int) -> None:
        """Plain read, add, write: for counters that one thread alone writes. Of numbers only."""
        now: Any = self.load()
        self.store(self._code.add(now, value))

    def load_monotonic(self) -> V:
        """A word that other threads write, whole and as it is or was; says nothing about other words (LLVM's
        `monotonic`, C's relaxed). A plain load of it would be undefined."""
        return self._load_atomic("monotonic")

    def store_monotonic(self, value: V | int) -> None:
        """A word that other threads read, whole; says nothing about other words."""
        self._store_atomic(value, "monotonic")

    def load_acquire(self) -> V:
        """What was written before the store that this reads from is seen by all that comes after."""
        return self._load_atomic("acquire")

    def store_release(self, value: V | int) -> None:
        """Who reads this with `load_acquire` sees all that was written before it."""
        self._store_atomic(value, "release")

    def load_seq_cst(self) -> V:
        """All threads see the `seq_cst` loads and stores of all words in one and the same order."""
        return self._load_atomic("seq_cst")

    def store_seq_cst(self, value: V | int) -> None:
        """See `load_seq_cst`."""
        self._store_atomic(value, "seq_cst")

    def _load_atomic(self, ordering: str) -> V:
        value: V = self._code.builder.load_atomic(self.address, ordering, self._align, typ=self.type)
        return value

    def _store_atomic(self, value: V | int, ordering: str) -> None:
        typed = self._code.typed(self.address, self.type)
        self._code.builder.store_atomic(self._code.as_wide(value, self.type), typed, ordering, self._align)


class Storage(Values):
    """One function being written, as far as it remembers. For one thread."""

    def variable(self, type_: Type[V], initial: V | int | None = None) -> Variable[V]:
        with self.builder.goto_block(self._entry):
            slot = self.builder.alloca(type_)
        variable = Variable(self, type_, slot)
        if initial is not None:
            variable.set(initial)
        return variable

    def as_wide(self, value: V | int, type_: Type[V]) -> V:
        """The value for a place of that type. LLVM stores what is wider, too, over what lies behind the place."""
        typed: Any = self.value(value, type_)
        if isinstance(type_, ir.IntType) and typed.type != type_:
            raise WrongWidth(f"a place of {type_} can't hold {typed.type}; resize the value")
        given: V = typed
        return given

    def buffer(self, size: int, align: int = 8) -> Pointer:
        """`size` bytes of the function's own stack, as a pointer."""
        with self.builder.goto_block(self._entry):
            slot = self.builder.alloca(ir.ArrayType(I8, size))
        slot.align = align
        return self._retype(slot, PTR)

    def at(self, pointer: Pointer, offset: U64 | int) -> Pointer:
        """The pointer `offset` bytes on."""
        place: Pointer = self.builder.gep(pointer, [self.value(offset, I64)], source_etype=I8)
        return place

    def inside(self, pointer: Pointer, offset: U64 | int) -> Pointer:
        """`at`, where both places are in one object, or just behind it: so the result is not null."""
        place: Pointer = self.builder.gep(pointer, [self.value(offset, I64)], inbounds=True, source_etype=I8)
        return place

    def typed(self, pointer: Pointer, type_: Type[V]) -> Pointer:
        """The same pointer with a pointee type, which some of llvmlite's builders still ask for."""
        typed = type_.as_pointer()
        return pointer if hasattr(pointer.type, "pointee") else self._retype(pointer, typed)

    def _retype(self, pointer: Pointer, type_: AnyType) -> Pointer:
        cast: Any = ir.instructions.CastInstr(self.builder.block, "bitcast", pointer, type_)
        self.builder._insert(cast)
        retyped: Pointer = cast
        return retyped

    def load(self, pointer: Pointer, type_: Type[V], *, align: int = 1) -> V:
        loaded = self.builder.load(pointer, typ=type_)
        loaded.align = align
        value: V = loaded
        return value

    def store(self, value: V, pointer: Pointer, *, align: int = 1) -> None:
        self.builder.store(value, self.typed(pointer, value.type)).align = align

    def field(self, pointer: Pointer, structure: type[ctypes.Structure], name: str) -> Field[Any]:
        """A field of a declared structure. Integers only; an array field gives the place of its first element.

        ctypes knows how wide it is, mypy does not: a function that gives one on says so (`-> Field[U32]`)."""
        place = getattr(structure, name)
        declared = _declared_type(structure, name)
        element = getattr(declared, "_type_", None) if issubclass(declared, ctypes.Array) else declared
        is_plain = element is not None and issubclass(element, ctypes._SimpleCData)
        size = ctypes.sizeof(element) if is_plain and element is not None else 1
        packed = getattr(structure, "_pack_", 0)
        align = min(size, packed) if packed else size
        return Field(self, self.at(pointer, place.offset), ir.IntType(size * 8), align)

    def copy(self, target: Pointer, source: Pointer, size: U64 | int) -> None:
        """memcpy of `size` bytes; a constant size becomes plain moves."""
        memcpy = external(self.module, "llvm.memcpy.p0.p0.i64", VOID, PTR, PTR, I64, I1)
        self.call(memcpy, target, source, self.value(size, I64), ir.Constant(I1, 0))

    def move(self, target: Pointer, source: Pointer, size: U64 | int) -> None:
        """memmove: the memories may overlap."""
        memmove = external(self.module, "llvm.memmove.p0.p0.i64", VOID, PTR, PTR, I64, I1)
        self.call(memmove, target, source, self.value(size, I64), ir.Constant(I1, 0))

    def fill(self, target: Pointer, byte: U8 | int, size: U64 | int) -> None:
        """memset."""
        memset = external(self.module, "llvm.memset.p0.i64", VOID, PTR, I8, I64, I1)
        self.call(memset, target, self.value(byte, I8), self.value(size, I64), ir.Constant(I1, 0))

    def atomic_add(self, pointer: Pointer, value: N | int, type_: Type[N], ordering: str = "monotonic") -> N:
        """Add and give the old value."""
        old: N = self.builder.atomic_rmw("add", self.typed(pointer, type_), self.value(value, type_), ordering)
        return old

    def compare_exchange(self, pointer: Pointer, expected: N | int, wanted: N | int, type_: Type[N]) -> U1:
        """Store `wanted` if `expected` is there; true if it was (acquire and release)."""
        pair = self.builder.cmpxchg(
            self.typed(pointer, type_), self.value(expected, type_), self.value(wanted, type_), "acq_rel", "acquire"
        )
        was_there: U1 = self.builder.extract_value(pair, 1)
        return was_there


def _declared_type(structure: type[ctypes.Structure], name: str) -> Any:
    """The type of a field that the structure, or one that it is derived from, declares."""
    declaring = (entry for parent in structure.__mro__ for entry in getattr(parent, "_fields_", ()))
    return next(entry[1] for entry in declaring if entry[0] == name)

"""The types of generated code, and what mypy knows of their values.

llvmlite has no types of its own, so a value is `Any` to mypy, and an addition of 32 and 64 bits is found when LLVM
reads the module, if ever. Here every type of LLVM has a class of values: what is loaded as an `I64` is a `U64`, and may
be added to another `U64` or to a Python int, and to nothing else.

    I1   U1     a truth value             I64   U64
    I8   U8                               I128  U128    an IPv6 address
    I16  U16                              I192  U192    a key of the routing tables
    I32  U32                              PTR   Pointer

They are for mypy alone: as the code runs, each of them is an `ir.Value`. A function whose values are of any one type
says `V`, of any one width `N`; `Number` is one of any width, which `resize` makes fit.

`Value` is what mypy cannot know, because a table says it as the code is written: a parameter by its name, a field of a
structure, what a function of a `MapOps` answers, the operands of an eBPF instruction. Whoever takes such a value and
knows its width says so: `number: U32 = code["number"]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from llvmlite import ir

Value: TypeAlias = Any
AnyType: TypeAlias = Any  # one that a table of widths gives

if TYPE_CHECKING:

    class _Typed:
        """An ir.Value. `type` is its type of LLVM."""

        type: Any
        name: str

    class U1(_Typed): ...

    class U8(_Typed): ...

    class U16(_Typed): ...

    class U32(_Typed): ...

    class U64(_Typed): ...

    class U128(_Typed): ...

    class U192(_Typed): ...

    class Pointer(_Typed): ...

    V = TypeVar("V", U1, U8, U16, U32, U64, U128, U192, Pointer)
    N = TypeVar("N", U1, U8, U16, U32, U64, U128, U192)
    Number: TypeAlias = U1 | U8 | U16 | U32 | U64 | U128 | U192  # where any width will do

    class Type(Generic[V]):
        """A type of LLVM whose values are `V`."""

        width: int

        def as_pointer(self) -> Any: ...

else:
    U1 = U8 = U16 = U32 = U64 = U128 = U192 = Pointer = ir.Value
    V = TypeVar("V")
    N = TypeVar("N")
    Number = ir.Value

    class Type(Generic[V]):
        """A name for mypy alone."""


def _integer(bits: int) -> Any:
    return ir.IntType(bits)


I1: Type[U1] = _integer(1)
I8: Type[U8] = _integer(8)
I16: Type[U16] = _integer(16)
I32: Type[U32] = _integer(32)
I64: Type[U64] = _integer(64)
I128: Type[U128] = _integer(128)
I192: Type[U192] = _integer(192)
_pointer: Any = ir.PointerType()
PTR: Type[Pointer] = _pointer
VOID: Any = ir.VoidType()

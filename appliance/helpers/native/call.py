"""One helper call in generated code: what an implementation is given.

    r1 … r5 ──> HelperCall.arguments   64-bit values, as the registers hold them
            └─> HelperCall.pointers    the same as pointers; an argument that the verifier saw point into the stack is
                                       the stack buffer itself, so that LLVM sees who reads and writes it

Where the kernel's prototype has a 32-bit argument, an implementation reads the low half of the register.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from appliance.ebpf.spec import MapSpec
from appliance.ir import I32, I64, U32, U64, Code, Field, Pointer
from appliance.maps.map_ops import MapOps
from hooks.contracts.contract import HookPoint


class Clock(Enum):
    """Whose time ktime_get_ns answers."""

    MONOTONIC = "this machine's, since it started"
    FRAME = "the frame's own: HostContext.time_ns"


@dataclass(frozen=True, slots=True)
class MapSite:
    """One map as generated code sees it: the pointer to its memory, what it is, and the functions of its shape.

    The pointer is a symbol (appliance.ir.memory): one code serves every map of the same declaration. A map that a
    program finds in a map of maps has no `address` that is known beforehand: it is what r1 holds. `values` is the
    pointer to an array's first value, where global variables live; None for other types. `processors` is how many
    values a per-CPU map has of each key.
    """

    address: Pointer | None
    spec: MapSpec
    functions: MapOps
    values: Pointer | None = None
    processors: int = 1


@dataclass(frozen=True, slots=True)
class HelperCall:
    """One call being written. `maps` are those that the paths into it bring, none for a helper without one; where they
    are several, the argument `map_argument` (0 is r1) has the address of one of them. `text` is the constant string
    that the call is given, its format for one, with the zero that ends it."""

    code: Code
    hook: HookPoint
    clock: Clock
    context: Pointer
    arguments: Sequence[U64]
    pointers: Sequence[Pointer]
    maps: Sequence[MapSite] = ()
    map_argument: int = 0
    text: bytes | None = None

    def field(self, name: str) -> Field[Any]:
        """A field of the hook's context in this process's memory."""
        return self.code.field(self.context, self.hook.host, name)

    def has_field(self, name: str) -> bool:
        """Whether the hook's context has such a field."""
        return hasattr(self.hook.host, name)

    def low(self, argument: int) -> U32:
        """The low 32 bits of the argument (0 is r1)."""
        return self.code.resize(self.arguments[argument], I32)

    def number(self, value: int) -> U64:
        """A 64-bit constant; negative for an error."""
        return self.code.value(value, I64)


Implementation: TypeAlias = Callable[[HelperCall], U64]

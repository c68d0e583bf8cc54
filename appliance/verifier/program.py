"""What the verifier hands on: a program together with what was proved of it.

Only the verifier can make a VerifiedProgram: its constructor wants a token that this room alone holds.
The facts are what the JIT may rely upon; they are true on every path that reaches the instruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from appliance.ebpf.spec import MapSpec, ProgramSpec

_TOKEN = object()


class Region(Enum):
    """The memories that a pointer can point into."""

    STACK = "the stack"
    CONTEXT = "the context"
    PACKET = "the packet"
    METADATA = "the packet's metadata"
    APP_ID = "the application's path"
    MAP_VALUE = "a map value"
    MAP_KEY = "a map key"
    MEMORY = "memory of a helper"
    KERNEL = "a structure of the kernel"


@dataclass(frozen=True, slots=True)
class Access:
    """One memory operand. `offset` is known if it is the same on every path: for the stack relative to r10
    (negative, of the frame that the instruction runs in), for the context the guest offset, else None."""

    region: Region
    offset: int | None = None
    map: str | None = None


@dataclass(frozen=True, slots=True)
class CallFacts:
    """One helper call: the names of the maps that it works on, sorted (more than one if the paths disagree), and what
    each pointer argument points to (None for scalars and for pointers on which paths disagree), r1 first. `inner`: it
    is one that was found in a map of maps, and the name is of what those are like. `text` is the constant string that
    the helper is given, the same on every path, with the zero that ends it."""

    helper: str
    maps: tuple[str, ...] = ()
    arguments: tuple[Access | None, ...] = ()
    inner: bool = False
    text: bytes | None = None


Extent: TypeAlias = tuple[int, int]  # [low, high) in bytes from r10: negative, and at most 0


@dataclass(frozen=True, slots=True)
class StackFacts:
    """Every byte of the stack that the program may touch. `own`, by instruction and the register that holds the
    pointer: the extent that it keeps to, of the frame that it runs in, on every path. `shared`, by the first
    instruction of a function: the extents of its frames that are touched in any other way, by its callees above all."""

    own: Mapping[tuple[int, int], Extent] = field(default_factory=dict)
    shared: Mapping[int, tuple[Extent, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything proved, keyed by instruction index. `reachable` names the instructions that can run at all,
    `functions` the calls through a register that are known to go to a function of the program. `stack` is None if
    nobody has seen what the program does with it."""

    accesses: Mapping[int, Access] = field(default_factory=dict)
    calls: Mapping[int, CallFacts] = field(default_factory=dict)
    reachable: frozenset[int] = frozenset()
    functions: frozenset[int] = frozenset()
    stack: StackFacts | None = None


class VerifiedProgram:
    """A program that was proved safe for its hook, with the maps it was proved against. Any thread."""

    __slots__ = ("facts", "maps", "seconds", "spec")

    def __init__(
        self, token: object, spec: ProgramSpec, maps: Mapping[str, MapSpec], facts: Facts, seconds: float
    ) -> None:
        if token is not _TOKEN:
            raise TypeError("a VerifiedProgram is made by Verifier.verify, and by nothing else")
        self.spec = spec
        self.maps = maps
        self.facts = facts
        self.seconds = seconds

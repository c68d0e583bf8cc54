"""What a map type is to the rest of the box: a check of its declaration, a size in memory, and native operations.

Every operation is written for one Shape, so that sizes are constants in the code; two maps of one shape share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from llvmlite import ir

from appliance.ebpf.spec import MapSpec, MapType
from appliance.ir import I32, I64, PTR, Code
from appliance.maps.errors import MapError
from appliance.maps.memory import Memory

CACHE_LINE = 64


class Flag(IntEnum):
    """What `update` may do, and how (BPF_ANY, BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK of include/uapi/linux/bpf.h)."""

    ANY = 0
    NOEXIST = 1
    EXIST = 2
    LOCK = 4


def round_up(size: int, multiple: int) -> int:
    """The least multiple that is not below `size`."""
    return -(-size // multiple) * multiple


def element_size(size: int) -> int:
    """Room for an element of `size` bytes: a small one never lies across two cache lines."""
    return 1 << (size - 1).bit_length() if size <= CACHE_LINE else round_up(size, 8)


# Types whose code reads the number of entries from the map's header.
SIZED_AT_RUN_TIME = frozenset(
    {
        MapType.HASH,
        MapType.LRU_HASH,
        MapType.PERCPU_HASH,
        MapType.LRU_PERCPU_HASH,
        MapType.DEVMAP_HASH,
        MapType.HASH_OF_MAPS,
    }
)
# Types whose values are maps, of which the memory keeps the addresses.
NESTED = frozenset({MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})
ADDRESS_SIZE = 8

# In the place of a processor's number, to `update`: all of them, their values one after the other, unpadded.
EVERY_PROCESSOR = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Shape:
    """All that the code of a map's operations depends on. Sizes in bytes; `processors` as given to `Map.open`."""

    type: MapType
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    processors: int
    lock: int | None = None

    @classmethod
    def of(cls, spec: MapSpec, processors: int) -> Shape:
        value_size = ADDRESS_SIZE if spec.type in NESTED else spec.value_size
        return cls(spec.type, spec.key_size, value_size, spec.max_entries, spec.flags, processors, spec.lock)

    @property
    def name(self) -> str:
        """What the names of its functions begin with: the same for maps that share their code."""
        sizes = f"k{self.key_size}.v{self.value_size}"
        if self.type not in SIZED_AT_RUN_TIME:
            sizes += f".n{self.max_entries}"
        lock = "" if self.lock is None else f".l{self.lock}"
        return f"map.{self.type.value}.{sizes}.f{self.flags}.p{self.processors}{lock}"

    @property
    def value_stride(self) -> int:
        """Room of one value: aligned to 8, so that programs may use 64-bit atomics on it."""
        return round_up(self.value_size, 8)


@dataclass(frozen=True, slots=True)
class MapFunctions:
    """The native operations of one shape, in one module. -errno is the negative number of errno.h, 64 bits.

    lookup(map, key, I32 processor)                       pointer to the value, or null
    update(map, key, value, I64 flags, I32 processor)     0 or -errno
    delete(map, key)                                      0 or -errno
    extract(map, key, value out or null, I32 processor)   deletes the entry: pointer to its value, or null; copies it
                                                          out, for all processors, before it is anybody else's
    next(map, I64 position, key out, value out or null)   a position after the given one, or -ENOENT at the end
    push(map, value, I64 flags)                           0 or -errno
    pop(map, value out)                                   0 or -errno
    peek(map, value)                                      0 or -errno; a queue's value is written, a filter's is read
    output(map, data, I64 size, I64 flags)                a record with that data: 0 or -errno
    reserve(map, I64 size, I64 flags)                     room for a record, to be committed: pointer to it, or null
    commit(map, record, I64 flags, I32 discard)           the record is done, to be seen or never; 0
    query(map, I64 what)                                  a number about the ring
    sample(map, I32 processor, I64 index, data, I64 size, packet, I64 packet_size)
                                                          the data and the packet's bytes, to whom listens: 0 or -errno
    program(map, I32 index)                               pointer to the code of the program there, or null
    drain(map, I32 processor, out, I64 room)              copies records out, which are gone then: bytes used

    Key and value need no alignment. A value's pointer stays good memory for as long as the map; its entry may be
    deleted, and its memory given to another entry, under whoever still holds it (as with the kernel's preallocated
    maps). `next` starts at position 0 and copies one entry out; it visits everything that stays in the map meanwhile
    exactly once. Of a per-CPU map it copies the values of all processors, one after the other, unpadded.

    All of them are there for every type, so that code which learns only at run time what map it has can name them: what
    a type doesn't have answers null or -EINVAL.
    """

    lookup: ir.Function
    update: ir.Function
    delete: ir.Function
    extract: ir.Function
    next: ir.Function
    push: ir.Function
    pop: ir.Function
    peek: ir.Function
    output: ir.Function
    reserve: ir.Function
    commit: ir.Function
    query: ir.Function
    sample: ir.Function
    program: ir.Function
    drain: ir.Function


SIGNATURES: Mapping[str, tuple[ir.Type, Mapping[str, ir.Type]]] = {
    "lookup": (PTR, {"map": PTR, "key": PTR, "processor": I32}),
    "update": (I64, {"map": PTR, "key": PTR, "value": PTR, "flags": I64, "processor": I32}),
    "delete": (I64, {"map": PTR, "key": PTR}),
    "extract": (PTR, {"map": PTR, "key": PTR, "value_out": PTR, "processor": I32}),
    "next": (I64, {"map": PTR, "position": I64, "key_out": PTR, "value_out": PTR}),
    "push": (I64, {"map": PTR, "value": PTR, "flags": I64}),
    "pop": (I64, {"map": PTR, "value_out": PTR}),
    "peek": (I64, {"map": PTR, "value": PTR}),
    "output": (I64, {"map": PTR, "data": PTR, "size": I64, "flags": I64}),
    "reserve": (PTR, {"map": PTR, "size": I64, "flags": I64}),
    "commit": (I64, {"map": PTR, "record": PTR, "flags": I64, "discard": I32}),
    "query": (I64, {"map": PTR, "what": I64}),
    "sample": (
        I64,
        {"map": PTR, "processor": I32, "index": I64, "data": PTR, "size": I64, "packet": PTR, "packet_size": I64},
    ),
    "program": (PTR, {"map": PTR, "index": I32}),
    "drain": (I64, {"map": PTR, "processor": I32, "out": PTR, "room": I64}),
}
KEYED = ("lookup", "update", "delete", "next")
HASHED = (*KEYED, "extract")
QUEUED = ("push", "pop", "peek")


class Weight(Enum):
    """How a function is to be compiled: what a frame waits for is made fast, all else is made small and soon."""

    INLINE = "inline"
    HOT = "hot"
    SHARED = "shared"


# A table of its own: Python 3.11.2 makes a bare `object()` of a member whose value is an empty tuple.
ATTRIBUTES: Mapping[Weight, tuple[str, ...]] = {
    Weight.INLINE: ("alwaysinline",),
    Weight.HOT: (),
    Weight.SHARED: ("noinline", "optsize"),
}


def define(module: ir.Module, shape: Shape, operation: str, weight: Weight = Weight.SHARED) -> Code:
    """Start writing one of the operations that SIGNATURES names."""
    result, parameters = SIGNATURES[operation]
    return internal(module, f"{shape.name}.{operation}", result, weight, **parameters)


def internal(
    module: ir.Module, name: str, result: ir.Type, weight: Weight = Weight.SHARED, **parameters: ir.Type
) -> Code:
    """Start writing a function that only this module calls and that never unwinds."""
    code = Code.define(module, name, result, **parameters)
    for attribute in ("nounwind", *ATTRIBUTES[weight]):
        code.function.attributes.add(attribute)
    return code


def plain_memory(shape: Shape, size: int) -> Memory:
    """One piece of memory, which is what most maps live in."""
    return Memory(size)


@dataclass(frozen=True, slots=True)
class Kind:
    """One map type.

    `check` raises MapRefused; `size` gives the bytes of a map's memory, and `memory` reserves it (OSError if it can't);
    `initialise` gets that memory, all zero; `count` the entries in it; `emit` writes the `operations` of the type, and
    `emit_lookup` no more than the lookup, of a type whose other operations are much code.
    `failures` says which errno of an operation is which error, where it differs from the usual; `per_processor` maps
    keep one value for every processor. `place` is where the value of a key is from the start, in bytes from the map's
    address: a first entry is then simply written there. None for keys that have no such place. `control` are the
    operations that the control plane needs, where those are not all.
    """

    check: Callable[[MapSpec], None]
    size: Callable[[Shape], int]
    initialise: Callable[[Memory, Shape], None]
    count: Callable[[Memory, Shape], int]
    emit: Callable[[ir.Module, Shape], None]
    emit_lookup: Callable[[ir.Module, Shape], None] | None = None
    failures: Mapping[int, type[MapError]] = field(default_factory=dict)
    per_processor: bool = False
    operations: tuple[str, ...] = KEYED
    place: Callable[[Shape, bytes], int | None] = lambda shape, key: None
    memory: Callable[[Shape, int], Memory] = plain_memory
    control: tuple[str, ...] | None = None

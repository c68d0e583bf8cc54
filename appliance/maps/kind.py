"""What a map type is to the rest of the box: a check of its declaration, a size in memory, and native operations.

Every operation is written for one Shape, so that sizes are constants in the code; two maps of one shape share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.ir import Code
from appliance.maps.errors import MapError
from appliance.maps.map_ops import KEYED, SIGNATURES
from appliance.memory import Layout, Memory, Plain

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
    """Start writing one of the operations of `map_ops`."""
    signature = SIGNATURES[operation]
    return internal(module, f"{shape.name}.{operation}", signature.result, weight, **signature.parameters)


def internal(
    module: ir.Module, name: str, result: ir.Type, weight: Weight = Weight.SHARED, **parameters: ir.Type
) -> Code:
    """Start writing a function that only this module calls and that never unwinds."""
    code = Code.define(module, name, result, **parameters)
    for attribute in ("nounwind", *ATTRIBUTES[weight]):
        code.function.attributes.add(attribute)
    return code


def plain_memory(shape: Shape, size: int) -> Layout:
    """One piece of memory, which is what most maps live in."""
    return Plain(size)


@dataclass(frozen=True, slots=True)
class Kind:
    """One map type.

    `check` raises MapRefused; `size` gives the bytes of a map's memory, and `memory` how they are to lie;
    `initialise` gets that memory, all zero; `count` the entries in it; `emit` writes the `operations` of the type, and
    `emit_lookup` no more than the lookup, of a type whose other operations are much code.
    `failures` says which errno of an operation is which error, where it differs from the usual; `per_processor` maps
    keep one value for every processor. `direct_value` is where the value of a key is from the start, in bytes from the
    map's address (map_direct_value_addr of the kernel): a first entry is then simply written there. None for keys that
    have no such place. `control` are the
    operations that the control plane needs, where those are not all. `evicted` counts the entries that were pushed out
    by others, of types that do that.
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
    direct_value: Callable[[Shape, bytes], int | None] = lambda shape, key: None
    memory: Callable[[Shape, int], Layout] = plain_memory
    control: tuple[str, ...] | None = None
    evicted: Callable[[Memory], int] | None = None

"""What a register or a stack cell can hold: a number, a pointer, or nothing that may be read (None).

A pointer is   base of its region  +  variable part (a set of numbers)  +  constant offset.

Two pointers with the same `id` have the same base and the same variable part, whatever its value; so what is learned
of one holds for the other, at its own distance. The packet's start is the id PACKET_START with no variable part. The
id of a pointer to the stack is the number of its frame, that of a pointer to a key the number of the callback's frame
that it was given to, that of a pointer to a record the name of a reference. Values of maps without a lock have no id.

A dynptr is in no register: it is 16 bytes of the stack, of which each half is a cell, at offset 0 and 8 of the dynptr.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, TypeAlias

from appliance.ebpf.btf.kernel_types import KernelType
from appliance.ebpf.isa.opcodes import AluOp
from appliance.verifier.domains import scalar
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.program import Region

ZERO = scalar.constant(0)

PACKET_START = 0
METADATA_START = -1
APP_ID_START = -2

# All frames share one space of offsets: frame n (0 is the main program's) has the 512 bytes below -1024 * n.
FRAME_DISTANCE = 1024


class Kind(Enum):
    """What a pointer points to; the value is how messages call it."""

    __hash__ = object.__hash__  # a kind is equal to itself alone; that of Enum is slow, and asked for all the time

    STACK = "a pointer to the stack"
    CONTEXT = "a pointer to the context"
    PACKET = "a pointer to the packet"
    METADATA = "a pointer to the packet's metadata"
    PACKET_END = "the end of the packet"
    STALE = "a pointer into the packet as it was before a helper moved it"
    APP_ID = "a pointer to the application's path"
    APP_ID_END = "the end of the application's path"
    MAP_VALUE = "a pointer to a value of map `{map}`"
    MAP_VALUE_OR_NULL = "null or a pointer to a value of map `{map}`"
    RECORD = "a pointer to a record of map `{map}`"
    RECORD_OR_NULL = "null or a pointer to a record of map `{map}`"
    DYNPTR = "a dynptr"
    RING_DYNPTR = "a dynptr of map `{map}`"
    SLICE = "a pointer to a slice of a dynptr"
    SLICE_OR_NULL = "null or a pointer to a slice of a dynptr"
    MAP_KEY = "a pointer to a key of map `{map}`"
    GONE_KEY = "what was a pointer to a key of map `{map}` while a callback ran"
    MAP = "map `{map}`"
    MAP_OR_NULL = "null or map `{map}`"
    FUNCTION = "a function of the program"
    SOCKET = "a pointer to a socket"
    SOCKET_OR_NULL = "null or a pointer to a socket"
    SOCKET_COMMON = "a pointer to what every socket has"
    SOCKET_COMMON_OR_NULL = "null or a pointer to what every socket has"
    TCP_SOCKET = "a pointer to what TCP knows of a socket"
    TCP_SOCKET_OR_NULL = "null or a pointer to what TCP knows of a socket"
    HELD_SOCKET = "a pointer to a socket that was looked up"
    HELD_SOCKET_OR_NULL = "null or a pointer to a socket that was looked up"
    HELD_SOCKET_COMMON = "a pointer to what every socket has, of one that was looked up"
    HELD_SOCKET_COMMON_OR_NULL = "null or a pointer to what every socket has, of one that was looked up"
    TRUSTED = "a pointer to a `{type}` of the kernel"
    TRUSTED_OR_NULL = "null or a pointer to a `{type}` of the kernel"
    TYPED = "what was read as a pointer to a `{type}` of the kernel"
    TYPED_OR_NULL = "null or what was read as a pointer to a `{type}` of the kernel"
    ADDRESS = "an address of the kernel"
    UNTRUSTED = "what may have been a pointer to a `{type}` of the kernel"
    TRACE_BUFFER = "a pointer to what the tracepoint lets programs change"
    BUFFER = "a pointer to what the iterator is at"
    BUFFER_OR_NULL = "null or a pointer to what the iterator is at"
    READ_ONLY_BUFFER = "a pointer to the key of what the iterator is at"
    READ_ONLY_BUFFER_OR_NULL = "null or a pointer to the key of what the iterator is at"


REGIONS: dict[Kind, Region] = {
    Kind.STACK: Region.STACK,
    Kind.CONTEXT: Region.CONTEXT,
    Kind.PACKET: Region.PACKET,
    Kind.METADATA: Region.METADATA,
    Kind.APP_ID: Region.APP_ID,
    Kind.MAP_VALUE: Region.MAP_VALUE,
    Kind.RECORD: Region.MEMORY,
    Kind.SLICE: Region.MEMORY,
    Kind.MAP_KEY: Region.MAP_KEY,
    Kind.SOCKET: Region.MEMORY,
    Kind.SOCKET_COMMON: Region.MEMORY,
    Kind.TCP_SOCKET: Region.MEMORY,
    Kind.HELD_SOCKET: Region.MEMORY,
    Kind.HELD_SOCKET_COMMON: Region.MEMORY,
    Kind.TRUSTED: Region.KERNEL,
    Kind.TYPED: Region.KERNEL,
    Kind.UNTRUSTED: Region.KERNEL,
    Kind.ADDRESS: Region.KERNEL,
    Kind.TRACE_BUFFER: Region.MEMORY,
    Kind.BUFFER: Region.MEMORY,
    Kind.READ_ONLY_BUFFER: Region.MEMORY,
}

# What a pointer that may be null is, once it is known not to be, and why it may be null.
NULLABLE: dict[Kind, Kind] = {
    Kind.MAP_VALUE_OR_NULL: Kind.MAP_VALUE,
    Kind.RECORD_OR_NULL: Kind.RECORD,
    Kind.SLICE_OR_NULL: Kind.SLICE,
    Kind.MAP_OR_NULL: Kind.MAP,
    Kind.SOCKET_OR_NULL: Kind.SOCKET,
    Kind.SOCKET_COMMON_OR_NULL: Kind.SOCKET_COMMON,
    Kind.TCP_SOCKET_OR_NULL: Kind.TCP_SOCKET,
    Kind.HELD_SOCKET_OR_NULL: Kind.HELD_SOCKET,
    Kind.HELD_SOCKET_COMMON_OR_NULL: Kind.HELD_SOCKET_COMMON,
    Kind.TRUSTED_OR_NULL: Kind.TRUSTED,
    Kind.TYPED_OR_NULL: Kind.TYPED,
    Kind.BUFFER_OR_NULL: Kind.BUFFER,
    Kind.READ_ONLY_BUFFER_OR_NULL: Kind.READ_ONLY_BUFFER,
}
WHY_NULL: dict[Kind, str] = {
    Kind.MAP_VALUE_OR_NULL: "the lookup in map `{map}` may have found nothing",
    Kind.RECORD_OR_NULL: "there may have been no room in map `{map}`",
    Kind.SLICE_OR_NULL: "the dynptr may have fewer bytes than the slice wants",
    Kind.MAP_OR_NULL: "the lookup of map `{map}` may have found nothing",
    Kind.SOCKET_OR_NULL: "there may be no such socket",
    Kind.SOCKET_COMMON_OR_NULL: "there may be no such socket",
    Kind.TCP_SOCKET_OR_NULL: "the socket may be none of TCP",
    Kind.HELD_SOCKET_OR_NULL: "the lookup may have found no socket",
    Kind.HELD_SOCKET_COMMON_OR_NULL: "the lookup may have found no socket",
    Kind.TRUSTED_OR_NULL: "there may be no such `{type}`",
    Kind.TYPED_OR_NULL: "there may be no such `{type}`",
    Kind.BUFFER_OR_NULL: "there is none at the end of the walk",
    Kind.READ_ONLY_BUFFER_OR_NULL: "there is none at the end of the walk",
}

# Pointers that die when a helper moves the packet.
PACKET_KINDS = frozenset({Kind.PACKET, Kind.METADATA, Kind.PACKET_END})

# Pointers into, or to the end of, the path of the program that asks.
APP_ID_KINDS = frozenset({Kind.APP_ID, Kind.APP_ID_END})

# Pointers whose id ties them to what is known of the memory's length behind them.
RANGED_KINDS = frozenset({Kind.PACKET, Kind.METADATA, Kind.APP_ID})

# Where such a memory ends, which says nothing of what is there.
END_KINDS = frozenset({Kind.PACKET_END, Kind.APP_ID_END})

# Pointers whose id is the name of a reference (see `references`).
HELD_SOCKETS = frozenset({Kind.HELD_SOCKET, Kind.HELD_SOCKET_COMMON})
HELD_KINDS = frozenset(
    {
        Kind.RECORD,
        Kind.RECORD_OR_NULL,
        Kind.RING_DYNPTR,
        Kind.HELD_SOCKET_OR_NULL,
        Kind.HELD_SOCKET_COMMON_OR_NULL,
        *HELD_SOCKETS,
    }
)

# Pointers to sockets that nothing is to be given back for. One may come from a socket that is held, and end with it.
LENT_SOCKETS = frozenset({Kind.SOCKET, Kind.SOCKET_COMMON, Kind.TCP_SOCKET})
LENT_KINDS = LENT_SOCKETS | {Kind.SOCKET_OR_NULL, Kind.SOCKET_COMMON_OR_NULL, Kind.TCP_SOCKET_OR_NULL}

# Pointers to structures of the kernel, the best known first. What one is loaded through that is not TRUSTED may be no
# address at all: the kernel catches that, and 0 is loaded. So TYPED and UNTRUSTED may well be null. An ADDRESS is what
# stood in a structure as a pointer to anything else; it has no distance from anywhere. None of them is a secret: their
# programs may read all of the kernel's memory. So each is a number, too, where that is all that is known, and it was
# checked for null.
STRUCTURES = (Kind.TRUSTED, Kind.TYPED, Kind.UNTRUSTED)
NUMBERS_TOO = frozenset({*STRUCTURES, Kind.ADDRESS})
STRUCTURE_KINDS = NUMBERS_TOO | {Kind.TRUSTED_OR_NULL, Kind.TYPED_OR_NULL}

# The halves of a dynptr, as cells of the stack, and the pointers into what it is about.
DYNPTR_KINDS = frozenset({Kind.DYNPTR, Kind.RING_DYNPTR})
SLICE_KINDS = frozenset({Kind.SLICE, Kind.SLICE_OR_NULL})


class Pointer(NamedTuple):
    """A pointer; `map` names the map of those kinds that have one: `outer.inner` for any that is found in map `outer`.
    The id of a function is its first instruction. `size` is how many bytes a record or a slice has. `owner` is the name
    of the dynptr that a slice is of: it dies with it. `type` is the structure of the kernel that it points to."""

    kind: Kind
    offset: int = 0
    variable: Scalar = ZERO
    id: int = 0
    map: str | None = None
    size: int = 0
    owner: int = 0
    type: KernelType | None = None

    @property
    def base(self) -> int:
        """Where offsets are counted from in messages: r10 of the frame, or the region's start."""
        return -FRAME_DISTANCE * self.id if self.kind is Kind.STACK else 0

    @property
    def why_null(self) -> str:
        """For messages about a pointer that may be null."""
        return WHY_NULL[self.kind].format(map=self.map, type=self.type_name)

    @property
    def type_name(self) -> str:
        return self.type.name if self.type is not None else ""

    @property
    def least(self) -> int:
        """The smallest distance from the region's base."""
        return self.offset + self.variable.whole.smin

    @property
    def most(self) -> int:
        """The greatest distance from the region's base."""
        return self.offset + self.variable.whole.smax

    def __str__(self) -> str:
        text = self.kind.value.format(map=self.map, type=self.type_name)
        low, high = self.least - self.base, self.most - self.base
        if self.variable.constant is None:
            return f"{text}, {low} to {high} bytes from its start"
        return f"{text}, at {low:+d}" if low else text


Value: TypeAlias = Scalar | Pointer

# What a pointer into the packet is when the packet has moved: good for nothing but the distance to another one, which
# clang may compute when it is wanted, long after the packet was where they point to.
STALE = Pointer(Kind.STALE)


def is_lost(value: Value | None) -> bool:
    """Whether nothing was written there that may be read."""
    return value is None or (type(value) is Pointer and value.kind is Kind.STALE)


def shifted(variable: Scalar, distance: int) -> Scalar:
    """The variable part, moved by a constant."""
    return scalar.operate(AluOp.ADD, 64, variable, scalar.constant(distance)) if distance else variable


def describe(value: Value | None) -> str:
    """In words, for messages."""
    if value is None:
        return "nothing that may be read"
    return str(value)

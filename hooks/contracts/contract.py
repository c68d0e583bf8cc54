"""A hook's promise, stated once: what a program is given, what its answer means, which helpers it may call.

A context field has three facts that must not be confused:

    guest offset and size    what the program's bytecode says           xdp_md.data      4 bytes at 0
    host offset and size     where the value lives in this process      FrameContext     8 bytes at 24
    kind                     what the loaded value is to the verifier   start of the packet
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, TypeAlias


class FieldKind(Enum):
    """What a value loaded from the context is."""

    SCALAR = "scalar"
    PACKET_START = "start of the packet"
    PACKET_END = "end of the packet"
    PACKET_META = "start of the packet's metadata"
    APP_ID_START = "start of the application's path"
    APP_ID_END = "end of the application's path"
    SOCKET = "a socket"
    SOCKET_OR_NULL = "a socket, or null"
    SOCKET_COMMON_OR_NULL = "what every socket has, or null"
    TYPED = "a structure of the kernel"
    TYPED_OR_NULL = "a structure of the kernel, or null"
    TRUSTED = "a structure of the kernel, which is there while the program runs"
    TRUSTED_OR_NULL = "a structure of the kernel, which is there while the program runs, or null"
    TRACE_BUFFER = "what a tracepoint lets programs change"
    BUFFER_OR_NULL = "memory of a map's value, or null"
    READ_ONLY_BUFFER_OR_NULL = "memory of a map's key, or null"


class Answer(Enum):
    """What the number that a program returns means, whatever number the platform gives it. Every kind of hook has an
    enumeration of its own."""


class Verdict(Answer):
    """What becomes of a frame. The order is that of the counters."""

    ABORTED = "aborted"
    DROP = "drop"
    PASS = "pass"
    TX = "tx"
    REDIRECT = "redirect"


Fields: TypeAlias = Sequence[tuple[str, Any]]


class HostContext(ctypes.Structure):
    """What every run of a program needs, whatever its hook: the head of each context in this process's memory.

    `time_ns` is what the clocks' helpers answer where a run has a clock of its own (a replay). `processor_id` is the
    worker's number. `tail_calls` counts those of the run: a program that makes any sets it to 0 first. `trace` is the
    address of the memory for what a program prints, 0 while nobody reads it (helpers/trace.py). Each hook's own
    structure is derived from this one, so that its fields follow.
    """

    _fields_: ClassVar[Fields] = (
        ("time_ns", ctypes.c_uint64),
        ("random_state", ctypes.c_uint64),
        ("trace", ctypes.c_uint64),
        ("processor_id", ctypes.c_uint32),
        ("tail_calls", ctypes.c_uint32),
    )


@dataclass(frozen=True, slots=True)
class ContextField:
    """One field of a context. Offsets and sizes are in bytes; guest and host are both little endian.

    `reads` and `writes` are the sizes in which a program may access it, at multiples of themselves. Without any, it may
    be read in whatever part, and may not be written. `structure` is the number of the one that a pointer of the kernel
    points to, among the kernel's types.
    """

    name: str
    offset: int
    size: int
    host_offset: int
    host_size: int
    kind: FieldKind = FieldKind.SCALAR
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    structure: int = 0

    @classmethod
    def of(
        cls,
        structure: type[HostContext],
        name: str,
        offset: int,
        size: int,
        kind: FieldKind = FieldKind.SCALAR,
        *,
        host: str | None = None,
        reads: tuple[int, ...] = (),
        writes: tuple[int, ...] = (),
    ) -> ContextField:
        """The field that lives in the structure's field of the same name, or of the name `host`."""
        place = getattr(structure, host or name)
        host_size = size if kind is FieldKind.SCALAR else place.size
        return cls(name, offset, size, place.offset, host_size, kind, reads, writes)

    def may_read(self, offset: int, size: int) -> bool:
        """Whether a load of `size` bytes at `offset` of the context, which lies inside, is allowed."""
        return not self.reads or (size in self.reads and offset % size == 0)

    def may_write(self, offset: int, size: int) -> bool:
        """Whether a store of `size` bytes at `offset` of the context, which lies inside, is allowed."""
        return size in self.writes and offset % size == 0


@dataclass(frozen=True, slots=True)
class ContextLayout:
    """The structure that r1 points to when a program starts, as bytecode sees it."""

    name: str
    size: int
    fields: tuple[ContextField, ...]

    def field_at(self, offset: int, size: int) -> ContextField | None:
        """The field that an access of `size` bytes at `offset` reads exactly or, if a scalar, reads a part of."""
        for place in self.fields:
            inside = place.offset <= offset and offset + size <= place.offset + place.size
            if inside and (place.kind is FieldKind.SCALAR or (offset, size) == (place.offset, place.size)):
                return place
        return None


@dataclass(frozen=True, slots=True)
class Writable:
    """Bytes [low, high) of a structure of the kernel, whose number among the kernel's types is `structure`, that
    programs may write: from `low` on, or anywhere `inside`."""

    structure: int
    low: int
    high: int
    inside: bool = False

    def takes(self, structure: int, offset: int, size: int) -> bool:
        """Whether a store of `size` bytes there is one of those."""
        begins = self.low <= offset if self.inside else offset == self.low
        return structure == self.structure and begins and offset + size <= self.high


@dataclass(frozen=True, slots=True)
class HookPoint:
    """One place where programs run, on one platform.

    `host` is the context in this process's memory. `verdicts` maps the numbers that a program may return; a number
    outside of it is treated as `otherwise`, and the verifier refuses it unless the hook takes `any_return`.
    `families` names the groups of helpers (see `appliance.helpers`) that a program here may call; `helper_inputs` the
    fields of `host` that they answer from, beside the context's, and `helper_outputs` those that they write (as many
    bytes as the field of that name with `_size` behind it says). `defaults` are what fields hold if nobody says
    otherwise; the others hold 0. `attach_type` is the kernel's number of the place, for program types with several.
    Programs of a `sleepable` hook may wait, and what the kernel keeps for its readers may be gone behind that.
    `writable` is what may be written of the kernel's structures. Where a hook `ignores_return`, nobody looks at r0.
    `in_kernel` is the same place with what only a kernel has there, for programs that can be verified and not run here.
    """

    name: str
    platform: str
    program_type: int
    sections: tuple[str, ...]
    host: type[HostContext]
    context: ContextLayout
    verdicts: Mapping[int, Answer]
    otherwise: Answer
    families: frozenset[str]
    any_return: bool = False
    helper_inputs: tuple[str, ...] = ()
    helper_outputs: tuple[str, ...] = ()
    defaults: Mapping[str, int] = field(default_factory=dict)
    attach_type: int = 0
    runs_here: bool = True
    writes_packet: bool = True
    sleepable: bool = False
    writable: tuple[Writable, ...] = ()
    ignores_return: bool = False
    in_kernel: HookPoint | None = None

    @property
    def judges_frames(self) -> bool:
        """Whether its programs can stand between interfaces."""
        return isinstance(self.otherwise, Verdict)

    def answer(self, number: int) -> Answer:
        """What the low half of r0 means."""
        return self.verdicts.get(number, self.otherwise)

    def number(self, verdict: Answer) -> int:
        """The number that this platform gives to `verdict`. Raises KeyError if it has none."""
        for number, meaning in self.verdicts.items():
            if meaning is verdict:
                return number
        raise KeyError(verdict)

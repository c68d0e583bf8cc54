"""A hook's promise, stated once: what a program is given, what its answer means, which helpers it may call.

A context field has three facts that must not be confused:

    guest offset and size    what the program's bytecode says           xdp_md.data      4 bytes at 0
    host offset and size     where the value lives in this process      FrameContext     8 bytes at 0
    kind                     what the loaded value is to the verifier   start of the packet
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class FieldKind(Enum):
    """What a value loaded from the context is."""

    SCALAR = "scalar"
    PACKET_START = "start of the packet"
    PACKET_END = "end of the packet"
    PACKET_META = "start of the packet's metadata"


class Verdict(Enum):
    """What a hook does with the frame, whatever number the platform gives it. The order is that of the counters."""

    ABORTED = "aborted"
    DROP = "drop"
    PASS = "pass"
    TX = "tx"
    REDIRECT = "redirect"


@dataclass(frozen=True, slots=True)
class ContextField:
    """One field of a context. Offsets and sizes are in bytes."""

    name: str
    offset: int
    size: int
    host_offset: int
    host_size: int
    kind: FieldKind = FieldKind.SCALAR
    writable: bool = False


@dataclass(frozen=True, slots=True)
class ContextLayout:
    """The structure that r1 points to when a program starts, as bytecode sees it."""

    name: str
    size: int
    fields: tuple[ContextField, ...]

    def field_at(self, offset: int, size: int) -> ContextField | None:
        """The field that an access of `size` bytes at `offset` reads exactly or, if a scalar, reads a part of."""
        for field in self.fields:
            inside = field.offset <= offset and offset + size <= field.offset + field.size
            if inside and (field.kind is FieldKind.SCALAR or (offset, size) == (field.offset, field.size)):
                return field
        return None


@dataclass(frozen=True, slots=True)
class HookPoint:
    """One place where programs run, on one platform.

    `verdicts` maps the numbers that a program may return; a number outside of it is treated as `otherwise`.
    `families` names the groups of helpers (see `appliance.helpers`) that a program here may call.
    """

    name: str
    platform: str
    program_type: int
    sections: tuple[str, ...]
    context: ContextLayout
    verdicts: Mapping[int, Verdict]
    otherwise: Verdict
    families: frozenset[str]

    def number(self, verdict: Verdict) -> int:
        """The number that this platform gives to `verdict`. Raises KeyError if it has none."""
        for number, meaning in self.verdicts.items():
            if meaning is verdict:
                return number
        raise KeyError(verdict)

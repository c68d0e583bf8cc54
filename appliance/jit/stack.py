"""The stack of a subprogram, taken apart into the objects that its instructions use.

         -32        -28                 -16        -8          r10
          +----------+-------------------+----------+-----------+
          |          | key, given to a   |  r6,     |  value,   |
          |  unused  | helper: memory    |  spilled |  spilled  |
          +----------+-------------------+----------+-----------+
                           │                  └── LLVM: registers
                           └── LLVM: 12 bytes of the native stack

One buffer of 512 bytes would stay in memory whole as soon as one helper gets a pointer into it: LLVM can't know that
the helper keeps to the key. The verifier does know. So what overlaps becomes one object, each with a buffer of its own.
That needs the offset of every access; where one is missing, the stack is one object.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from appliance.ebpf.instructions import STACK_SIZE, Atomic, CallHelper, Load, Store
from appliance.ebpf.spec import MapSpec
from appliance.helpers.prototypes import PROTOTYPES, ArgumentKind
from appliance.ir import Code, Value
from appliance.verifier.program import Access, CallFacts, Region, VerifiedProgram

Extent: TypeAlias = tuple[int, int]  # [start, end) in bytes from r10: negative, and at most 0
WHOLE: tuple[Extent, ...] = ((-STACK_SIZE, 0),)
ALIGNMENT = 8
ACCESSES = (Load, Store, Atomic)

MEMORY_KINDS = frozenset(
    {
        ArgumentKind.MAP_KEY,
        ArgumentKind.MAP_VALUE,
        ArgumentKind.MAP_VALUE_OUT,
        ArgumentKind.READABLE,
        ArgumentKind.READABLE_OR_NULL,
        ArgumentKind.WRITABLE,
        ArgumentKind.PARTLY_WRITABLE,
        ArgumentKind.CHANGED,
        ArgumentKind.HEADER_20,
        ArgumentKind.HEADER_40,
        ArgumentKind.CHANGED_U32,
        ArgumentKind.WRITABLE_U64,
        ArgumentKind.PRINTED_ARRAY,
    }
)


class _OffsetUnknown(Exception):
    """Something may reach any byte of the stack."""


class Stack:
    """The objects of one subprogram in generated code. They start as zero if the program may read what it never wrote:
    a proved one doesn't, and 512 bytes are much to clear for every frame."""

    def __init__(self, code: Code, extents: Sequence[Extent], *, cleared: bool) -> None:
        self._code = code
        self._starts = [start for start, _ in extents]
        self._bases = [start - start % ALIGNMENT for start in self._starts]  # keeps the guest's alignment
        self._buffers = []
        for base, (_, end) in zip(self._bases, extents, strict=True):
            self._buffers.append(code.buffer(end - base, ALIGNMENT))
            if cleared:
                code.fill(self._buffers[-1], 0, end - base)
        whole = tuple(extents) == WHOLE
        self._end = code.at(self._buffers[0], STACK_SIZE) if whole else code.buffer(ALIGNMENT)

    def end(self) -> Value:
        """r10. If the stack is in pieces, a number that only pointers are made of which nobody follows."""
        return self._code.integer(self._end)

    def place(self, offset: int) -> Value:
        """The pointer to the byte at r10 + offset."""
        index = bisect_right(self._starts, offset) - 1
        return self._code.at(self._buffers[index], offset - self._bases[index])


def is_accounted_for(program: VerifiedProgram) -> bool:
    """Whether the verifier has seen every access: else nothing is known of the program, nor of what it reads."""
    operands = (index for index in program.facts.reachable if isinstance(program.spec.instructions[index], ACCESSES))
    return all(index in program.facts.accesses for index in operands)


def offsets_are_known(program: VerifiedProgram) -> bool:
    """Whether every access to the stack is at a known offset of its own frame (else each stack is WHOLE)."""
    try:
        list(_uses(program, program.facts.reachable))
    except _OffsetUnknown:
        return False
    return True


def stack_extents(program: VerifiedProgram, body: Iterable[int]) -> tuple[Extent, ...]:
    """The objects of the subprogram whose instructions `body` names, lowest first and without overlap."""
    merged: list[Extent] = []
    for start, end in sorted(_uses(program, body)):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _uses(program: VerifiedProgram, body: Iterable[int]) -> Iterator[Extent]:
    for index in body:
        instruction = program.spec.instructions[index]
        if isinstance(instruction, ACCESSES):
            yield from _extent(program.facts.accesses.get(index), instruction.size)
        elif isinstance(instruction, CallHelper):
            yield from _call_uses(program.facts.calls.get(index), program.maps)


def _call_uses(call: CallFacts | None, maps: Mapping[str, MapSpec]) -> Iterator[Extent]:
    if call is None:
        raise _OffsetUnknown
    spec = maps.get(call.map) if call.map is not None else None
    for kind, access in zip(PROTOTYPES[call.helper].arguments, call.arguments, strict=False):
        if kind in MEMORY_KINDS:
            yield from _extent(access, _size(kind, spec))


def _size(kind: ArgumentKind, spec: MapSpec | None) -> int | None:
    """The bytes that the helper may touch; None: up to the end of the stack."""
    if spec is None:
        return None
    return {
        ArgumentKind.MAP_KEY: spec.key_size,
        ArgumentKind.MAP_VALUE: spec.value_size,
        ArgumentKind.MAP_VALUE_OUT: spec.value_size,
    }.get(kind)


def _extent(access: Access | None, size: int | None) -> Iterator[Extent]:
    if access is None:
        raise _OffsetUnknown
    if access.region is Region.STACK:
        if access.offset is None:
            raise _OffsetUnknown
        yield access.offset, access.offset + size if size is not None else 0

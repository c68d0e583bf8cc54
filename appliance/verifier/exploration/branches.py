"""Where a branch leads, and what each side teaches about the values that it compares.

    number    against number       both ranges sharpen (`branches`), or a side is impossible
    packet    against `data_end`   on the path where the pointer is not past the end, its bytes are in the packet; on
                                   the other they are not. Compared once more, only one side is possible
    metadata  against `data`       the same for the metadata
    app id    against its end      the same for the path of the program that asks
    what may be null against 0     the pointer, with all its copies, becomes one that is not, or the number 0

Any other comparison of pointers teaches nothing: both ways are possible.
"""

from __future__ import annotations

from appliance.ebpf.isa.instructions import Branch, Register
from appliance.ebpf.isa.opcodes import Condition
from appliance.verifier.checks.operands import operand
from appliance.verifier.domains.comparisons import MIRRORED, OPPOSITE, refine
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import HELD_KINDS, NULLABLE, PACKET_START, ZERO, Kind, Pointer, Value
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.invalidation import give_back, replace_pointers
from appliance.verifier.state.state import State

# As in the Linux kernel (MAX_PACKET_OFF): no packet is longer, so no honest comparison needs more.
_FARTHEST_COMPARED = 0xFFFF

# How many bytes beyond the pointer's own offset are in the packet, if `pointer condition end` holds.
_PROVED: dict[Condition, int] = {Condition.LE: 0, Condition.LT: 1}

# What ends a memory that the context describes.
_ENDS: dict[Kind, Kind] = {Kind.PACKET: Kind.PACKET_END, Kind.APP_ID: Kind.APP_ID_END}

_NEVER_NULL = frozenset(
    {
        Kind.STACK,
        Kind.CONTEXT,
        Kind.PACKET,
        Kind.METADATA,
        Kind.MAP_VALUE,
        Kind.RECORD,
        Kind.SLICE,
        Kind.MAP_KEY,
        Kind.MAP,
        Kind.FUNCTION,
        Kind.TRUSTED,
        Kind.BUFFER,
        Kind.TRACE_BUFFER,
        Kind.READ_ONLY_BUFFER,
    }
)


def outcomes(environment: Environment, state: State, branch: Branch) -> tuple[State | None, State | None]:
    """The states that fall through and that jump; None for a side that is impossible. May reuse `state`."""
    dst = state.registers[branch.dst]
    source = operand(state, branch.source)
    assert dst is not None
    if type(dst) is Scalar and type(source) is Scalar:
        return _compare_numbers(state, branch, dst, source)
    proof = _packet_proof(branch.condition, dst, source)
    if proof is not None:
        return _compare_with_end(state, *proof)
    falls, jumps = state, state.copy()
    if branch.condition in (Condition.EQ, Condition.NE) and ZERO in (dst, source):
        pointer: Pointer = dst if type(dst) is Pointer else source  # type: ignore[assignment]
        null, value = (jumps, falls) if branch.condition is Condition.EQ else (falls, jumps)
        if pointer.kind in NULLABLE:
            replace_pointers(null, pointer.kind, pointer.id, ZERO)
            replace_pointers(value, pointer.kind, pointer.id, _checked(environment, pointer))
            if pointer.kind in HELD_KINDS:
                give_back(null, pointer.id)
                value.hold(pointer.id, value.references[pointer.id]._replace(may_be_null=False))
        elif pointer.kind in _NEVER_NULL:
            return (falls, None) if branch.condition is Condition.EQ else (None, jumps)
    return falls, jumps


def _checked(environment: Environment, pointer: Pointer) -> Pointer:
    """What it is, now that it is not null. It keeps its name if that is still needed: to give it back, or to tell its
    lock from others."""
    named = pointer.kind in HELD_KINDS or (pointer.map is not None and environment.map(pointer.map).lock is not None)
    return pointer._replace(kind=NULLABLE[pointer.kind], id=pointer.id if named else 0)


def _compare_numbers(state: State, branch: Branch, a: Scalar, b: Scalar) -> tuple[State | None, State | None]:
    refined = [refine(branch.condition, holds, branch.width, a, b) for holds in (False, True)]
    results: list[State | None] = [None, None]
    for outcome, pair in enumerate(refined):
        if pair is None:
            continue
        result = state.copy() if outcome == 0 and refined[1] is not None else state
        possible = pair[0] == a or result.learn(branch.dst, pair[0])
        if possible and type(branch.source) is Register and pair[1] != b:
            possible = result.learn(branch.source.number, pair[1])
        results[outcome] = result if possible else None
    return results[0], results[1]


def _packet_proof(condition: Condition, a: Value, b: Value) -> tuple[Pointer, Condition] | None:
    """The pointer that is compared with the end of its memory, and the condition with the pointer first."""
    if type(a) is not Pointer or type(b) is not Pointer or not {condition, OPPOSITE.get(condition)} & _PROVED.keys():
        return None
    if is_end_of(a, b):
        return a, condition
    return (b, MIRRORED[condition]) if is_end_of(b, a) else None


def is_end_of(pointer: Pointer, end: Pointer) -> bool:
    """Whether that is where the memory ends that the pointer points into."""
    if pointer.kind in _ENDS:
        return end.kind is _ENDS[pointer.kind]
    return pointer.kind is Kind.METADATA and end == Pointer(Kind.PACKET, id=PACKET_START)


def _compare_with_end(state: State, pointer: Pointer, condition: Condition) -> tuple[State | None, State | None]:
    """`pointer condition end`: where it does not hold, and where it does. Far pointers teach nothing, for they may have
    gone around the end of the address space."""
    if pointer.least < 0 or pointer.most > _FARTHEST_COMPARED:
        return state, state.copy()
    inside = condition in _PROVED
    length = pointer.offset + _PROVED[condition if inside else OPPOSITE[condition]]
    proved, missing = state.proved(pointer.id) >= length, state.missing(pointer.id) <= length
    within = None if missing else state
    beyond = None if proved else state.copy()
    if within is not None:
        within.learn_range(pointer.id, length)
    if beyond is not None:
        beyond.learn_missing(pointer.id, length)
    return (beyond, within) if inside else (within, beyond)

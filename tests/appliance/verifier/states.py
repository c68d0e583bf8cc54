"""Random states, for what must hold of every merge."""

from __future__ import annotations

from hypothesis import strategies as st

from appliance.ebpf.btf.kernel_types import KernelType
from appliance.verifier.domains import scalar
from appliance.verifier.domains.links import WHOLE, Link
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import STRUCTURES, Kind, Pointer, Value
from appliance.verifier.state.state import State

_EDGES = (0, 1, 7, 8, 255, 256, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, -1, -8, -(1 << 31))
_OFFSETS = (0, 4, 14, 20)
_NAMES = (1, 2, 3)


@st.composite
def numbers(draw: st.DrawFn) -> Scalar:
    """One number, a range, or any of a size."""
    low, high = sorted(draw(st.tuples(st.sampled_from(_EDGES), st.sampled_from(_EDGES))))
    return draw(st.sampled_from((scalar.constant(low), scalar.between(low, high), scalar.unknown(2), scalar.UNKNOWN)))


@st.composite
def pointers(draw: st.DrawFn) -> Pointer:
    """Into the packet, the stack, a map value or the kernel, some of which may be null."""
    offset, name = draw(st.sampled_from(_OFFSETS)), draw(st.sampled_from(_NAMES))
    variable = draw(st.sampled_from((scalar.constant(0), scalar.between(0, 60))))
    return draw(
        st.sampled_from(
            (
                Pointer(Kind.CONTEXT),
                Pointer(Kind.PACKET, offset),
                Pointer(Kind.PACKET, offset, variable, name),
                Pointer(Kind.PACKET_END),
                Pointer(Kind.STACK, -32),
                Pointer(Kind.MAP_VALUE, offset, variable, name, map="m"),
                Pointer(Kind.MAP_VALUE, offset, variable, 0, map="g"),  # without a lock: no name
                Pointer(Kind.MAP_VALUE_OR_NULL, id=name, map="m"),
                *(Pointer(kind, offset, type=KernelType(number, "s")) for kind in STRUCTURES for number in (5, 6)),
                Pointer(Kind.TRUSTED_OR_NULL, id=name, type=KernelType(5, "s")),
                Pointer(Kind.TYPED_OR_NULL, id=name + 10, type=KernelType(6, "s")),
                Pointer(Kind.ADDRESS),
            )
        )
    )


def values() -> st.SearchStrategy[Value]:
    return st.one_of(numbers(), numbers(), pointers())


@st.composite
def states(draw: st.DrawFn) -> State:
    """The registers, a few stores to the stack, what is known of the packet, and numbers that are the same."""
    made = State.entry()
    for register, value in draw(st.dictionaries(st.integers(0, 9), values())).items():
        made.set(register, value)
    for offset, size, value in draw(st.lists(st.tuples(st.integers(-4, -1), st.sampled_from((1, 2, 4, 8)), values()))):
        if size == 8 or isinstance(value, Scalar):
            made.store(8 * offset, size, value if size == 8 else scalar.truncate(value, size))
    for packet, length in draw(st.dictionaries(st.sampled_from((0, *_NAMES)), st.sampled_from(_OFFSETS))).items():
        made.learn_range(packet, length)
    for packet, length in draw(st.dictionaries(st.sampled_from((0, *_NAMES)), st.sampled_from(_OFFSETS))).items():
        made.learn_missing(packet, length + 40)
    for one, other, name in draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from(_NAMES)))):
        if one != other and isinstance(made.registers[one], Scalar):
            made.set(other, made.registers[one])
            for place in (one, other):
                made.link(place, Link(name, 0, WHOLE))
    return made

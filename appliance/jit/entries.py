"""What loops are given of the programs that they call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from llvmlite import ir

from appliance.ebpf.isa.instructions import Atomic, Store
from appliance.helpers.prototypes import PROTOTYPES, ArgumentKind
from appliance.jit.program import makes_tail_calls
from appliance.verifier.program import CallFacts, Region, VerifiedProgram

_STORE_BYTES = "xdp_store_bytes"
_WRITTEN = frozenset(
    {
        ArgumentKind.WRITABLE,
        ArgumentKind.PARTLY_WRITABLE,
        ArgumentKind.WRITABLE_OR_NULL,
        ArgumentKind.WRITABLE_U64,
        ArgumentKind.CHANGED,
        ArgumentKind.CHANGED_U32,
        ArgumentKind.MAP_VALUE_OUT,
    }
)


class Entries(dict[str, ir.Function]):
    """The functions that runs of the programs begin with, `i64 (ptr HostContext)`, by name. `writers` are the names of
    those programs that may change bytes of a frame. Whoever builds the module uses it, in one thread."""

    def __init__(self, functions: Mapping[str, ir.Function], writers: Iterable[str]) -> None:
        super().__init__(functions)
        self.writers = frozenset(writers)


def may_write_frames(program: VerifiedProgram) -> bool:
    """Whether any instruction that can run may change a byte of the frame; what makes tail calls may, by others."""
    facts = program.facts
    stores = (
        facts.accesses.get(index)
        for index, instruction in enumerate(program.spec.instructions)
        if index in facts.reachable and isinstance(instruction, Store | Atomic)
    )
    return (
        makes_tail_calls(program)
        or any(access is None or access.region is Region.PACKET for access in stores)
        or any(map(_may_write_frame, facts.calls.values()))
    )


def _may_write_frame(call: CallFacts) -> bool:
    """Whether a helper writes into the frame, or, as paths disagree on where to, may do so."""
    if call.helper == _STORE_BYTES:
        return True
    kinds = PROTOTYPES[call.helper].arguments
    return any(
        kind in _WRITTEN and (access is None or access.region is Region.PACKET)
        for kind, access in zip(kinds, call.arguments, strict=False)
    )

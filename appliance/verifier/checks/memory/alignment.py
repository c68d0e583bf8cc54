"""What accesses demand that others must see whole or in order: a place that is a multiple of their size."""

from __future__ import annotations

from appliance.ebpf.isa.instructions import Atomic, Load, Store
from appliance.verifier.domains.values import Kind, Pointer
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation


def demand_order(pointer: Pointer, instruction: Load | Store, verb: str) -> None:
    """A load-acquire or a store-release: what it orders is memory that others see, or the stack."""
    if pointer.kind not in (Kind.STACK, Kind.MAP_VALUE, Kind.RECORD):
        raise Violation(
            Rejection.ATOMIC_ACCESS,
            f"{verb} {pointer.kind.value} in order, which only plain loads and stores may access",
            "use plain ones: order is for memory that several processors have, such as a map's value",
        )
    demand_alignment(pointer, instruction, f"{verb} in order")


def demand_alignment(pointer: Pointer, instruction: Load | Store | Atomic, verb: str) -> None:
    """The place is a multiple of the access's size, as an atomic access wants it."""
    fixed = pointer.offset + instruction.offset
    if (fixed + pointer.variable.bits.value) % instruction.size or pointer.variable.bits.mask % instruction.size:
        raise Violation(
            Rejection.ALIGNMENT,
            f"{verb} {instruction.size} bytes at a place that may not be a multiple of {instruction.size}",
            "align the counter: put 8-byte members first, and do not pack the structure",
        )

"""What must be given back, and when: records, dynptrs and sockets, and a lock."""

from __future__ import annotations

from appliance.ebpf.isa.instructions import slot_numbers
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State


def demand_no_record(environment: Environment, state: State, action: str) -> None:
    """Violates if a record is neither submitted nor discarded yet, or a socket not released."""
    for reference in state.references.values():
        if reference.map is None:
            raise Violation(
                Rejection.UNRELEASED_REFERENCE,
                f"{action} with a socket that is not released; it was looked up {_place(environment, reference.at)}",
                "call sk_release on every path on which there is a socket, those of errors included",
            )
        raise Violation(
            Rejection.UNRELEASED_REFERENCE,
            f"{action} with a {'dynptr' if reference.dynptr else 'record'} of map `{reference.map}` that is neither "
            f"submitted nor discarded; it was reserved {_place(environment, reference.at)}",
            "call ringbuf_submit_dynptr or ringbuf_discard_dynptr on every path, those without room for it included"
            if reference.dynptr
            else "call ringbuf_submit or ringbuf_discard on every path on which there is a record, those of errors "
            "included",
        )


def demand_no_lock(environment: Environment, state: State, action: str) -> None:
    """Violates if a lock is held."""
    if state.lock is not None:
        raise Violation(
            Rejection.LOCK_BALANCE,
            f"{action} while it holds the lock of a value of map `{state.lock.map}`, "
            f"taken {_place(environment, state.lock.at)}",
            "call spin_unlock first: nothing but loads, stores and arithmetic may stand between the two",
        )


def _place(environment: Environment, index: int) -> str:
    line = environment.spec.line_of(index)
    return f"at {line}" if line is not None else f"at slot {slot_numbers(environment.spec.instructions)[index]}"

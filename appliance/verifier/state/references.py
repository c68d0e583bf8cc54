"""What a program holds on its way and must give back: records that it reserved, sockets that it found, and a lock.

A reference has a name, which every pointer to what it is about carries as its `id`: giving it back makes them all dead.
States that hold different things are never joined (`explore`): what one path must give back, the other must not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from appliance.ebpf.isa.instructions import slot_numbers
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation

if TYPE_CHECKING:
    from appliance.verifier.state.environment import Environment
    from appliance.verifier.state.state import State


class Reference(NamedTuple):
    """A record of map `map`, reserved by the instruction `at`, or, without a map, a socket that was looked up there.
    While it `may_be_null`, it may be none at all. With a `dynptr`, it must be given back even then."""

    at: int
    map: str | None
    may_be_null: bool = True
    dynptr: bool = False


class Lock(NamedTuple):
    """The lock in the value of map `map` that pointers of the id `id` point to, taken by the instruction `at`."""

    at: int
    map: str
    id: int


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

"""What a helper call demands: that every argument is what the prototype says.

What is demanded of one register is in `arguments`; what the call does, in `effects`.
"""

from __future__ import annotations

from appliance.ebpf.isa.instructions import CallHelper
from appliance.helpers.prototypes import ArgumentKind, HelperPrototype
from appliance.verifier.checks.calls.argument import Argument
from appliance.verifier.checks.calls.arguments import ARGUMENT_RULES
from appliance.verifier.checks.calls.callable_helpers import prototype_of
from appliance.verifier.checks.calls.formats import Call, is_printed
from appliance.verifier.checks.calls.results import SIZES
from appliance.verifier.checks.references import demand_no_lock, demand_no_record
from appliance.verifier.domains.values import is_lost
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State


def demand_call(environment: Environment, state: State, instruction: CallHelper) -> None:
    """Every argument is what the prototype says."""
    prototype = prototype_of(environment, instruction)
    if prototype.name == "tail_call":
        demand_no_record(environment, state, "leaves the program")
    if prototype.name != "spin_unlock":
        demand_no_lock(environment, state, f"calls `{prototype.name}`")
    for register, kind in enumerate(prototype.arguments, 1):
        value = state.registers[register]
        if kind is ArgumentKind.PRINTED and not is_printed(Call(environment, state, prototype), register):
            continue
        if value is None or is_lost(value):
            raise Violation(
                Rejection.UNINITIALISED_REGISTER,
                f"calls `{prototype.name}` with nothing in r{register}, which must be {kind.value}",
                "a helper call destroys r1 to r5: load the argument again",
                registers=(register,),
            )
        try:
            ARGUMENT_RULES[kind](Argument(environment, state, prototype, register, kind, value))
        except Violation as violation:
            violation.registers = violation.registers or _of_argument(prototype, register)
            raise


def _of_argument(prototype: HelperPrototype, register: int) -> tuple[int, ...]:
    """The register of an argument and, behind memory, that of its size."""
    sized = prototype.arguments[register : register + 1]
    return (register, register + 1) if sized and sized[0] in SIZES else (register,)

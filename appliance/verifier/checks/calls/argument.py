"""One argument of a helper call, and what every rule about arguments needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from appliance.ebpf.spec import MapSpec
from appliance.helpers.prototypes import ArgumentKind, HelperPrototype
from appliance.verifier.checks.memory.access import demand_access
from appliance.verifier.checks.memory.requests import Purpose
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import NULLABLE, PACKET_KINDS, ZERO, Kind, Pointer, Value
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State

LARGEST = 1 << 29  # bytes of memory that a size may speak of


class Argument:
    """One argument of one call. For one thread, that of the proof."""

    __slots__ = ("environment", "kind", "prototype", "register", "state", "value")

    def __init__(
        self,
        environment: Environment,
        state: State,
        prototype: HelperPrototype,
        register: int,
        kind: ArgumentKind,
        value: Value,
    ) -> None:
        self.environment = environment
        self.state = state
        self.prototype = prototype
        self.register = register
        self.kind = kind
        self.value = value

    def refuse(self, hint: str | None = None) -> Violation:
        may_be_null = type(self.value) is Pointer and self.value.kind in NULLABLE
        return Violation(
            Rejection.NULL_POINTER if may_be_null else Rejection.HELPER_ARGUMENT,
            f"calls `{self.prototype.name}` with r{self.register} = {self.value}, but it must be {self.kind.value}",
            hint,
        )

    def map(self) -> MapSpec:
        """The map that the call is about."""
        held = self.state.registers[self.prototype.map_register]
        if type(held) is Pointer and held.kind is Kind.MAP_OR_NULL:
            raise self.refuse("check it first: `if (!map) return …`")
        if type(held) is not Pointer or held.kind is not Kind.MAP or held.map is None:
            raise self.refuse("pass the address of a map that is declared in section .maps")
        return self.environment.map(held.map)


Rule: TypeAlias = Callable[[Argument], None]


def memory_rule(size: Callable[[Argument], int], purpose: Purpose) -> Rule:
    """Memory of a size that the argument's surroundings tell."""

    def rule(argument: Argument) -> None:
        if type(argument.value) is not Pointer:
            raise argument.refuse("pass the address of a local variable, of packet bytes or of a map value")
        if argument.prototype.moves_packet and argument.value.kind in PACKET_KINDS:
            raise argument.refuse("the helper may move the packet: copy the bytes to the stack first")
        demand_access(argument.environment, argument.state, argument.register, 0, size(argument), purpose)

    return rule


def nothing_or(rule: Rule) -> Rule:
    """Memory, or null and the size 0."""

    def either(argument: Argument) -> None:
        if argument.value != ZERO:
            rule(argument)
        elif argument.state.registers[argument.register + 1] != ZERO:
            raise argument.refuse("with null, the size must be the constant 0")

    return either


def size_behind(argument: Argument) -> int:
    """The greatest size that the next register may hold."""
    size = argument.state.registers[argument.register + 1]
    return size.whole.umax if type(size) is Scalar and size.whole.umax < LARGEST else 0  # its own rule refuses others


def is_nullable(value: Value) -> bool:
    """Whether it must be checked first."""
    return type(value) is Pointer and value.kind in NULLABLE

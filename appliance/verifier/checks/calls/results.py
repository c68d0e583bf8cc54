"""What r0 holds behind a helper call: a table by what the prototype returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from appliance.ebpf.map_types import MapType
from appliance.helpers.kernel.prototypes import STRUCTURES_GIVEN
from appliance.helpers.prototypes import ArgumentKind, HelperPrototype, ReturnKind
from appliance.helpers.redirect_map import ACTION_MASK, known_flags
from appliance.helpers.redirect_map import KINDS as REDIRECTION_KINDS
from appliance.verifier.checks.calls.argument import LARGEST
from appliance.verifier.checks.calls.map_arguments import SOCKET_MAPS
from appliance.verifier.checks.kernel_structures import named_structure
from appliance.verifier.domains import scalar
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import NULLABLE, Kind, Pointer, Value
from appliance.verifier.state.environment import Environment

Given: TypeAlias = tuple[Value | None, ...]


_Return: TypeAlias = Callable[[Environment, HelperPrototype, str | None, Given], Value | None]


def _number(environment: Environment, prototype: HelperPrototype, map_: str | None, given: Given) -> Value:
    if prototype.name in LENGTHS:
        size = given[1] if prototype.arguments[1] in SIZES else given[2]
        assert type(size) is Scalar
        return scalar.between(-MAX_ERRNO, size.whole.umax)
    low, high = RESULTS.get(prototype.name, (None, None))
    return scalar.UNKNOWN if low is None or high is None else scalar.between(low, high)


def _verdict(environment: Environment, prototype: HelperPrototype, map_: str | None, given: Given) -> Value:
    return any_verdict(environment)


def any_verdict(environment: Environment) -> Scalar:
    """What a program of the hook may answer."""
    hook = environment.spec.hook
    return scalar.UNKNOWN if hook.any_return else scalar.between(min(hook.verdicts), max(hook.verdicts))


def _map_value_or_null(environment: Environment, prototype: HelperPrototype, map_: str | None, given: Given) -> Value:
    if map_ is not None and environment.map(map_).type in SOCKET_MAPS:
        return Pointer(Kind.HELD_SOCKET_OR_NULL, id=environment.fresh())
    inner = environment.map(map_).inner if map_ is not None else None
    if inner is not None:
        return Pointer(Kind.MAP_OR_NULL, id=environment.fresh(), map=inner.name)
    return Pointer(Kind.MAP_VALUE_OR_NULL, id=environment.fresh(), map=map_)


def looked_up(environment: Environment, map_: str) -> Pointer:
    """The value of an entry that was found. If it has a lock it has a name of its own: another entry's lock is another
    one."""
    name = environment.fresh() if environment.map(map_).lock is not None else 0
    return Pointer(Kind.MAP_VALUE, id=name, map=map_)


def _redirection(environment: Environment, prototype: HelperPrototype, map_: str | None, given: Given) -> Value:
    """The flags' action, 0 for wrong flags, or REDIRECT; with a map that is always empty, never REDIRECT."""
    flags = given[2]
    action = scalar.between(0, ACTION_MASK)
    if type(flags) is Scalar and flags.constant is not None:
        known = environment.map(map_).type if map_ is not None else MapType.DEVMAP
        action = scalar.constant(flags.constant & ACTION_MASK if not flags.constant & ~known_flags(known) else 0)
        if known not in REDIRECTION_KINDS:
            return action
    return scalar.between(action.whole.umin, max(environment.spec.hook.verdicts))


def _record_or_null(environment: Environment, prototype: HelperPrototype, map_: str | None, given: Given) -> Value:
    size = given[1]
    assert type(size) is Scalar and size.constant is not None
    return Pointer(Kind.RECORD_OR_NULL, id=environment.fresh(), map=map_, size=size.constant)


def _map_value(environment: Environment, prototype: HelperPrototype, map_: str | None, given: Given) -> Value:
    return Pointer(Kind.MAP_VALUE, map=map_)


def _nullable(kind: Kind) -> _Return:
    """A pointer of that kind, which has a name of its own until it is checked."""

    def returns(environment: Environment, prototype: HelperPrototype, map_: str | None, given: Given) -> Value:
        return Pointer(kind, id=environment.fresh())

    return returns


def _structure(kind: Kind) -> _Return:
    """A pointer of that kind to the structure of the kernel that the helper gives."""

    def returns(environment: Environment, prototype: HelperPrototype, map_: str | None, given: Given) -> Value:
        name = environment.fresh() if kind in NULLABLE else 0
        return Pointer(kind, id=name, type=named_structure(environment, STRUCTURES_GIVEN[prototype.name]))

    return returns


def _slice_or_null(environment: Environment, prototype: HelperPrototype, map_: str | None, given: Given) -> Value:
    size = given[2]
    assert type(size) is Scalar and size.constant is not None
    return Pointer(Kind.SLICE_OR_NULL, id=environment.fresh(), size=size.constant)


def _nothing(environment: Environment, prototype: HelperPrototype, map_: str | None, given: Given) -> None:
    return None


# What r0 holds after the call; the last arguments are the map that the helper worked on, and r1 to r5.
RETURNS: dict[ReturnKind, _Return] = {
    ReturnKind.SCALAR: _number,
    ReturnKind.VERDICT: _verdict,
    ReturnKind.REDIRECTION: _redirection,
    ReturnKind.MAP_VALUE_OR_NULL: _map_value_or_null,
    ReturnKind.RECORD_OR_NULL: _record_or_null,
    ReturnKind.MAP_VALUE: _map_value,
    ReturnKind.SOCKET_OR_NULL: _nullable(Kind.SOCKET_OR_NULL),
    ReturnKind.TCP_SOCKET_OR_NULL: _nullable(Kind.TCP_SOCKET_OR_NULL),
    ReturnKind.HELD_SOCKET_OR_NULL: _nullable(Kind.HELD_SOCKET_OR_NULL),
    ReturnKind.HELD_SOCKET_COMMON_OR_NULL: _nullable(Kind.HELD_SOCKET_COMMON_OR_NULL),
    ReturnKind.SLICE_OR_NULL: _slice_or_null,
    ReturnKind.STRUCTURE: _structure(Kind.TYPED),
    ReturnKind.STRUCTURE_OR_NULL: _structure(Kind.TYPED_OR_NULL),
    ReturnKind.TRUSTED_STRUCTURE: _structure(Kind.TRUSTED),
    ReturnKind.NOTHING: _nothing,
}


# Helpers that answer how many bytes they wrote, no more than they were given, or an error: what the kernel's verifier
# knows of them, too (do_refine_retval_range of kernel/bpf/verifier.c).
LENGTHS = frozenset({"get_stack", "get_task_stack", "probe_read_str", "probe_read_kernel_str", "probe_read_user_str"})


MAX_ERRNO = 4095


SIZES = frozenset({ArgumentKind.SIZE, ArgumentKind.SIZE_OR_ZERO})


# Results that are known to lie in a range (include/uapi/linux/bpf.h, the comments of each helper).
RESULTS: dict[str, tuple[int, int]] = {
    "get_prandom_u32": (0, (1 << 32) - 1),
    "get_smp_processor_id": (0, (1 << 31) - 1),
    "xdp_get_buff_len": (0, (1 << 32) - 1),
    "strnlen_s": (0, LARGEST),
}

"""Helper calls: every argument is what the prototype says, and what remains afterwards.

What a call demands of one register is in `arguments`; what r0 holds then, in RETURNS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from appliance.ebpf.isa.instructions import CallHelper
from appliance.ebpf.spec import MapType
from appliance.helpers.kernel.groups import callable_names
from appliance.helpers.kernel.prototypes import EVERY_PROTOTYPE, STRUCTURES_GIVEN
from appliance.helpers.later import LATER
from appliance.helpers.prototypes import ArgumentKind, HelperPrototype, ReturnKind
from appliance.helpers.redirections import ACTION_MASK, known_flags
from appliance.helpers.redirections import KINDS as REDIRECTION_KINDS
from appliance.helpers.refusals import refusal_at
from appliance.verifier.checks.argument import LARGEST, Argument
from appliance.verifier.checks.arguments import ARGUMENT_RULES
from appliance.verifier.checks.formats import Call, is_printed, text_of
from appliance.verifier.checks.kernel_structures import named_structure
from appliance.verifier.checks.map_arguments import SOCKET_MAPS
from appliance.verifier.domains import scalar
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import HELD_KINDS, NULLABLE, REGIONS, Kind, Pointer, Value, is_lost
from appliance.verifier.program import Access, CallFacts
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment, access_of
from appliance.verifier.state.references import Lock, Reference, demand_no_lock, demand_no_record
from appliance.verifier.state.state import State
from hooks.contracts.contract import HookPoint

# What a hook must have for the helpers of a family.
FAMILY_HINTS: dict[str, str] = {
    "xdp": "it works on a frame: programs in section `xdp` have one",
    "task": "it asks about the process that makes a call: programs see one where a socket is bound or connected",
    "socket": "it asks about a socket: programs in sections `bind`, `cgroup/…` and `sockops` have one",
    "sock_addr": "it works on a connection that is being made: programs in sections `cgroup/…` see one",
    "sock_ops": "it asks about a connection: programs in section `sockops` see one",
}


def prototype_of(environment: Environment, instruction: CallHelper) -> HelperPrototype:
    """The helper's prototype. Violates if the platform, the table or the hook does not have it."""
    hook = environment.spec.hook
    refusal = refusal_at(hook, instruction.helper) if hook.runs_here else None
    if refusal is not None:
        raise Violation(
            Rejection.HELPER_UNKNOWN,
            f"calls helper {refusal.name}, which has no meaning here: {refusal.reason}",
            "docs/helpers.md says which helpers there are",
            unsupported=True,
        )
    name = environment.platform.helpers.get(instruction.helper)
    prototype = EVERY_PROTOTYPE.get(name) if name is not None else None
    if prototype is None:
        raise Violation(
            Rejection.HELPER_UNKNOWN,
            f"calls helper {name or LATER[hook.platform].get(instruction.helper, instruction.helper)}, "
            "which is not supported yet",
            f"docs/helpers.md says which helpers hook `{hook.name}` of platform `{hook.platform}` has",
            unsupported=True,
        )
    if not _may_call(hook, prototype):
        raise Violation(
            Rejection.HELPER_OF_OTHER_HOOK,
            f"calls `{name}`, which programs of hook `{hook.name}` may not call",
            FAMILY_HINTS.get(prototype.family),
        )
    return prototype


def _may_call(hook: HookPoint, prototype: HelperPrototype) -> bool:
    return prototype.family in hook.families if hook.runs_here else prototype.name in callable_names(hook)


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
    return (register, register + 1) if sized and sized[0] in _SIZES else (register,)


def apply_call(environment: Environment, state: State, index: int, instruction: CallHelper) -> None:
    """What the call does: memory that it writes, r1 to r5 lost, packet pointers dead if it moves them, r0 set."""
    prototype = prototype_of(environment, instruction)
    environment.facts.call(index, _facts(environment, state, prototype))
    name = _map_name(state, prototype)
    for register, kind in enumerate(prototype.arguments, 1):
        if kind in WRITTEN:
            _write(state, state.registers[register], WRITTEN[kind](state, register))
        elif kind is ArgumentKind.MAP_VALUE_OUT and name is not None:
            _write(state, state.registers[register], scalar.constant(environment.map(name).value_size))
        elif kind is ArgumentKind.NEW_DYNPTR:
            _make_dynptr(environment, state, index, state.registers[register], name)
    given = tuple(state.registers[1:6])
    dynptr = _dynptr_of(state, given[0])
    for register in range(6):
        state.set(register, None)
    if prototype.moves_packet:
        state.forget_packet()
    _change_holdings(state, index, prototype, given, dynptr)
    result = RETURNS[prototype.result](environment, prototype, name, given)
    if type(result) is Pointer and result.kind is Kind.SLICE_OR_NULL and dynptr is not None:
        result = result._replace(owner=dynptr.id)
    state.set(0, result)
    if type(result) is Pointer and result.kind in HELD_KINDS:
        state.hold(result.id, Reference(index, result.map))


def _make_dynptr(environment: Environment, state: State, index: int, place: Value | None, ring: str | None) -> None:
    """One that is about memory of the ring buffer, which must be given back whether there was room or not, or of a map
    value."""
    assert type(place) is Pointer
    dynptr = Pointer(Kind.DYNPTR if ring is None else Kind.RING_DYNPTR, id=environment.fresh(), map=ring)
    state.put_dynptr(place.least, dynptr)
    if ring is not None:
        state.hold(dynptr.id, Reference(index, ring, may_be_null=False, dynptr=True))


def _dynptr_of(state: State, place: Value | None) -> Pointer | None:
    """The dynptr that is there."""
    return state.dynptr(place.least) if type(place) is Pointer and place.kind is Kind.STACK else None


def _change_holdings(
    state: State, index: int, prototype: HelperPrototype, given: _Given, dynptr: Pointer | None
) -> None:
    """Records, dynptrs and sockets are given back, a lock is taken or let go."""
    if ArgumentKind.RING_DYNPTR in prototype.arguments and dynptr is not None:
        state.give_back(dynptr.id)
        return
    first = given[0]
    if type(first) is Pointer and ArgumentKind.HELD_SOCKET in prototype.arguments:
        state.give_back(first.id)
        state.forget_lent_sockets()
        return
    if type(first) is not Pointer or first.map is None:
        return
    if ArgumentKind.RECORD in prototype.arguments:
        state.give_back(first.id)
    elif prototype.name == "spin_lock":
        state.lock = Lock(index, first.map, first.id)
    elif prototype.name == "spin_unlock":
        state.lock = None


def _number(environment: Environment, prototype: HelperPrototype, map_: str | None, given: _Given) -> Value:
    if prototype.name in LENGTHS:
        size = given[1] if prototype.arguments[1] in _SIZES else given[2]
        assert type(size) is Scalar
        return scalar.between(-MAX_ERRNO, size.whole.umax)
    low, high = RESULTS.get(prototype.name, (None, None))
    return scalar.UNKNOWN if low is None or high is None else scalar.between(low, high)


def _verdict(environment: Environment, prototype: HelperPrototype, map_: str | None, given: _Given) -> Value:
    return any_verdict(environment)


def any_verdict(environment: Environment) -> Scalar:
    """What a program of the hook may answer."""
    hook = environment.spec.hook
    return scalar.UNKNOWN if hook.any_number else scalar.between(min(hook.verdicts), max(hook.verdicts))


def _map_value_or_null(environment: Environment, prototype: HelperPrototype, map_: str | None, given: _Given) -> Value:
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


def _redirection(environment: Environment, prototype: HelperPrototype, map_: str | None, given: _Given) -> Value:
    """The flags' action, 0 for wrong flags, or REDIRECT; with a map that is always empty, never REDIRECT."""
    flags = given[2]
    action = scalar.between(0, ACTION_MASK)
    if type(flags) is Scalar and flags.constant is not None:
        known = environment.map(map_).type if map_ is not None else MapType.DEVMAP
        action = scalar.constant(flags.constant & ACTION_MASK if not flags.constant & ~known_flags(known) else 0)
        if known not in REDIRECTION_KINDS:
            return action
    return scalar.between(action.whole.umin, max(environment.spec.hook.verdicts))


def _record_or_null(environment: Environment, prototype: HelperPrototype, map_: str | None, given: _Given) -> Value:
    size = given[1]
    assert type(size) is Scalar and size.constant is not None
    return Pointer(Kind.RECORD_OR_NULL, id=environment.fresh(), map=map_, size=size.constant)


def _map_value(environment: Environment, prototype: HelperPrototype, map_: str | None, given: _Given) -> Value:
    return Pointer(Kind.MAP_VALUE, map=map_)


def _nullable(kind: Kind) -> _Return:
    """A pointer of that kind, which has a name of its own until it is checked."""

    def returns(environment: Environment, prototype: HelperPrototype, map_: str | None, given: _Given) -> Value:
        return Pointer(kind, id=environment.fresh())

    return returns


def _structure(kind: Kind) -> _Return:
    """A pointer of that kind to the structure of the kernel that the helper gives."""

    def returns(environment: Environment, prototype: HelperPrototype, map_: str | None, given: _Given) -> Value:
        name = environment.fresh() if kind in NULLABLE else 0
        return Pointer(kind, id=name, type=named_structure(environment, STRUCTURES_GIVEN[prototype.name]))

    return returns


def _slice_or_null(environment: Environment, prototype: HelperPrototype, map_: str | None, given: _Given) -> Value:
    size = given[2]
    assert type(size) is Scalar and size.constant is not None
    return Pointer(Kind.SLICE_OR_NULL, id=environment.fresh(), size=size.constant)


def _nothing(environment: Environment, prototype: HelperPrototype, map_: str | None, given: _Given) -> None:
    return None


_Given: TypeAlias = tuple[Value | None, ...]
_Return: TypeAlias = Callable[[Environment, HelperPrototype, str | None, _Given], Value | None]

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


def _less_of_both(state: State, register: int) -> Value | None:
    """The memory's size or that of the source behind it, if the same one is known to be the smaller; else a range."""
    size, source = state.registers[register + 1], state.registers[register + 3]
    if type(size) is not Scalar or type(source) is not Scalar:
        return size
    if size.constant is not None and source.constant is not None:
        return size if size.constant <= source.constant else source
    return scalar.between(0, size.whole.umax)


# The memory that a call writes, as the size of what becomes a number of the helper's.
WRITTEN: dict[ArgumentKind, Callable[[State, int], Value | None]] = {
    ArgumentKind.WRITABLE: lambda state, register: state.registers[register + 1],
    ArgumentKind.PARTLY_WRITABLE: _less_of_both,
    ArgumentKind.CHANGED: lambda state, register: state.registers[register + 1],
    ArgumentKind.CHANGED_U32: lambda state, register: scalar.constant(4),
    ArgumentKind.WRITABLE_OR_NULL: lambda state, register: state.registers[register + 1],
    ArgumentKind.WRITABLE_U64: lambda state, register: scalar.constant(8),
}

# Helpers that answer how many bytes they wrote, no more than they were given, or an error: what the kernel's verifier
# knows of them, too (do_refine_retval_range of kernel/bpf/verifier.c).
LENGTHS = frozenset({"get_stack", "get_task_stack", "probe_read_str", "probe_read_kernel_str", "probe_read_user_str"})
MAX_ERRNO = 4095
_SIZES = frozenset({ArgumentKind.SIZE, ArgumentKind.SIZE_OR_ZERO})

# Results that are known to lie in a range (include/uapi/linux/bpf.h, the comments of each helper).
RESULTS: dict[str, tuple[int, int]] = {
    "get_prandom_u32": (0, (1 << 32) - 1),
    "get_smp_processor_id": (0, (1 << 31) - 1),
    "xdp_get_buff_len": (0, (1 << 32) - 1),
    "strnlen_s": (0, LARGEST),
}


def written_arguments(environment: Environment, instruction: CallHelper) -> list[int]:
    """The registers that point to memory which the call writes."""
    kinds = enumerate(prototype_of(environment, instruction).arguments, 1)
    return [register for register, kind in kinds if kind in WRITTEN or kind in _FILLED]


_FILLED = frozenset({ArgumentKind.MAP_VALUE_OUT, ArgumentKind.NEW_DYNPTR, ArgumentKind.RING_DYNPTR})


def _map_name(state: State, prototype: HelperPrototype) -> str | None:
    """The map that the call is about: one that it is given, or the one that a record or a dynptr belongs to."""
    if ArgumentKind.RING_DYNPTR in prototype.arguments:
        dynptr = _dynptr_of(state, state.registers[1])
        return dynptr.map if dynptr is not None else None
    about = 1 if ArgumentKind.RECORD in prototype.arguments else prototype.map_register
    held = state.registers[about] if about else None
    return held.map if type(held) is Pointer else None


def _facts(environment: Environment, state: State, prototype: HelperPrototype) -> CallFacts:
    accesses: list[Access | None] = []
    for register in range(1, len(prototype.arguments) + 1):
        value = state.registers[register]
        known = type(value) is Pointer and value.kind in REGIONS
        accesses.append(access_of(value, 0, state.depth) if known and type(value) is Pointer else None)
    name = _map_name(state, prototype)
    text = text_of(Call(environment, state, prototype))
    maps = (name,) if name is not None else ()
    return CallFacts(prototype.name, maps, tuple(accesses), name in environment.inner, text)


def _write(state: State, target: Value | None, size: Value | None) -> None:
    """The helper fills the memory, also when it fails; only the stack's contents are followed."""
    if type(target) is not Pointer or target.kind is not Kind.STACK or type(size) is not Scalar:
        return
    if target.variable.constant is not None and size.constant is not None:
        state.fill(target.least, target.least + size.constant)
    else:
        state.blur(target.least, target.most + size.whole.umax)

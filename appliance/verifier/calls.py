"""Helper calls: what a prototype's argument kinds demand of r1 to r5, and what remains afterwards.

One rule per ArgumentKind. A size stands behind the memory it belongs to, so the memory's rule looks one register on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from appliance.ebpf.instructions import CallHelper
from appliance.ebpf.spec import MapSpec, MapType
from appliance.helpers.prototypes import PROTOTYPES, ArgumentKind, HelperPrototype, ReturnKind
from appliance.helpers.refusals import REFUSALS
from appliance.verifier import scalar
from appliance.verifier.environment import Environment, access_of
from appliance.verifier.memory import Purpose, demand_access
from appliance.verifier.program import Access, CallFacts
from appliance.verifier.report import Violation
from appliance.verifier.scalar import Scalar
from appliance.verifier.state import State
from appliance.verifier.values import REGIONS, ZERO, Kind, Pointer, Value

# The map types whose values a program reaches through lookup, update and delete.
KEYED_MAPS = frozenset(
    {
        MapType.HASH,
        MapType.ARRAY,
        MapType.PERCPU_HASH,
        MapType.PERCPU_ARRAY,
        MapType.LRU_HASH,
        MapType.LRU_PERCPU_HASH,
        MapType.LPM_TRIE,
    }
)
# The map types that a helper works on, where those are others (kernel/bpf/verifier.c, check_map_func_compatibility).
_QUEUES = frozenset({MapType.QUEUE, MapType.STACK})
MAPS_OF_HELPER: dict[str, frozenset[MapType]] = {
    "map_lookup_percpu_elem": frozenset({MapType.PERCPU_ARRAY, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH}),
    "map_lookup_and_delete_elem": frozenset(
        {MapType.HASH, MapType.LRU_HASH, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH}
    ),
    "map_push_elem": _QUEUES | {MapType.BLOOM_FILTER},
    "map_pop_elem": _QUEUES,
    "map_peek_elem": _QUEUES | {MapType.BLOOM_FILTER},
}
_CHANGING = frozenset(
    {"map_update_elem", "map_delete_elem", "map_lookup_and_delete_elem", "map_push_elem", "map_pop_elem"}
)
LARGEST = 1 << 29


def prototype_of(environment: Environment, instruction: CallHelper) -> HelperPrototype:
    """The helper's prototype. Violates if the platform, the table or the hook does not have it."""
    refusal = REFUSALS[environment.platform.name].get(instruction.helper)
    if refusal is not None:
        raise Violation(f"calls helper {refusal.name}, which has no meaning here: {refusal.reason}", unsupported=True)
    name = environment.platform.helpers.get(instruction.helper)
    prototype = PROTOTYPES.get(name) if name is not None else None
    if prototype is None:
        raise Violation(
            f"calls helper {instruction.helper}" + (f" ({name})" if name else "") + ", which is not supported yet",
            f"platform `{environment.platform.name}` has: {', '.join(sorted(environment.platform.helpers.values()))}",
            unsupported=True,
        )
    if prototype.family not in environment.spec.hook.families:
        raise Violation(f"calls `{name}`, which programs of hook `{environment.spec.hook.name}` may not call")
    return prototype


def demand_call(environment: Environment, state: State, instruction: CallHelper) -> None:
    """Every argument is what the prototype says."""
    prototype = prototype_of(environment, instruction)
    for register, kind in enumerate(prototype.arguments, 1):
        value = state.registers[register]
        if value is None:
            raise Violation(
                f"calls `{prototype.name}` with nothing in r{register}, which must be {kind.value}",
                "a helper call destroys r1 to r5: load the argument again",
            )
        ARGUMENT_RULES[kind](_Argument(environment, state, prototype, register, kind, value))


class _Argument:
    """One argument of one call."""

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
        return Violation(
            f"calls `{self.prototype.name}` with r{self.register} = {_words(self.value)}, "
            f"but it must be {self.kind.value}",
            hint,
        )

    def map(self) -> MapSpec:
        """The map in r1."""
        held = self.state.registers[1]
        if type(held) is not Pointer or held.kind is not Kind.MAP or held.map is None:
            raise self.refuse("pass the address of a map that is declared in section .maps")
        return self.environment.map(held.map)


def _words(value: Value) -> str:
    return str(value)


def _number(argument: _Argument) -> None:
    if type(argument.value) is not Scalar:
        raise argument.refuse("a pointer may not be told to a helper as a number")


def _context(argument: _Argument) -> None:
    if argument.value != Pointer(Kind.CONTEXT):
        raise argument.refuse("pass the pointer that the program was given, unchanged")


def _map(argument: _Argument) -> None:
    spec, helper = argument.map(), argument.prototype.name
    if spec.type not in (fitting := MAPS_OF_HELPER.get(helper, KEYED_MAPS)):
        known = spec.type in KEYED_MAPS.union(*MAPS_OF_HELPER.values())
        raise Violation(
            f"calls `{helper}` on map `{spec.name}` of type {spec.type.value}, "
            + ("which it does not work on" if known else "which is not supported yet"),
            f"it works on {', '.join(sorted(kind.value for kind in fitting))}",
            unsupported=not known,
        )
    if argument.prototype.name in _CHANGING and argument.environment.is_read_only(spec.name):
        raise Violation(f"calls `{argument.prototype.name}` on map `{spec.name}`, which is read-only")


def _memory(size: Callable[[_Argument], int], purpose: Purpose) -> _Rule:
    """Memory of a size that the argument's surroundings tell."""

    def rule(argument: _Argument) -> None:
        if type(argument.value) is not Pointer:
            raise argument.refuse("pass the address of a local variable, of packet bytes or of a map value")
        demand_access(argument.environment, argument.state, argument.register, 0, size(argument), purpose)

    return rule


def _size_behind(argument: _Argument) -> int:
    """The greatest size that the next register may hold."""
    size = argument.state.registers[argument.register + 1]
    return size.whole.umax if type(size) is Scalar and size.whole.umax < LARGEST else 0  # its own rule refuses others


def _map_value_out(argument: _Argument) -> None:
    purpose = Purpose.PASS if argument.map().type is MapType.BLOOM_FILTER else Purpose.FILL
    _memory(lambda argument: argument.map().value_size, purpose)(argument)


def _readable_or_null(argument: _Argument) -> None:
    if argument.value == ZERO:
        if argument.state.registers[argument.register + 1] != ZERO:
            raise argument.refuse("with null, the size must be the constant 0")
        return
    _memory(_size_behind, Purpose.PASS)(argument)


def _changed(argument: _Argument) -> None:
    for purpose in (Purpose.PASS, Purpose.FILL):
        _memory(_size_behind, purpose)(argument)


def _size(least: int) -> _Rule:
    def rule(argument: _Argument) -> None:
        value = argument.value
        if type(value) is not Scalar or value.whole.umin < least or value.whole.umax >= LARGEST:
            raise argument.refuse(
                "use a constant, or bound the number before the call: `if (size > sizeof(buffer)) return …`"
            )

    return rule


def _anything(argument: _Argument) -> None:
    if type(argument.value) is Pointer and argument.value.kind is Kind.MAP_VALUE_OR_NULL:
        raise argument.refuse("check the pointer for null first")


_Rule: TypeAlias = Callable[[_Argument], None]

ARGUMENT_RULES: dict[ArgumentKind, _Rule] = {
    ArgumentKind.ANYTHING: _anything,
    ArgumentKind.SCALAR: _number,
    ArgumentKind.CONTEXT: _context,
    ArgumentKind.MAP: _map,
    ArgumentKind.MAP_KEY: _memory(lambda argument: argument.map().key_size, Purpose.PASS),
    ArgumentKind.MAP_VALUE: _memory(lambda argument: argument.map().value_size, Purpose.PASS),
    ArgumentKind.MAP_VALUE_OUT: _map_value_out,
    ArgumentKind.READABLE: _memory(_size_behind, Purpose.PASS),
    ArgumentKind.READABLE_OR_NULL: _readable_or_null,
    ArgumentKind.WRITABLE: _memory(_size_behind, Purpose.FILL),
    ArgumentKind.PARTLY_WRITABLE: _memory(_size_behind, Purpose.FILL),
    ArgumentKind.CHANGED: _changed,
    ArgumentKind.WRITABLE_U64: _memory(lambda _: 8, Purpose.FILL),
    ArgumentKind.SIZE: _size(1),
    ArgumentKind.SIZE_OR_ZERO: _size(0),
}


def apply_call(environment: Environment, state: State, index: int, instruction: CallHelper) -> None:
    """What the call does: memory that it writes, r1 to r5 lost, packet pointers dead if it moves them, r0 set."""
    prototype = prototype_of(environment, instruction)
    environment.facts.call(index, _facts(state, prototype))
    name = _map_name(state, prototype)
    for register, kind in enumerate(prototype.arguments, 1):
        if kind in WRITTEN:
            _write(state, state.registers[register], WRITTEN[kind](state, register))
        elif kind is ArgumentKind.MAP_VALUE_OUT and name is not None:
            _write(state, state.registers[register], scalar.constant(environment.map(name).value_size))
    for register in range(6):
        state.set(register, None)
    if prototype.moves_packet:
        state.forget_packet()
    if prototype.result is ReturnKind.MAP_VALUE_OR_NULL:
        state.set(0, Pointer(Kind.MAP_VALUE_OR_NULL, id=environment.fresh(), map=name))
    else:
        state.set(0, _result(environment, prototype))


def _result(environment: Environment, prototype: HelperPrototype) -> Scalar:
    low, high = RESULTS.get(prototype.name, (None, None))
    if prototype.name == "redirect":
        verdicts = environment.spec.hook.verdicts
        return scalar.between(min(verdicts), max(verdicts))
    return scalar.UNKNOWN if low is None or high is None else scalar.between(low, high)


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
    ArgumentKind.WRITABLE_U64: lambda state, register: scalar.constant(8),
}

# Results that are known to lie in a range (include/uapi/linux/bpf.h, the comments of each helper).
RESULTS: dict[str, tuple[int, int]] = {
    "get_prandom_u32": (0, (1 << 32) - 1),
    "get_smp_processor_id": (0, (1 << 31) - 1),
    "xdp_get_buff_len": (0, (1 << 32) - 1),
    "strnlen_s": (0, LARGEST),
}


def _map_name(state: State, prototype: HelperPrototype) -> str | None:
    held = state.registers[1]
    if ArgumentKind.MAP in prototype.arguments and type(held) is Pointer:
        return held.map
    return None


def _facts(state: State, prototype: HelperPrototype) -> CallFacts:
    accesses: list[Access | None] = []
    for register in range(1, len(prototype.arguments) + 1):
        value = state.registers[register]
        known = type(value) is Pointer and value.kind in REGIONS
        accesses.append(access_of(value, 0, state.depth) if known and type(value) is Pointer else None)
    return CallFacts(prototype.name, _map_name(state, prototype), tuple(accesses))


def _write(state: State, target: Value | None, size: Value | None) -> None:
    """The helper fills the memory, also when it fails; only the stack's contents are followed."""
    if type(target) is not Pointer or target.kind is not Kind.STACK or type(size) is not Scalar:
        return
    if target.variable.constant is not None and size.constant is not None:
        state.fill(target.least, target.least + size.constant)
    else:
        state.blur(target.least, target.most + size.whole.umax)

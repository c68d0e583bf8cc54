"""What each ArgumentKind demands of the register that a helper is called with: one rule per kind.

A size stands behind the memory it belongs to, so the memory's rule looks one register on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from appliance.ebpf.spec import REDIRECT_MAPS, MapSpec, MapType
from appliance.helpers.dynptrs import DYNPTR_SIZE
from appliance.helpers.kernel_prototypes import STRUCTURES_TAKEN
from appliance.helpers.prototypes import ArgumentKind, HelperPrototype
from appliance.verifier.environment import Environment
from appliance.verifier.frames import TOO_DEEP
from appliance.verifier.memory import Purpose, Request, demand_access, demand_memory
from appliance.verifier.printed import Call, demand_array, demand_format, demand_printed, demand_text
from appliance.verifier.rejections import Rejection
from appliance.verifier.report import Violation
from appliance.verifier.scalar import Scalar
from appliance.verifier.stack import CELL, holder
from appliance.verifier.state import State
from appliance.verifier.structures import demand_member, is_structure
from appliance.verifier.values import (
    HELD_SOCKETS,
    LENT_SOCKETS,
    NULLABLE,
    PACKET_KINDS,
    STRUCTURE_KINDS,
    ZERO,
    Kind,
    Pointer,
    Value,
)
from hooks.kernel_sockets import SOCKET

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
# The interfaces and sockets that a frame can be redirected to; programs may look whether there are any.
_TARGETS = frozenset({MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.XSKMAP})
# The map types that a helper works on, where those are others (kernel/bpf/verifier.c, check_map_func_compatibility).
_QUEUES = frozenset({MapType.QUEUE, MapType.STACK})
MAPS_OF_HELPER: dict[str, frozenset[MapType]] = {
    "map_lookup_elem": KEYED_MAPS | _TARGETS | {MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS},
    "map_lookup_percpu_elem": frozenset({MapType.PERCPU_ARRAY, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH}),
    "map_lookup_and_delete_elem": frozenset(
        {MapType.HASH, MapType.LRU_HASH, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH}
    ),
    "map_push_elem": _QUEUES | {MapType.BLOOM_FILTER},
    "map_pop_elem": _QUEUES,
    "map_peek_elem": _QUEUES | {MapType.BLOOM_FILTER},
    "redirect_map": REDIRECT_MAPS,
    "perf_event_output": frozenset({MapType.PERF_EVENT_ARRAY}),
    **dict.fromkeys(
        ("ringbuf_output", "ringbuf_query", "ringbuf_reserve", "ringbuf_reserve_dynptr"), frozenset({MapType.RINGBUF})
    ),
    "for_each_map_elem": KEYED_MAPS - {MapType.LPM_TRIE},
    "tail_call": frozenset({MapType.PROG_ARRAY}),
    **dict.fromkeys(("perf_event_read", "perf_event_read_value"), frozenset({MapType.PERF_EVENT_ARRAY})),
    "get_stackid": frozenset({MapType.STACK_TRACE}),
    **dict.fromkeys(("skb_under_cgroup", "current_task_under_cgroup"), frozenset({MapType.CGROUP_ARRAY})),
    "get_local_storage": frozenset({MapType.CGROUP_STORAGE, MapType.PERCPU_CGROUP_STORAGE}),
    **dict.fromkeys(("sk_storage_get", "sk_storage_delete"), frozenset({MapType.SK_STORAGE})),
    **dict.fromkeys(("task_storage_get", "task_storage_delete"), frozenset({MapType.TASK_STORAGE})),
    **dict.fromkeys(("inode_storage_get", "inode_storage_delete"), frozenset({MapType.INODE_STORAGE})),
    **dict.fromkeys(("cgrp_storage_get", "cgrp_storage_delete"), frozenset({MapType.CGRP_STORAGE})),
    **dict.fromkeys(("skb_output", "xdp_output"), frozenset({MapType.PERF_EVENT_ARRAY})),
    **dict.fromkeys(("sk_redirect_map", "msg_redirect_map", "sock_map_update"), frozenset({MapType.SOCKMAP})),
    **dict.fromkeys(("sk_redirect_hash", "msg_redirect_hash", "sock_hash_update"), frozenset({MapType.SOCKHASH})),
    "sk_select_reuseport": frozenset({MapType.REUSEPORT_SOCKARRAY, MapType.SOCKMAP, MapType.SOCKHASH}),
}
# Maps of sockets, which some programs may change: those that never meet a socket that somebody holds the lock of.
SOCKET_MAPS = frozenset({MapType.SOCKMAP, MapType.SOCKHASH})
CHANGE_SOCKETS = "socket_maps"  # the family of hooks whose programs may (may_update_sockmap of Linux)
_CHANGING = frozenset(
    {"map_update_elem", "map_delete_elem", "map_lookup_and_delete_elem", "map_push_elem", "map_pop_elem"}
)
LARGEST = 1 << 29  # bytes of memory that a size may speak of


class Argument:
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
        may_be_null = type(self.value) is Pointer and self.value.kind in NULLABLE
        return Violation(
            Rejection.NULL_POINTER if may_be_null else Rejection.HELPER_ARGUMENT,
            f"calls `{self.prototype.name}` with r{self.register} = {_words(self.value)}, "
            f"but it must be {self.kind.value}",
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


def _words(value: Value) -> str:
    return str(value)


def _number(argument: Argument) -> None:
    value = argument.value
    if type(value) is Pointer and value.kind not in STRUCTURE_KINDS:
        raise argument.refuse("a pointer may not be told to a helper as a number")


def _context(argument: Argument) -> None:
    if argument.value != Pointer(Kind.CONTEXT):
        raise argument.refuse("pass the pointer that the program was given, unchanged")


def _map(argument: Argument) -> None:
    spec, helper = argument.map(), argument.prototype.name
    if _is_of_sockets(argument, spec):
        return
    if spec.type not in (fitting := MAPS_OF_HELPER.get(helper, KEYED_MAPS)):
        known = spec.type in KEYED_MAPS.union(*MAPS_OF_HELPER.values())
        raise Violation(
            Rejection.MAP_TYPE,
            f"calls `{helper}` on map `{spec.name}` of type {spec.type.value}, "
            + ("which it does not work on" if known else "which is not supported yet"),
            f"it works on {', '.join(sorted(kind.value for kind in fitting))}",
            unsupported=not known,
        )
    if argument.prototype.name in _CHANGING and argument.environment.is_read_only(spec.name):
        raise Violation(
            Rejection.READ_ONLY_MEMORY, f"calls `{argument.prototype.name}` on map `{spec.name}`, which is read-only"
        )


def _is_of_sockets(argument: Argument, spec: MapSpec) -> bool:
    """A kernel's program may look up a socket that it then holds, and some may change who is in there."""
    if spec.type not in SOCKET_MAPS or argument.environment.spec.hook.runs_here:
        return False
    if argument.prototype.name == "map_lookup_elem":
        return True
    changes = argument.prototype.name in ("map_update_elem", "map_delete_elem")
    return changes and CHANGE_SOCKETS in argument.environment.spec.hook.families


def _memory(size: Callable[[Argument], int], purpose: Purpose) -> _Rule:
    """Memory of a size that the argument's surroundings tell."""

    def rule(argument: Argument) -> None:
        if type(argument.value) is not Pointer:
            raise argument.refuse("pass the address of a local variable, of packet bytes or of a map value")
        if argument.prototype.moves_packet and argument.value.kind in PACKET_KINDS:
            raise argument.refuse("the helper may move the packet: copy the bytes to the stack first")
        demand_access(argument.environment, argument.state, argument.register, 0, size(argument), purpose)

    return rule


def _size_behind(argument: Argument) -> int:
    """The greatest size that the next register may hold."""
    size = argument.state.registers[argument.register + 1]
    return size.whole.umax if type(size) is Scalar and size.whole.umax < LARGEST else 0  # its own rule refuses others


def _map_value_out(argument: Argument) -> None:
    purpose = Purpose.PASS if argument.map().type is MapType.BLOOM_FILTER else Purpose.FILL
    _memory(lambda argument: argument.map().value_size, purpose)(argument)


def _readable(argument: Argument) -> None:
    """Memory, or a member of a structure that the kernel vouches for."""
    value = argument.value
    if type(value) is Pointer and value.kind is Kind.TRUSTED:
        demand_member(argument.environment, value, 0, _size_behind(argument))
    else:
        _memory(_size_behind, Purpose.PASS)(argument)


def _nothing_or(rule: _Rule) -> _Rule:
    """Memory, or null and the size 0."""

    def either(argument: Argument) -> None:
        if argument.value != ZERO:
            rule(argument)
        elif argument.state.registers[argument.register + 1] != ZERO:
            raise argument.refuse("with null, the size must be the constant 0")

    return either


def _told(argument: Argument) -> None:
    """Pointers on the stack are no secret to who may read the kernel's memory; what they point to is read with care."""
    value, size = argument.value, _size_behind(argument)
    if type(value) is not Pointer or value.kind is not Kind.STACK or value.variable.constant is None:
        _nothing_or(_readable)(argument)
        return
    _memory(_size_behind, Purpose.USE)(argument)
    for at in range(value.least, value.least + size, CELL):
        held = holder(argument.state.stack, at)
        if held is None or not isinstance(argument.state.stack[held].value, Pointer) or held != at:
            request = Request(
                argument.register, value, at - value.least, min(CELL, value.least + size - at), Purpose.PASS
            )
            demand_memory(argument.environment, argument.state, request)


def _changed(size: Callable[[Argument], int]) -> _Rule:
    def rule(argument: Argument) -> None:
        for purpose in (Purpose.PASS, Purpose.FILL):
            _memory(size, purpose)(argument)

    return rule


def _callback(argument: Argument) -> None:
    function, frames = argument.value, argument.environment.frames
    if type(function) is not Pointer or function.kind is not Kind.FUNCTION:
        raise argument.refuse("pass the name of a static function")
    frames.demand_another()
    if function.id in frames.active:
        raise Violation(Rejection.CALL_DEPTH, TOO_DEEP, "turn the recursion into a loop")


def _stack_or_null(argument: Argument) -> None:
    value = argument.value
    if value != ZERO and (type(value) is not Pointer or value.kind is not Kind.STACK):
        raise argument.refuse("pass the address of a local variable, and in it what the function needs")


def _size(least: int) -> _Rule:
    def rule(argument: Argument) -> None:
        value = argument.value
        if type(value) is not Scalar or value.whole.umin < least or value.whole.umax >= LARGEST:
            raise argument.refuse(
                "use a constant, or bound the number before the call: `if (size > sizeof(buffer)) return …`"
            )

    return rule


def _anything(argument: Argument) -> None:
    """Whatever the register holds."""


def _or_null(rule: _Rule) -> _Rule:
    def either(argument: Argument) -> None:
        if argument.value != ZERO:
            rule(argument)

    return either


def _or_unchecked(rule: _Rule) -> _Rule:
    """Null, or what may be null: the helper checks it itself."""

    def either(argument: Argument) -> None:
        value = argument.value
        if type(value) is Pointer and value.kind in NULLABLE:
            argument.value = value._replace(kind=NULLABLE[value.kind])
        if value != ZERO:
            rule(argument)

    return either


def _socket(argument: Argument) -> None:
    value, hook = argument.value, argument.environment.spec.hook
    if type(value) is Pointer and value.kind in LENT_SOCKETS | HELD_SOCKETS:
        return
    if value == Pointer(Kind.CONTEXT) and hook.context.name == SOCKET.name:
        return
    if _is_structure(argument, "sock_common"):
        return
    raise argument.refuse("check it first: `if (!sk) return …`" if _is_nullable(value) else None)


def _is_structure(argument: Argument, name: str) -> bool:
    """Whether it points to such a structure of the kernel, as far as is known to helpers: what is UNTRUSTED may not."""
    value = argument.value
    known = type(value) is Pointer and value.kind in (Kind.TRUSTED, Kind.TYPED)
    return known and type(value) is Pointer and is_structure(argument.environment, value, name)


def _structure(argument: Argument) -> None:
    name = STRUCTURES_TAKEN[argument.prototype.name]
    if not _is_structure(argument, name):
        hint = "check it first: `if (!pointer) return …`" if _is_nullable(argument.value) else None
        raise argument.refuse(hint or f"it takes a `struct {name}`, as the program was given it or as it was read")


def _map_value(argument: Argument) -> None:
    """Memory; for a map of sockets, the socket itself."""
    spec = argument.map()
    if spec.type in SOCKET_MAPS:
        _socket(argument)
    else:
        _memory(lambda _: spec.value_size, Purpose.PASS)(argument)


def _held_socket(argument: Argument) -> None:
    value = argument.value
    if type(value) is not Pointer or value.kind not in HELD_SOCKETS:
        raise argument.refuse("check it first: `if (!sk) return …`" if _is_nullable(value) else None)


def _is_nullable(value: Value) -> bool:
    return type(value) is Pointer and value.kind in NULLABLE


def _constant_size(argument: Argument) -> None:
    value = argument.value
    if type(value) is not Scalar or value.constant is None:
        raise argument.refuse("reserve the largest size, or use ringbuf_output, which takes any")


def _record(argument: Argument) -> None:
    value = argument.value
    if type(value) is not Pointer or value.kind is not Kind.RECORD or value.least or value.most:
        hint = "check it first: `if (!record) return …`" if _is(value, Kind.RECORD_OR_NULL) else None
        raise argument.refuse(hint or "pass what ringbuf_reserve gave, unchanged, and only once")


def _map_memory(argument: Argument) -> None:
    if not _is(argument.value, Kind.MAP_VALUE):
        raise argument.refuse("a dynptr is about a map value: for other memory there are ring buffers")
    _changed(_size_behind)(argument)


def _new_dynptr(argument: Argument) -> None:
    _demand_place(argument, "declare a `struct bpf_dynptr` on the stack, and pass its address")


def _dynptr(argument: Argument) -> None:
    """One that was made, in the program's own stack."""
    value = argument.value
    dynptr = argument.state.dynptr(value.least) if type(value) is Pointer and value.kind is Kind.STACK else None
    if dynptr is None or (argument.kind is ArgumentKind.RING_DYNPTR and dynptr.kind is not Kind.RING_DYNPTR):
        raise argument.refuse("pass the address of one that was made on every path, and is not yet written over")
    _demand_place(argument, "pass the address of the `struct bpf_dynptr` itself", touch=Purpose.USE)


def _demand_place(argument: Argument, hint: str, touch: Purpose = Purpose.KEEP) -> None:
    """16 bytes of a stack at a known place, aligned as pointers are."""
    value = argument.value
    if type(value) is not Pointer or value.kind is not Kind.STACK:
        raise argument.refuse(hint)
    if value.variable.constant is None or (value.least - value.base) % 8:
        raise argument.refuse("its place must be known, and a multiple of 8")
    demand_access(argument.environment, argument.state, argument.register, 0, DYNPTR_SIZE, touch)


def _slice_size(argument: Argument) -> None:
    value = argument.value
    if type(value) is not Scalar or value.constant is None or value.constant >= LARGEST:
        raise argument.refuse("use a constant; dynptr_read takes any size")


def _lock(argument: Argument) -> None:
    value = argument.value
    if type(value) is not Pointer or value.kind is not Kind.MAP_VALUE or value.map is None:
        raise argument.refuse("pass the address of the `struct bpf_spin_lock` in a map value that was looked up")
    offset = argument.environment.map(value.map).lock
    if offset is None:
        raise argument.refuse(
            f"map `{value.map}` has no lock: put a `struct bpf_spin_lock` into its value, in a hash or an array that "
            "is declared with the type of its values (BTF)"
        )
    if value.variable.constant is None or value.least != offset:
        raise argument.refuse(f"the lock is at byte {offset} of the value")
    held = argument.state.lock
    if argument.prototype.name == "spin_unlock" and (held is None or (held.map, held.id) != (value.map, value.id)):
        raise Violation(
            Rejection.LOCK_BALANCE,
            "calls `spin_unlock` without a lock being held"
            if held is None
            else f"calls `spin_unlock` for another value than the one of map `{held.map}` whose lock it holds",
        )


def _is(value: Value, kind: Kind) -> bool:
    return type(value) is Pointer and value.kind is kind


def _printed(demand: Callable[[Call, int], None]) -> _Rule:
    """What `printed` demands, which looks at the whole call."""
    return lambda argument: demand(Call(argument.environment, argument.state, argument.prototype), argument.register)


_Rule: TypeAlias = Callable[[Argument], None]

ARGUMENT_RULES: dict[ArgumentKind, _Rule] = {
    ArgumentKind.ANYTHING: _anything,
    ArgumentKind.SCALAR: _number,
    ArgumentKind.CONTEXT: _context,
    ArgumentKind.MAP: _map,
    ArgumentKind.MAP_KEY: _memory(lambda argument: argument.map().key_size, Purpose.PASS),
    ArgumentKind.MAP_VALUE: _map_value,
    ArgumentKind.MAP_VALUE_OUT: _map_value_out,
    ArgumentKind.READABLE: _readable,
    ArgumentKind.READABLE_OR_NULL: _nothing_or(_readable),
    ArgumentKind.WRITABLE: _memory(_size_behind, Purpose.FILL),
    ArgumentKind.PARTLY_WRITABLE: _memory(_size_behind, Purpose.FILL),
    ArgumentKind.CHANGED: _changed(_size_behind),
    ArgumentKind.HEADER_20: _memory(lambda _: 20, Purpose.PASS),
    ArgumentKind.HEADER_40: _memory(lambda _: 40, Purpose.PASS),
    ArgumentKind.CHANGED_U32: _changed(lambda _: 4),
    ArgumentKind.CALLBACK: _callback,
    ArgumentKind.STACK_OR_NULL: _stack_or_null,
    ArgumentKind.WRITABLE_U64: _memory(lambda _: 8, Purpose.FILL),
    ArgumentKind.CONSTANT_SIZE: _constant_size,
    ArgumentKind.RECORD: _record,
    ArgumentKind.MAP_MEMORY: _map_memory,
    ArgumentKind.NEW_DYNPTR: _new_dynptr,
    ArgumentKind.DYNPTR: _dynptr,
    ArgumentKind.RING_DYNPTR: _dynptr,
    ArgumentKind.SLICE_SIZE: _slice_size,
    ArgumentKind.LOCK: _lock,
    ArgumentKind.TEXT: _printed(demand_text),
    ArgumentKind.FORMAT: _printed(demand_format),
    ArgumentKind.PRINTED: _printed(demand_printed),
    ArgumentKind.PRINTED_ARRAY: _printed(demand_array),
    ArgumentKind.MAP_VALUE_OR_NULL: _or_null(_memory(lambda argument: argument.map().value_size, Purpose.PASS)),
    ArgumentKind.TOLD: _told,
    ArgumentKind.WRITABLE_OR_NULL: _nothing_or(_memory(_size_behind, Purpose.FILL)),
    ArgumentKind.SOCKET: _socket,
    ArgumentKind.HELD_SOCKET: _held_socket,
    ArgumentKind.STRUCTURE: _structure,
    ArgumentKind.STRUCTURE_OR_NULL: _or_unchecked(_structure),
    ArgumentKind.SOCKET_OR_NULL: _or_unchecked(_socket),
    ArgumentKind.SIZE: _size(1),
    ArgumentKind.SIZE_OR_ZERO: _size(0),
}

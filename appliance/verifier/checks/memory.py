"""When an access to memory is allowed: one rule per kind of pointer.

stack       -512 <= place, place + size <= 0; what is read was written, and is not part of a pointer
context     exactly a declared field; written only if the field may be
packet      0 <= place; place + size within what comparisons with `data_end` proved on this path
metadata    the same, against `data`
app id      the same, against `app_id_end`; only read
map value   0 <= place, place + size <= value size; written only if the map may be; never its lock
map key     the same with the key's size; never written, and gone when the callback is over that it was given to
record      0 <= place, place + size <= the size that was reserved
kernel's    see `kernel_memory`
slice       the same with the size that was asked for; no atomics, as it may begin anywhere

A dynptr on the stack may be written over, and is gone then, unless it must be submitted or discarded; never read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from appliance.ebpf.isa.instructions import STACK_SIZE, Atomic, Load, Store
from appliance.ebpf.spec import LOCK_SIZE
from appliance.verifier.checks.kernel_memory import demand_buffer, demand_structure, socket_rule
from appliance.verifier.checks.requests import READING, WRITING, Purpose, Request, byte_words, span_words
from appliance.verifier.domains.values import DYNPTR_KINDS, NULLABLE, STRUCTURES, Kind, Pointer, Value
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state import stack as stack_cells
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State
from hooks.contracts.cgroup import SOCKET, SOCKET_COMMON, TCP_SOCKET


def demand_access(
    environment: Environment, state: State, register: int, offset: int, size: int, purpose: Purpose
) -> Pointer:
    """The pointer in `register`, through which `size` bytes at `offset` may be accessed for that purpose."""
    value = state.registers[register]
    if type(value) is not Pointer:
        raise _no_pointer(register, value, purpose)
    demand_memory(environment, state, Request(register, value, offset, size, purpose))
    return value


def demand_memory(environment: Environment, state: State, request: Request) -> None:
    """The same for a pointer that is known already; the request's register is where the program has it from."""
    _RULES[request.pointer.kind](environment, state, request)


def _no_pointer(register: int, value: Value | None, purpose: Purpose) -> Violation:
    if value is None:
        return Violation(
            Rejection.UNINITIALISED_REGISTER,
            f"{purpose.value} memory through r{register}, which holds nothing that may be read on this path",
            "set it on every path; a helper call destroys r1 to r5, and moving the packet its pointers: load again",
        )
    return Violation(
        Rejection.NO_POINTER,
        f"{purpose.value} memory through r{register}, which is no pointer but a number ({value})",
        "pointers come from the context, the stack and helpers, and stay pointers through + and - alone; probes read "
        "other addresses with probe_read_kernel and probe_read_user",
    )


def _stack(environment: Environment, state: State, request: Request) -> None:
    low, high, base = request.low, request.high, request.pointer.base
    if low < -STACK_SIZE or high > 0:
        raise Violation(
            Rejection.STACK_BOUNDS,
            f"{request.purpose.value} {request.span('stack ')} from r10, but the stack is bytes -{STACK_SIZE} to -1",
            f"a program's local variables together may have {STACK_SIZE} bytes; keep array indexes inside their array",
        )
    environment.frames.use_stack(request.pointer.id, -low)
    function, own = environment.frames.active[request.pointer.id], request.pointer.id == state.depth
    environment.facts.stack.touch((environment.index, request.register), function, own, low, high)
    if request.purpose is Purpose.USE:
        return
    if request.purpose in (Purpose.WRITE, Purpose.FILL, Purpose.KEEP):
        _demand_no_dynptr(state, request)
        return
    whole = request.purpose is Purpose.READ and request.pointer.variable.constant is not None
    kept = stack_cells.read(state.stack, low + base, request.size) if whole else None
    if kept is not None and not (type(kept) is Pointer and kept.kind in DYNPTR_KINDS):
        return
    bad = stack_cells.first_unreadable(state.stack, low + base, high + base)
    if bad is None:
        return
    held = stack_cells.holder(state.stack, bad)
    if state.dynptrs_in(bad, bad + 1):
        raise Violation(
            Rejection.DYNPTR_ACCESS,
            f"{request.purpose.value} {request.span('stack ')} from r10, but byte {bad - base} is a part of a dynptr",
            "dynptr_read and dynptr_data get at what it is about",
        )
    reason = "was not written on this path" if held is None else "is a part of a pointer that was saved there"
    raise Violation(
        Rejection.UNINITIALISED_STACK,
        f"{request.purpose.value} {request.span('stack ')} from r10, but byte {bad - base} {reason}",
        "initialise the whole variable on every path, the padding of structures included (memset)"
        if held is None
        else "pointers may be saved on the stack, but only be read back whole",
    )


def _demand_no_dynptr(state: State, request: Request) -> None:
    """What is written leaves those dynptrs alone that it may not end: a store knows which one it ends."""
    base = request.pointer.base
    ends = request.purpose is Purpose.KEEP or (
        request.purpose is Purpose.WRITE and request.pointer.variable.constant is not None
    )
    for dynptr in state.dynptrs_in(request.low + base, request.high + base):
        if dynptr.kind is Kind.RING_DYNPTR:
            raise Violation(
                Rejection.DYNPTR_ACCESS,
                f"{request.purpose.value} {request.span('stack ')} from r10, where {dynptr} is",
                "submit or discard it first",
            )
        if not ends:
            raise Violation(
                Rejection.DYNPTR_ACCESS,
                f"{request.purpose.value} {request.span('stack ')} from r10, where {dynptr} is",
                "use another variable: only plain stores at a known place may end a dynptr",
            )


def _context(environment: Environment, state: State, request: Request) -> None:
    layout = environment.spec.hook.context
    if request.pointer.variable.constant is None:
        raise Violation(
            Rejection.CONTEXT_ACCESS,
            "accesses the context at an offset that is not a constant",
            "name the field in the source",
        )
    if request.purpose in (Purpose.PASS, Purpose.FILL, Purpose.UPDATE):
        raise Violation(
            Rejection.CONTEXT_ACCESS,
            f"{request.purpose.value} the context, which only plain loads may access",
            "read the field into a local variable, and give its address",
        )
    field = layout.field_at(request.low, request.size)
    if field is None:
        _demand_here(environment, request)
        largest = {(f.name, f.offset): f.size for f in layout.fields}
        fields = ", ".join(f"{name} at {offset} ({byte_words(size)})" for (name, offset), size in largest.items())
        raise Violation(
            Rejection.CONTEXT_ACCESS,
            f"{request.purpose.value} {request.span()} of the context `{layout.name}`, which is no field of it",
            f"its fields are {fields}",
        )
    if request.purpose is Purpose.WRITE and not field.writes:
        raise Violation(
            Rejection.READ_ONLY_MEMORY,
            f"writes `{field.name}` of the context `{layout.name}`, which may only be read",
            "work on a copy in a local variable",
        )
    writes = request.purpose is Purpose.WRITE
    if not (field.may_write if writes else field.may_read)(request.low, request.size):
        sizes = " or ".join(str(size) for size in (field.writes if writes else field.reads))
        raise Violation(
            Rejection.CONTEXT_ACCESS,
            f"{request.purpose.value} {request.span()} of the context `{layout.name}`: `{field.name}` is "
            f"{'written' if writes else 'read'} in {sizes} bytes, at a multiple of that",
            "access the field as it is declared, and then take the part that is needed",
        )


def _demand_here(environment: Environment, request: Request) -> None:
    """Violates if what is accessed is a field that only a kernel has."""
    kernels = environment.spec.hook.in_kernel
    field = kernels.context.field_at(request.low, request.size) if kernels is not None else None
    if field is not None:
        layout = environment.spec.hook.context.name
        raise Violation(
            Rejection.CONTEXT_ACCESS,
            f"{request.purpose.value} `{field.name}` of the context `{layout}`, which only a kernel has",
            "it can be verified, and not be run here",
            unsupported=True,
        )


def _ranged(base: str, limit: str, *, writable: bool = True) -> Rule:
    """The rule of a memory whose end the program finds by comparing."""

    def rule(environment: Environment, state: State, request: Request) -> None:
        if not (writable and environment.spec.hook.writes_packet) and request.purpose in WRITING:
            raise Violation(
                Rejection.READ_ONLY_MEMORY,
                f"{request.purpose.value} {request.span()} past `{base}`, which may only be read",
                "change packets in a hook that may, such as xdp; in others helpers may, such as skb_store_bytes",
            )
        if request.purpose is Purpose.UPDATE:
            raise Violation(
                Rejection.ATOMIC_ACCESS,
                "atomically updates packet memory, which only plain loads and stores may access",
                "use plain ones: one processor has the packet for itself",
            )
        known = state.proved(request.pointer.id)
        first = request.pointer.offset + request.offset
        if request.low < 0:
            raise Violation(
                Rejection.PACKET_BOUNDS,
                f"{request.purpose.value} {request.span()} from `{base}`, before it",
                f"show that what is added to `{base}` is not negative: use unsigned types",
            )
        if first + request.size <= known:
            return
        if request.pointer.variable.constant is None:
            where = f"a variable distance ({request.pointer.variable}) past `{base}`"
            span, ending = span_words(first, first + request.size), f" behind {where}"
        else:
            span, ending = request.span(), f" past `{base}`"
        inside = f"only {byte_words(known)}" if known > 0 else "none"
        are = "is" if known == 1 else "are"
        raise Violation(
            Rejection.PACKET_BOUNDS,
            f"{request.purpose.value} {span}{ending}, but {inside} {are} known to be inside on this path",
            f"compare first: `if (pointer + {first + request.size} > {limit}) return …`, with the same pointer",
        )

    return rule


def _map_value(environment: Environment, state: State, request: Request) -> None:
    name = request.pointer.map
    assert name is not None
    size = environment.map(name).value_size
    if request.low < 0 or request.high > size:
        raise Violation(
            Rejection.MAP_VALUE_BOUNDS,
            f"{request.purpose.value} {request.span()} of a value of map `{name}`, which has {byte_words(size)}",
            "bound the index before it is used: `if (index >= N) return …`, or `index &= N - 1`",
        )
    lock = environment.map(name).lock
    if lock is not None and request.low < lock + LOCK_SIZE and lock < request.high:
        raise Violation(
            Rejection.LOCK_ACCESS,
            f"{request.purpose.value} {request.span()} of a value of map `{name}`, "
            f"whose {span_words(lock, lock + LOCK_SIZE)} are its lock",
            "only spin_lock and spin_unlock may touch a lock; leave it out of copies of the value",
        )
    if request.purpose in WRITING and environment.is_read_only(name):
        raise Violation(
            Rejection.READ_ONLY_MEMORY,
            f"writes a value of map `{name}`, which is read-only",
            "drop `const`, or use another map",
        )
    if request.purpose in READING and environment.map(name).write_only_to_programs:
        raise Violation(
            Rejection.WRITE_ONLY_MEMORY,
            f"{request.purpose.value} a value of map `{name}`, which is write-only to programs",
            "drop BPF_F_WRONLY_PROG from map_flags",
        )


def _record(environment: Environment, state: State, request: Request) -> None:
    if request.low < 0 or request.high > request.pointer.size:
        raise Violation(
            Rejection.RECORD_BOUNDS,
            f"{request.purpose.value} {request.span()} of a record of map `{request.pointer.map}`, "
            f"which was reserved with {byte_words(request.pointer.size)}",
            "reserve as much as is written, and bound an index before it is used",
        )


def _slice(environment: Environment, state: State, request: Request) -> None:
    if request.purpose is Purpose.UPDATE:
        raise Violation(
            Rejection.ATOMIC_ACCESS,
            "atomically updates a slice of a dynptr, which may begin at any place",
            "load, compute and store; what several processors count belongs into a map's value",
        )
    if request.low < 0 or request.high > request.pointer.size:
        raise Violation(
            Rejection.RECORD_BOUNDS,
            f"{request.purpose.value} {request.span()} of a slice of a dynptr, which was asked for with "
            f"{byte_words(request.pointer.size)}",
            "ask for as much as is used, and bound an index before it is used",
        )


def _stale(environment: Environment, state: State, request: Request) -> None:
    raise _no_pointer(request.register, None, request.purpose)


def _map_key(environment: Environment, state: State, request: Request) -> None:
    name = request.pointer.map
    assert name is not None
    size = environment.map(name).key_size
    if request.purpose in WRITING:
        raise Violation(
            Rejection.READ_ONLY_MEMORY,
            f"writes a key of map `{name}`, which may only be read",
            "copy the key, and change the copy",
        )
    if request.low < 0 or request.high > size:
        raise Violation(
            Rejection.MAP_KEY_BOUNDS,
            f"{request.purpose.value} {request.span()} of a key of map `{name}`, which has {byte_words(size)}",
            "declare the callback's key as the map does",
        )


def _gone_key(environment: Environment, state: State, request: Request) -> None:
    raise Violation(
        Rejection.STACK_OF_CALLEE,
        f"{request.purpose.value} memory through r{request.register}, which is {request.pointer}: the key is gone",
        "copy the key in the callback, to memory of the caller",
    )


def _maybe_null(environment: Environment, state: State, request: Request) -> None:
    raise Violation(
        Rejection.NULL_POINTER,
        f"{request.purpose.value} memory through r{request.register}, which may be null: {request.pointer.why_null}",
        "check it first: `if (!pointer) return …`",
    )


def _no_memory(environment: Environment, state: State, request: Request) -> None:
    raise Violation(
        Rejection.NO_POINTER,
        f"{request.purpose.value} memory through r{request.register}, which is {request.pointer}: "
        "nothing may be accessed there",
        "packets are accessed from `data` on, in front of `data_end`; values of maps by a lookup",
    )


Rule: TypeAlias = Callable[[Environment, State, Request], None]

_RULES: dict[Kind, Rule] = {
    Kind.STACK: _stack,
    Kind.CONTEXT: _context,
    Kind.PACKET: _ranged("data", "data_end"),
    Kind.METADATA: _ranged("data_meta", "data"),
    Kind.PACKET_END: _no_memory,
    Kind.STALE: _stale,
    Kind.APP_ID: _ranged("app_id_start", "app_id_end", writable=False),
    Kind.APP_ID_END: _no_memory,
    Kind.MAP_VALUE: _map_value,
    Kind.RECORD: _record,
    Kind.DYNPTR: _no_memory,
    Kind.RING_DYNPTR: _no_memory,
    Kind.SLICE: _slice,
    Kind.MAP_KEY: _map_key,
    Kind.GONE_KEY: _gone_key,
    Kind.MAP: _no_memory,
    Kind.MAP_OR_NULL: _no_memory,
    Kind.FUNCTION: _no_memory,
    Kind.SOCKET: socket_rule(SOCKET),
    Kind.SOCKET_COMMON: socket_rule(SOCKET_COMMON),
    Kind.TCP_SOCKET: socket_rule(TCP_SOCKET),
    Kind.HELD_SOCKET: socket_rule(SOCKET),
    Kind.HELD_SOCKET_COMMON: socket_rule(SOCKET_COMMON),
    **dict.fromkeys((*STRUCTURES, Kind.ADDRESS), demand_structure),
    Kind.TRACE_BUFFER: demand_buffer,
    Kind.BUFFER: demand_buffer,
    Kind.READ_ONLY_BUFFER: demand_buffer,
    **dict.fromkeys((kind for kind in NULLABLE if kind is not Kind.MAP_OR_NULL), _maybe_null),
}


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

"""When an access to what is in a map is allowed: 0 <= place, place + size <= the size of a value, or of a key.

value       written only if the map may be; never its lock
key         never written, and gone when the callback is over that it was given to
"""

from __future__ import annotations

from appliance.ebpf.spec import LOCK_SIZE
from appliance.verifier.checks.memory.requests import READING, WRITING, Request, byte_words, span_words
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State


def demand_map_value(environment: Environment, state: State, request: Request) -> None:
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


def demand_map_key(environment: Environment, state: State, request: Request) -> None:
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


def demand_live_key(environment: Environment, state: State, request: Request) -> None:
    raise Violation(
        Rejection.STACK_OF_CALLEE,
        f"{request.purpose.value} memory through r{request.register}, which is {request.pointer}: the key is gone",
        "copy the key in the callback, to memory of the caller",
    )

"""The lock in a value, `struct bpf_spin_lock`: what copies of the value leave alone, and what they may wait for.

    value   | … | lock (4) | … |        in    the lock stays what it is
                                        out   the lock is told as 0

With Flag.LOCK a copy is made while the lock is held, so that it is of one piece with what programs do under it.
Source: copy_map_value and copy_map_value_locked (include/linux/bpf.h, kernel/bpf/helpers.c).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from appliance.ebpf.spec import LOCK_SIZE
from appliance.ir import U64, Code, Pointer, lock
from appliance.maps.kind import Flag, Shape


def copy_in(code: Code, shape: Shape, value: Pointer, source: Pointer) -> None:
    """`source` becomes the value in the map."""
    if shape.lock is None:
        code.copy(value, source, shape.value_size)
        return
    behind = shape.lock + LOCK_SIZE
    code.copy(value, source, shape.lock)
    code.copy(code.at(value, behind), code.at(source, behind), shape.value_size - behind)


def copy_out(code: Code, shape: Shape, target: Pointer, value: Pointer) -> None:
    """The value in the map is copied to `target`."""
    code.copy(target, value, shape.value_size)
    if shape.lock is not None:
        code.fill(code.at(target, shape.lock), 0, LOCK_SIZE)


def without_lock(code: Code, shape: Shape, flags: U64) -> U64:
    """The flags but LOCK, which stays an error where there is no lock."""
    return flags if shape.lock is None else code.and_(flags, ~Flag.LOCK)


@contextmanager
def held(code: Code, shape: Shape, value: Pointer, flags: U64) -> Iterator[None]:
    """What is written in the `with` runs while the lock of the value is held, if the flags ask for that."""
    if shape.lock is None:
        yield
        return
    place, asked = code.at(value, shape.lock), code.compare(code.and_(flags, Flag.LOCK), "!=", 0)
    with code.if_(asked):
        lock.acquire(code, place)
    yield
    with code.if_(asked):
        lock.release(code, place)

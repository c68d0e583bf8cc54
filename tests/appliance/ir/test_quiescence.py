"""Native loops that announce themselves, while others take away what they read."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from llvmlite import ir

from appliance.epochs import Domain, NativeReader, assign_pointer
from appliance.ir import I64, PTR, Code, Engine
from appliance.ir.quiescence import QsbrReader

GOOD, POISON = 0x600D, 0xDEAD
ROUNDS = 3000
READS = 64  # of one batch


class Reading(ctypes.Structure):
    """What the native loop is given: its word, where the epoch and the published pointer are, and what it counts."""

    _fields_ = (
        ("word", ctypes.c_uint64),
        ("epoch", ctypes.c_uint64),
        ("published", ctypes.c_uint64),  # the address of a pointer to 8 bytes, GOOD while they are published
        ("stop", ctypes.c_uint64),
        ("nap", ctypes.c_uint64),  # whether it sleeps after every batch
        ("poisoned", ctypes.c_uint64),  # reads that found something else
        ("batches", ctypes.c_uint64),
    )


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """`void read(Reading *)`: batch after batch, take the pointer once and look behind it many times."""
    module = ir.Module("reader")
    code = Code.define(module, "read", I64, linkage="external", reading=PTR)

    def field(name: str) -> ir.Value:
        return code.field(code["reading"], Reading, name)

    state = QsbrReader(code, field("word").address, code.pointer(field("epoch").load()))
    pointer = code.field(code.pointer(field("published").load()), Reading, "word")  # 8 bytes
    state.online()
    with code.loop():
        held = code.field(code.pointer(pointer.load_acquire()), Reading, "word")
        with code.count(ir.Constant(I64, READS)), code.if_(code.compare(held.load_acquire(), "!=", GOOD)):
            field("poisoned").add(1)
        state.quiescent_state()
        field("batches").add(1)
        with code.if_(code.compare(field("stop").load_acquire(), "!=", 0)):
            state.offline()
            code.ret(0)
        with code.if_(code.compare(field("nap").load(), "!=", 0)):
            state.offline()
            state.online()
    code.builder.unreachable()
    with Engine(module) as compiled:
        yield compiled


@contextmanager
def reader(engine: Engine, domain: Domain, published: ctypes.c_uint64, nap: bool) -> Iterator[Reading]:
    block = Reading(epoch=domain.epoch_place, published=ctypes.addressof(published), nap=int(nap))
    registered = NativeReader("reader", ctypes.addressof(block))
    domain.register(registered)
    run = engine.function("read", None, ctypes.c_void_p)
    thread = threading.Thread(target=run, args=(ctypes.addressof(block),))
    thread.start()
    try:
        yield block
    finally:
        block.stop = 1
        thread.join()
        domain.unregister(registered)


@pytest.mark.parametrize("nap", [False, True], ids=["awake", "napping"])
@pytest.mark.parametrize("deferred", [False, True], ids=["synchronize", "retire"])
def test_nothing_is_poisoned_under_a_reader(engine: Engine, nap: bool, deferred: bool) -> None:
    """Cells are published in turn, and overwritten once nobody can read them: freed memory, as a test can see it."""
    domain = Domain()
    cells = [ctypes.c_uint64(GOOD) for _ in range(ROUNDS)]
    published = ctypes.c_uint64(ctypes.addressof(cells[0]))

    def poison(cell: ctypes.c_uint64) -> None:
        cell.value = POISON

    with reader(engine, domain, published, nap) as first, reader(engine, domain, published, not nap) as second:
        for before, after in pairwise(cells):
            assign_pointer(ctypes.addressof(published), ctypes.addressof(after))
            if deferred:
                domain.throttle()
                domain.retire(lambda before=before: poison(before))  # type: ignore[misc]
            else:
                domain.synchronize()
                poison(before)
        domain.synchronize()
    assert [cell.value for cell in cells] == [POISON] * (ROUNDS - 1) + [GOOD]
    assert (first.poisoned, second.poisoned) == (0, 0)
    assert first.batches > 0 < second.batches

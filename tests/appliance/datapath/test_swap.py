"""Code exchanged while workers run: from many threads at once, and when a worker does not come back."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from llvmlite import ir

from appliance.datapath.loop import PacketLoops
from appliance.datapath.worker import Run
from appliance.epochs import GracePeriodExpired, default_domain
from appliance.ir import I64, PTR, Code, Engine
from appliance.jit.entries import Entries
from hooks.contracts.xdp import XDP_LINUX
from tests.appliance.datapath.conftest import Box, obedient_engine, running_box
from tests.appliance.datapath.test_forwarding import PASS, frame

THREADS, SWAPS = 8, 40


class Gate(ctypes.Structure):
    """What a program that waits is given: `inside` is counted up, then it spins until `open`."""

    _fields_ = (("inside", ctypes.c_uint64), ("open", ctypes.c_uint64))


def waiting_engine(gate: Gate) -> Engine:
    """A loop around a program that lets no frame pass before the gate is open."""
    module = ir.Module("waiting")
    code = Code.define(module, "program_wait", I64, context=PTR)
    place = code.pointer(ir.Constant(I64, ctypes.addressof(gate)))
    code.field(place, Gate, "inside").add(1)
    with code.loop() as loop:
        loop.break_if(code.compare(code.field(place, Gate, "open").load_acquire(), "!=", 0))
    code.ret(2)
    PacketLoops(XDP_LINUX, "wait", "wait")(module, Entries({"wait": code.function}, ()))
    return Engine(module)


@contextmanager
def held(box: Box) -> Iterator[tuple[Gate, Engine]]:
    """The box's worker in the middle of a frame, in code of that engine; let go at the end."""
    gate = Gate()
    with waiting_engine(gate) as engine, box.net.outside.packet_socket() as near:
        box.datapath.swap(Run.of(engine))
        near.send(frame(PASS))
        try:
            for _ in range(500):
                if gate.inside:
                    break
                time.sleep(0.01)
            assert gate.inside == 1
            yield gate, engine
        finally:
            gate.open = 1


def test_many_threads_swap_at_once(engine: Engine) -> None:
    """All workers end with the code of one of them, and go on; each engine is freed while the others still swap."""
    with running_box(engine, workers=2) as box:

        def swap() -> None:
            for _ in range(SWAPS):
                with Engine(engine.code) as mine:
                    box.datapath.swap(Run.of(mine))
                box.datapath.swap(Run.of(engine))

        threads = [threading.Thread(target=swap) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        with box.net.outside.packet_socket() as near, box.net.inside.packet_socket() as far:
            while any(thread.is_alive() for thread in threads):
                near.send(*(frame(PASS, number=number) for number in range(20)))
                time.sleep(0.005)
            far.drain()
            assert {worker.block.batch for worker in box.datapath._threads} == {engine.address("batch")}
            near.send(frame(PASS, number=7))
            assert far.receive(1) == [frame(PASS, number=7)]
        assert all(progress.alive for progress in box.datapath.progress())
    default_domain.synchronize()
    assert default_domain.statistics().retired == 0


def test_a_worker_that_hangs_is_named_and_keeps_its_code(engine: Engine) -> None:
    with running_box(engine) as box, box.net.outside.packet_socket() as near, box.net.inside.packet_socket() as far:
        with held(box) as (_, code):
            with pytest.raises(GracePeriodExpired, match=r"^waited 0.05 s for worker 0: no quiescent state\n"):
                box.datapath.swap(Run.of(engine), timeout=0.05)
            code.close()
            assert default_domain.reclaim() >= 1, "the code that it is in"
            (progress,) = box.datapath.progress()
            assert (progress.offline, progress.alive) == (False, True)
            assert box.datapath.progress() == (progress,), "it does not come any further"
        default_domain.synchronize()
        assert default_domain.statistics().retired == 0
        assert far.receive(1) == [frame(PASS)]
        near.send(frame(PASS, number=1))
        assert far.receive(1) == [frame(PASS, number=1)]


def test_a_worker_that_does_not_end_keeps_its_rings(engine: Engine) -> None:
    with running_box(engine) as box:
        with held(box), pytest.raises(GracePeriodExpired, match=r"^waited 0.05 s for worker 0: "):
            box.datapath.halt(timeout=0.05)
        box.datapath.halt()
        (progress,) = box.datapath.progress()
        assert (progress.offline, progress.alive) == (True, False)
        assert box.datapath.statistics()["outside"].received.packets == 1


def test_a_worker_without_frames_sleeps_and_is_not_waited_for(engine: Engine) -> None:
    with running_box(engine) as box:
        for _ in range(500):
            if box.datapath.progress()[0].offline:
                break
            time.sleep(0.01)
        sleeps = box.datapath._threads[0].block.sleeps
        with obedient_engine() as other:
            box.datapath.swap(Run.of(other), timeout=0.0)
            assert box.datapath._threads[0].block.sleeps == sleeps, "nobody has woken it"
            box.datapath.swap(Run.of(engine))

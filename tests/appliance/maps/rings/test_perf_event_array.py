"""Perf event arrays: what programs are answered in every engine, what comes of a frame, and what is lost."""

from __future__ import annotations

import errno
import threading

import pytest

from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from appliance.helpers.model.table import python_helpers
from appliance.jit.collection import Collection
from appliance.maps import MapRefused, OperationRefused, model, open_map
from appliance.maps.control.perf_buffer import PerfBuffer
from appliance.maps.model.perf_event_array import ModelPerfEventArray
from appliance.maps.rings.perf_event_array import DATA_SIZE
from hooks.contracts.xdp import FrameContext
from tests.appliance.jit.support import Frame, run_loaded, run_loops
from tests.appliance.maps.three_engines import ANSWER, FOLD, check, program, told
from tests.capabilities import requires

ARRAY = MapSpec("m", MapType.PERF_EVENT_ARRAY, 4, 4, 4)
CURRENT = 0xFFFFFFFF
FRAME = bytes(range(64))


def step(flags: int, size: int = 8) -> str:
    head = f"*(u64 *)(r10 - 8) = {0x55}; r4 = r10; r4 += -8; r5 = {size}; r3 = {flags} ll; r2 = map[m] ll; r1 = r6;"
    return f"{head} call perf_event_output; {FOLD}"


def sending(*steps: str) -> ProgramSpec:
    return program(["r6 = r1;", *steps])


@requires("bpf")
@pytest.mark.parametrize("flags", [CURRENT, 0, 1, 3, 4, 1 << 52, 1 << 63])
def test_without_a_listener_every_engine_refuses_alike(flags: int) -> None:
    check(["r6 = r1;", step(flags), step(flags, 0)], ARRAY)


@pytest.mark.parametrize("length", [0, 1, 10, 64, 65])
def test_bytes_of_the_frame_in_both_engines(length: int) -> None:
    spec, frame = sending(step(CURRENT | length << 32)), Frame(FRAME)
    samples: list[tuple[int, bytes]] = []
    collection = CollectionSpec("test.o", "linux", {"test": spec}, {"m": ARRAY, "answer": ANSWER})
    with Collection.load(collection, loops=run_loops) as loaded:
        with PerfBuffer(loaded.maps["m"], lambda worker, data: samples.append((worker, data))) as events:
            run_loaded(loaded, "test", frame.context)
            events.consume()
        answer = told(loaded.maps["answer"].lookup(bytes(4)))
    twin, answers = ModelPerfEventArray(ARRAY), model(ANSWER)
    twin.is_open = True
    context = Context(spec.hook, FrameContext(), PacketMemory(FRAME))
    Interpreter(spec, {"m": twin, "answer": answers}, python_helpers()).run(context)
    assert answer == told(answers.lookup(bytes(4))) == (0 if length <= 64 else (1 << 64) - errno.EFAULT)
    assert [data for _, data in samples] == twin.drain()
    assert samples == ([(0, (0x55).to_bytes(8, "little") + FRAME[:length])] if length <= 64 else [])


def test_a_full_ring_counts_what_it_loses() -> None:
    fits, lost = DATA_SIZE // 24, 5
    heard: list[object] = []
    collection = CollectionSpec("test.o", "linux", {"test": sending(step(CURRENT))}, {"m": ARRAY, "answer": ANSWER})
    with Collection.load(collection, loops=run_loops, processors=2) as loaded:
        events = PerfBuffer(
            loaded.maps["m"], lambda worker, data: heard.append(worker), lambda worker, number: heard.append(-number)
        )
        frame = Frame(FRAME)
        frame.context.processor_id = 1
        with events:
            for _ in range(fits + lost):
                run_loaded(loaded, "test", frame.context)
            assert events.consume() == fits
            run_loaded(loaded, "test", frame.context)
            assert events.poll(0) == 2
    assert heard == [1] * fits + [-lost, 1]


def test_two_workers_and_a_listener_lose_nothing() -> None:
    each, heard = 5000, [0, 0]

    def count(worker: int, data: bytes) -> None:
        heard[worker] += 1

    collection = CollectionSpec("test.o", "linux", {"test": sending(step(CURRENT))}, {"m": ARRAY, "answer": ANSWER})
    with Collection.load(collection, loops=run_loops, processors=2) as loaded, PerfBuffer(loaded.maps["m"], count) as e:

        def work(worker: int) -> None:
            frame = Frame(FRAME)
            frame.context.processor_id = worker
            for _ in range(each):
                run_loaded(loaded, "test", frame.context)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(2)]
        for thread in threads:
            thread.start()
        while sum(heard) < 2 * each:
            assert e.poll(30) > 0, "nobody woke the listener"
        for thread in threads:
            thread.join()
    assert heard == [each, each]


def test_declarations_and_operations_that_are_refused() -> None:
    with pytest.raises(MapRefused, match="a key of 8 and a value of 4 bytes"):
        open_map(MapSpec("m", MapType.PERF_EVENT_ARRAY, 8, 4, 1))
    with open_map(MapSpec("h", MapType.HASH, 4, 4, 1)) as other, pytest.raises(OperationRefused):
        PerfBuffer(other, print)

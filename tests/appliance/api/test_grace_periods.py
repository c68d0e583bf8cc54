"""What is taken out, replaced or closed while a worker holds it: kept until the worker has passed, whoever waits.

The worker is held in the middle of a frame by the program itself, which walks a loop until the test says `leave`. The
maps and programs that it found before are then taken away by another object, one that has no worker of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from appliance.api import GracePeriodExpired, Link, Loaded, Object, Pins, open_object, synchronize
from appliance.epochs import default_domain
from appliance.maps import MapOfMaps, open_map
from appliance.maps.control.map import Map
from appliance.maps.control.prog_array import ProgArray
from tests.appliance.ebpf.compiling import compile_c
from tests.netns import Topology, run_inside

KEY = bytes(4)
FRAME = bytes.fromhex("020000000002020000000001") + b"\x88\xb5" + bytes(46)

HOLDING = """
__u64 leave;
__u64 inside;

static __always_inline long left(void) { return __sync_fetch_and_add(&leave, 0) != 0; }
static long inner_turn(__u32 index, void *context) { return left(); }
static long turn(__u32 index, void *context) { bpf_loop(1 << 23, inner_turn, context, 0); return left(); }
static __always_inline void wait(void) {
    __u64 nothing = 0;
    __sync_fetch_and_add(&inside, 1);
    bpf_loop(1 << 23, turn, &nothing, 0);
}
"""
NESTED = (
    HOLDING
    + """
struct inner { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 100000);
               __type(key, __u32); __type(value, __u64); };
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 1); __type(key, __u32);
         __uint(pinning, LIBBPF_PIN_BY_NAME); __array(values, struct inner); } outer SEC(".maps");
SEC("xdp") int count(struct xdp_md *ctx) {
    __u32 key = 0; __u64 one = 1, *known; void *found = bpf_map_lookup_elem(&outer, &key);
    if (!found) return XDP_DROP;
    wait();
    if ((known = bpf_map_lookup_elem(found, &key))) *known += 1; else bpf_map_update_elem(found, &key, &one, 0);
    return XDP_PASS;
}
"""
)
ARRAYS = (
    HOLDING
    + """
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32);
         __uint(pinning, LIBBPF_PIN_BY_NAME); } programs SEC(".maps");
SEC("xdp") int lead(struct xdp_md *ctx) { bpf_tail_call(ctx, &programs, 0); return XDP_DROP; }
SEC("xdp") int linger(struct xdp_md *ctx) { wait(); return XDP_PASS; }
SEC("xdp") int drop(struct xdp_md *ctx) { return XDP_DROP; }
"""
)


def opened(source: str) -> Object:
    return open_object(compile_c(source))


def eventually(condition: object) -> None:
    for _ in range(1000):
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.01)
    raise AssertionError(condition)


@contextmanager
def attached(topology: Topology, loaded: Loaded, program: str) -> Iterator[Link]:
    with run_inside(topology.box, lambda: loaded.programs[program].attach("outside", "inside")) as link:
        yield link


def number(loaded: Loaded, variable: str) -> int:
    return int.from_bytes(loaded.variables[variable], "little")


def fill(variables: Map) -> None:
    """`leave` is one of them, and all are something else than 0 now."""
    variables.update(KEY, b"\x01" * variables.spec.value_size)


def let_go(loaded: Loaded) -> None:
    fill(loaded.maps[".bss"])


@contextmanager
def held(topology: Topology, loaded: Loaded, program: str, inside: Loaded) -> Iterator[None]:
    """A worker of `loaded` in the middle of a frame, where `inside` says that it has arrived; let go at the end."""
    variables = inside.maps[".bss"]
    variables.hold()
    with attached(topology, loaded, program), topology.outside.packet_socket() as near:
        near.send(FRAME)
        eventually(lambda: number(inside, "inside") == 1)
        try:
            yield
        finally:
            fill(variables)
            variables.release()


def inner_map(outer: Map) -> Map:
    assert isinstance(outer, MapOfMaps)
    return open_map(outer.inner)


def test_a_map_that_another_object_takes_out(topology: Topology) -> None:
    """The pinned map of maps is used by an object that has no worker, and by one whose worker is in the map."""
    with Pins() as pins, opened(NESTED).load(pins=pins) as idle, opened(NESTED).load(pins=pins) as busy:
        outer = idle.maps["outer"]
        assert isinstance(outer, MapOfMaps)
        with ExitStack() as mine:
            first, second = (mine.enter_context(inner_map(outer)) for _ in range(2))
            outer[KEY] = first
            with held(topology, busy, "count", busy):
                outer[KEY] = second
                first.close()
                with pytest.raises(GracePeriodExpired, match=r"^waited 0.05 s for worker 0: no quiescent state"):
                    synchronize(0.05)
                assert not first.closed
                assert first.lookup(KEY) is None, "its memory is there"
                let_go(busy)
                synchronize()
                assert first.closed
                assert default_domain.statistics().retired == 0
                with topology.outside.packet_socket() as near, topology.inside.packet_socket() as far:
                    near.send(FRAME)
                    assert far.receive(1) == [FRAME]
                assert second.lookup(KEY) == (1).to_bytes(8, "little")


def test_a_program_of_an_object_that_is_closed(topology: Topology) -> None:
    """The worker is in a program that another object put into the pinned array, and took out again."""
    with Pins() as pins, opened(ARRAYS).load(pins=pins) as leader, opened(ARRAYS).load() as other:
        array = leader.maps["programs"]
        assert isinstance(array, ProgArray)
        array[0] = other.programs["linger"]
        engine = other.open_collection().engine
        with held(topology, leader, "lead", other):
            del array[0]
            inside = other.maps[".bss"]
            inside.hold()  # to let the program go: it reads this map
            other.close()
            assert engine.address(engine.code.exports[0]), "the worker is in it"
            fill(inside)
            synchronize()
            inside.release()
            with pytest.raises(RuntimeError, match="the engine is closed"):
                engine.address(engine.code.exports[0])


def test_an_object_is_closed_during_a_test_run() -> None:
    """The run goes on in code and maps that nobody else can find any more."""
    loaded = opened(ARRAYS).load()
    maps = loaded.maps[".bss"]
    maps.hold()
    runs: list[object] = []
    thread = threading.Thread(target=lambda: runs.append(loaded.programs["linger"].test_run(FRAME).retval))
    thread.start()
    eventually(lambda: number(loaded, "inside") == 1)
    loaded.close()
    with pytest.raises(GracePeriodExpired, match=r"^waited 0.05 s for .*a test run of `linger` \(thread \d+\)"):
        synchronize(0.05)
    fill(maps)
    thread.join()
    maps.release()
    assert runs == [2]
    synchronize()
    assert default_domain.statistics().retired == 0


def test_objects_come_and_go_on_pinned_maps_while_a_worker_runs(topology: Topology) -> None:
    """Reuse under load: inner maps are exchanged, and objects that share the pinned maps loaded, run and closed."""
    with Pins() as pins, opened(NESTED).load(pins=pins) as busy, ExitStack() as ending:
        let_go(busy)
        outer = busy.maps["outer"]
        assert isinstance(outer, MapOfMaps)
        outer[KEY] = ending.enter_context(inner_map(outer))
        stop = threading.Event()
        near = ending.enter_context(topology.outside.packet_socket())
        link = ending.enter_context(attached(topology, busy, "count"))

        def send() -> None:
            while not stop.is_set():
                near.send(*[FRAME] * 16)

        def exchange() -> None:
            while not stop.is_set():
                with inner_map(outer) as map_:
                    outer[KEY] = map_

        threads = [threading.Thread(target=action) for action in (send, exchange, exchange)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                with opened(NESTED).load(pins=pins) as other:
                    let_go(other)
                    assert other.programs["count"].test_run(FRAME, repeat=1000).retval == 2
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        eventually(lambda: link.statistics()["outside"].received.packets > 0)
        synchronize()
        assert default_domain.statistics().retired == 0

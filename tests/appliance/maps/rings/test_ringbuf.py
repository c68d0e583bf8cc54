"""Ring buffers: against the model, with several native producers, and what a consumer is woken for."""

from __future__ import annotations

import ctypes
import os
import select
import threading
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import MapFull, MapRefused, OperationRefused, open_map
from appliance.maps.control.ring_buffer import RingBuffer
from appliance.maps.model.ringbuf import ModelRingBuffer
from appliance.maps.rings.ringbuf_layout import AVAIL_DATA, CONS_POS, FORCE_WAKEUP, NO_WAKEUP, PROD_POS, RING_SIZE
from tests.appliance.maps.rings.native_ring import PAGE, NativeRing, ring_spec

# A ring of one page takes few of these; the last never fits.
SIZES = st.sampled_from([0, 1, 7, 8, 9, 100, 1000, 1337, 2040, 4080, 4088]) | st.integers(0, 600)
FLAGS = st.sampled_from([0, 0, 0, NO_WAKEUP, FORCE_WAKEUP, NO_WAKEUP | FORCE_WAKEUP])


def woken(descriptor: int) -> int:
    """How often since the last question."""
    return os.eventfd_read(descriptor) if select.select([descriptor], [], [], 0)[0] else 0


class Twins(RuleBasedStateMachine):
    """The native ring and the model, side by side. Records that are reserved stay busy until a later step."""

    def __init__(self) -> None:
        super().__init__()
        self.native, self.model = NativeRing(ring_spec()), ModelRingBuffer(ring_spec())
        self.busy: list[tuple[int, bytearray]] = []
        self.counted = 0

    def teardown(self) -> None:
        self.native.map.close()

    @rule(size=SIZES, byte=st.integers(0, 255), flags=FLAGS | st.sampled_from([4, 1 << 32]))
    def output(self, size: int, byte: int, flags: int) -> None:
        data = bytes([byte]) * size
        assert self.native.output(data, flags) == self.model.output(data, flags)

    @rule(size=SIZES | st.sampled_from([1 << 30, 1 << 63]), byte=st.integers(0, 255), flags=st.sampled_from([0, 0, 1]))
    def reserve(self, size: int, byte: int, flags: int) -> None:
        record, twin = self.native.reserve(size, flags), self.model.reserve(size, flags)
        assert (record is None) == (twin is None)
        if record is not None and twin is not None:
            ctypes.memset(record, byte, size)
            twin[:] = bytes([byte]) * size
            self.busy.append((record, twin))

    @precondition(lambda self: self.busy)
    @rule(which=st.randoms(use_true_random=False), flags=FLAGS, discard=st.booleans())
    def commit(self, which: object, flags: int, discard: bool) -> None:
        record, twin = self.busy.pop(which.randrange(len(self.busy)))  # type: ignore[attr-defined]
        self.native.commit(record, flags, discard=discard)
        self.model.commit(twin, flags, discard=discard)

    @rule()
    def drain(self) -> None:
        assert self.native.drain() == self.model.drain()

    @invariant()
    def it_says_the_same(self) -> None:
        for what in (AVAIL_DATA, RING_SIZE, CONS_POS, PROD_POS, 17):
            assert self.native.query(what) == self.model.query(what)
        self.counted += woken(self.native.map.wake_descriptor())
        assert self.counted == self.model.woken
        assert len(self.native.map) == len(self.model)


def test_native_and_model_agree() -> None:
    run_state_machine_as_test(Twins, settings=settings(max_examples=60, stateful_step_count=60, deadline=None))


def test_a_record_that_wraps_lies_in_one_piece() -> None:
    with NativeRing(ring_spec()) as ring:
        for number in range(1, 2000):
            data = number.to_bytes(4, "little") * (number % 200)
            assert ring.output(data) == 0
            assert ring.drain() == [data]


def test_a_busy_head_holds_back_what_is_behind_it() -> None:
    with NativeRing(ring_spec()) as ring:
        head = ring.reserve(4)
        assert head is not None
        assert ring.output(b"behind") == 0
        assert ring.drain() == []
        ctypes.memmove(head, b"head", 4)
        ring.commit(head)
        assert ring.drain() == [b"head", b"behind"]


@pytest.mark.parametrize("producers", [1, 3])
def test_several_native_producers_lose_and_double_nothing(producers: int) -> None:
    """Each producer's records come in its own order, and every record that was taken comes once."""
    each = 20_000
    received: list[list[int]] = [[] for _ in range(producers)]

    def handle(record: bytes) -> None:
        received[int.from_bytes(record[:4], "little")].append(int.from_bytes(record[4:8], "little"))
        assert record[8:] == record[4:5] * (len(record) - 8)

    def produce(who: int) -> None:
        for number in range(each):
            data = who.to_bytes(4, "little") + number.to_bytes(4, "little")
            data += data[4:5] * (number % 50)
            while ring.output(data) != 0:
                time.sleep(0)

    with NativeRing(ring_spec(PAGE)) as ring, RingBuffer(ring.map, handle) as consumer:
        threads = [threading.Thread(target=produce, args=(who,)) for who in range(producers)]
        for thread in threads:
            thread.start()
        while sum(map(len, received)) < producers * each:
            assert consumer.poll(30) > 0, "nobody woke the consumer"
        for thread in threads:
            thread.join()
        assert consumer.poll(0) == 0
    assert received == [list(range(each))] * producers


def test_a_consumer_that_is_behind_is_not_called() -> None:
    """Only the record at which it has stopped wakes it; what was taken and not handled yet is handed over."""
    with NativeRing(ring_spec()) as ring:
        descriptor = ring.map.wake_descriptor()
        for _ in range(5):
            assert ring.output(b"event") == 0
        assert woken(descriptor) == 1
        assert ring.output(b"event", FORCE_WAKEUP) == 0
        assert woken(descriptor) == 1
        assert len(ring.drain()) == 6
        assert ring.output(b"quiet", NO_WAKEUP) == 0
        assert woken(descriptor) == 0


def test_poll_waits_no_longer_than_it_may() -> None:
    with open_map(ring_spec()) as events, RingBuffer(events, print) as consumer:
        assert consumer.poll(0.01) == 0
        threading.Timer(0.05, events.output, (b"event",)).start()
        assert consumer.poll(30) == 1


def test_one_consumer_for_several_maps_and_ones_own_loop() -> None:
    seen: list[tuple[str, bytes]] = []
    with (
        open_map(ring_spec()) as first,
        open_map(ring_spec(name="more")) as second,
        RingBuffer(first, lambda record: seen.append(("first", record))) as consumer,
    ):
        consumer.add(second, lambda record: seen.append(("second", record)))
        assert not select.select([consumer.fileno()], [], [], 0)[0]
        first.output(b"1")
        second.output(b"2")
        assert select.select([consumer.fileno()], [], [], 0)[0]
        assert consumer.consume() == 2
        assert not select.select([consumer.fileno()], [], [], 0)[0]
    assert seen == [("first", b"1"), ("second", b"2")]


def test_what_a_handler_raises_costs_no_other_record() -> None:
    seen: list[bytes] = []

    def handle(record: bytes) -> None:
        if record == b"bad":
            raise ValueError(record)
        seen.append(record)

    with open_map(ring_spec()) as events, RingBuffer(events, handle) as consumer:
        for record in (b"one", b"bad", b"two"):
            events.output(record)
        with pytest.raises(ValueError, match="bad"):
            consumer.poll(0)
        assert (consumer.poll(0), seen) == (1, [b"one", b"two"])


def test_the_consumer_keeps_the_map() -> None:
    events = open_map(ring_spec())
    with RingBuffer(events, print):
        events.output(b"event")
        events.close()
        assert not events.closed
    assert events.closed


def test_a_handler_may_close_the_consumer() -> None:
    """The descriptor that it waited for is the map's, and may be another file's by then: nobody writes to it."""
    events = open_map(ring_spec())
    seen: list[bytes] = []

    def handle(record: bytes) -> None:
        seen.append(record)
        consumer.close()

    consumer = RingBuffer(events, handle)
    for record in (b"one", b"two"):
        events.output(record)
    events.close()
    assert (consumer.poll(0), seen) == (1, [b"one"])
    assert events.closed


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (MapSpec("m", MapType.RINGBUF, 4, 0, PAGE), "map 'm' (ringbuf): a key of 4 bytes\n  hint: a ringbuf has no"),
        (MapSpec("m", MapType.RINGBUF, 0, 8, PAGE), "map 'm' (ringbuf): a value of 8 bytes\n  hint: a ringbuf has no"),
        (MapSpec("m", MapType.RINGBUF, 0, 0, 5000), "map 'm' (ringbuf): max_entries is 5000\n  hint: a ringbuf's max"),
        (MapSpec("m", MapType.RINGBUF, 0, 0, 2048), "map 'm' (ringbuf): max_entries is 2048\n  hint: a ringbuf's max"),
        (MapSpec("m", MapType.RINGBUF, 0, 0, PAGE, flags=1), "map 'm' (ringbuf): map_flags 0x1 mean nothing here"),
    ],
)
def test_declarations_that_no_ring_can_be_made_of(spec: MapSpec, message: str) -> None:
    with pytest.raises(MapRefused) as refused:
        open_map(spec)
    assert str(refused.value).startswith(message)


def test_rings_and_other_maps_say_what_they_have() -> None:
    with open_map(ring_spec()) as events, open_map(MapSpec("h", MapType.HASH, 4, 4, 2)) as hash:
        for refused, what in (
            (lambda: events.lookup(b""), "map 'events': a map of type ringbuf has no lookup"),
            (events.pop, "map 'events': a map of type ringbuf has no pop"),
            (lambda: hash.output(b"event"), "map 'h': a map of type hash has no output"),
            (lambda: RingBuffer(hash, print), "map 'h': a map of type hash has no wake_descriptor"),
            (lambda: events.output(b"event", 4), "map 'events': this kind of map can't do that"),
        ):
            with pytest.raises(OperationRefused) as error:
                refused()
            assert str(error.value).startswith(what)
        events.output(bytes(4000))
        with pytest.raises(MapFull, match=r"^map 'events': it is full"):
            events.output(bytes(100))


def test_reset_empties_it() -> None:
    with open_map(ring_spec()) as events:
        events.output(b"event")
        events.reset()
        assert (len(events), events.query(PROD_POS)) == (0, 0)
        events.output(b"event")
        assert woken(events.wake_descriptor()) == 2

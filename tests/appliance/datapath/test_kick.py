"""What waits in the transmit ring: against a model of the kernel with a clock of its own, then against Linux."""

from __future__ import annotations

import ctypes
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from llvmlite import ir

from appliance.datapath.kick import ALL_WAIT, FIRST_WAITS, emit_flush
from appliance.datapath.layout import VNET_SIZE, Port
from appliance.ir import I32, I64, PTR, VOID, Code, Engine, Value
from hooks.contracts.contract import Verdict
from hooks.linux import if_packet as kernel
from hooks.linux.socket import EAGAIN, ENOBUFS
from tests.appliance.datapath.conftest import Box
from tests.appliance.datapath.test_forwarding import PASS, frame

ENETDOWN = 100
SLOTS, SLOT_SIZE = 8, 64
SEND = ctypes.CFUNCTYPE(ctypes.c_int64, use_errno=True)


class Kernel:
    """The sending end of a ring as tpacket_snd (net/packet/af_packet.c) has it, with PACKET_LOSS.

    `takes` says of a frame's length whether it is sent (0), or with which errno the kick ends; `down` ends it before.
    """

    def __init__(self) -> None:
        self.ring = (ctypes.c_uint8 * (SLOTS * SLOT_SIZE))()
        self.port = Port(transmit_ring=ctypes.addressof(self.ring), transmit_slots=SLOTS, slot_size=SLOT_SIZE)
        self.head = 0
        self.sent: list[int] = []
        self.now = 1_000_000_000
        self.down = False
        self.takes: Callable[[int], int] = lambda length: 0

    def slot(self, index: int) -> kernel.tpacket2_hdr:
        return kernel.tpacket2_hdr.from_buffer(self.ring, index * SLOT_SIZE)

    def send(self) -> int:
        total = 0
        if self.down:
            ctypes.set_errno(ENETDOWN)
            return -1
        while (slot := self.slot(self.head)).tp_status == kernel.TP_STATUS_SEND_REQUEST:
            length = slot.tp_len - VNET_SIZE
            if length >= 0 and (error := self.takes(length)):
                ctypes.set_errno(error)
                return total if error == EAGAIN and total else -1  # the socket's own memory: what was sent counts
            if length >= 0:
                self.sent.append(length)
                total += length
            slot.tp_status = kernel.TP_STATUS_AVAILABLE
            self.head = (self.head + 1) % SLOTS
        return total

    def put(self, *lengths: int) -> None:
        """What `transmit` does with a frame once it has found a free slot."""
        for length in lengths:
            slot = self.slot(self.port.transmit_next)
            assert slot.tp_status == kernel.TP_STATUS_AVAILABLE
            slot.tp_len, slot.tp_status = length + VNET_SIZE, kernel.TP_STATUS_SEND_REQUEST
            self.port.transmit_next = (self.port.transmit_next + 1) % SLOTS
            self.port.transmit_pending += 1
            self.port.transmit_pending_bytes += length

    @property
    def counts(self) -> tuple[int, int, int]:
        """Sent, failed, still waiting."""
        counters = self.port.counters
        assert counters.transmitted_packets == len(self.sent)
        assert counters.transmitted_bytes == sum(self.sent)
        return counters.transmitted_packets, counters.transmit_failed, self.port.transmit_pending


def _stand_in(module: ir.Module, name: str, result: ir.Type, address: int, **parameters: ir.Type) -> tuple[Code, Value]:
    """Define a function of the C library as a call of this process's function at `address`."""
    code = Code.define(module, name, result, **parameters)
    callee = code.builder.inttoptr(ir.Constant(I64, address), ir.FunctionType(I64, []).as_pointer())
    return code, code.call(callee)


@contextmanager
def flushing() -> Iterator[tuple[Kernel, Callable[[], None]]]:
    """The model, and a kick of its ring by the native code."""
    model = Kernel()
    send, now = SEND(model.send), SEND(lambda: model.now)
    module = ir.Module("kick")
    code, answer = _stand_in(
        module, "send", I64, ctypes.cast(send, ctypes.c_void_p).value or 0, fd=I32, data=PTR, size=I64, flags=I32
    )
    code.ret(answer)
    code, answer = _stand_in(
        module, "clock_gettime", I32, ctypes.cast(now, ctypes.c_void_p).value or 0, clock=I32, time=PTR
    )
    code.store(code.builder.udiv(answer, ir.Constant(I64, 10**9)), code["time"])
    code.store(code.builder.urem(answer, ir.Constant(I64, 10**9)), code.at(code["time"], 8))
    code.ret(0)
    entry = Code.define(module, "kick", VOID, linkage="external", port=PTR)
    entry.call(emit_flush(module), entry["port"])
    entry.ret()
    with Engine(module) as engine:
        kick = engine.function("kick", None, ctypes.c_void_p)
        yield model, lambda: kick(ctypes.addressof(model.port))


@pytest.fixture
def ring() -> Iterator[tuple[Kernel, Callable[[], None]]]:
    with flushing() as made:
        yield made


Ring = tuple[Kernel, Callable[[], None]]


def test_all_is_taken(ring: Ring) -> None:
    model, kick = ring
    for _ in range(5):
        model.put(10, 20, 30)
        kick()
    assert model.counts == (15, 0, 0)


def test_a_short_stall_loses_nothing_however_often_it_is_kicked(ring: Ring) -> None:
    model, kick = ring
    model.put(*range(1, SLOTS + 1))
    model.takes = lambda length: ENOBUFS
    for _ in range(1000):
        kick()
        model.now += FIRST_WAITS // 1001
    assert model.counts == (0, 0, SLOTS)
    model.takes = lambda length: 0
    kick()
    assert model.counts == (SLOTS, 0, 0)
    assert model.sent == list(range(1, SLOTS + 1))


def test_less_than_everything_is_not_everything(ring: Ring) -> None:
    """The socket's memory was used up in the middle: what the kernel did not take is neither sent nor forgotten."""
    model, kick = ring
    model.put(10, 20, 30)
    model.takes = lambda length: EAGAIN if length == 20 else 0
    kick()
    assert model.counts == (1, 0, 2)
    model.takes = lambda length: 0
    kick()
    assert model.counts == (3, 0, 0)


def test_a_frame_that_is_never_taken_goes_alone(ring: Ring) -> None:
    model, kick = ring
    model.takes = lambda length: ENOBUFS if length == 30 else 0
    model.put(10, 20, 30, 40, 50)
    kick()
    model.now += FIRST_WAITS
    kick()
    kick()
    assert model.counts == (4, 1, 0)
    assert model.sent == [10, 20, 40, 50]


def test_when_nothing_leaves_all_goes_and_the_ring_is_free(ring: Ring) -> None:
    model, kick = ring
    model.takes = lambda length: ENOBUFS
    model.put(*[10] * SLOTS)
    kick()
    model.now += ALL_WAIT
    kick()
    assert model.counts == (0, SLOTS, 0)
    model.takes = lambda length: 0
    model.put(*range(1, SLOTS + 1))
    kick()
    assert model.sent == list(range(1, SLOTS + 1))
    assert model.counts == (SLOTS, SLOTS, 0)


def test_an_interface_that_is_down_takes_nothing(ring: Ring) -> None:
    model, kick = ring
    model.put(5)
    kick()
    for _ in range(3):
        model.down = True
        model.put(*[10] * SLOTS)
        kick()
        model.down = False
        model.put(20)
        kick()
    assert model.sent == [5, 20, 20, 20]
    assert model.counts == (4, 3 * SLOTS, 0)


def test_every_frame_leaves_once_in_order_or_is_counted(ring: Ring) -> None:
    """A device that takes, refuses, stalls and vanishes as chance has it."""
    model, kick = ring
    chance = random.Random(7)
    put: list[int] = []
    moods = [
        lambda length: 0,
        lambda length: ENOBUFS,
        lambda length: EAGAIN,
        lambda length: ENOBUFS * (length % 3 == 0),
    ]
    for number in range(20_000):
        if chance.random() < 0.05:
            model.takes, model.down = chance.choice(moods), chance.random() < 0.1
        if model.slot(model.port.transmit_next).tp_status == kernel.TP_STATUS_AVAILABLE:
            model.put(number)
            put.append(number)
        if chance.random() < 0.5:
            kick()
        model.now += chance.choice((1_000, FIRST_WAITS // 2, ALL_WAIT // 3))
    model.takes, model.down = moods[0], False
    kick()
    sent, failed, waiting = model.counts
    assert (sent + failed, waiting) == (len(put), 0)
    assert min(sent, failed) > 1000, "chance was one-sided; this test would prove nothing"
    assert model.sent == sorted(set(model.sent))


def _admin(box: Box, up: bool) -> None:
    box.net.box.set_up("inside", up=up)


def _carrier(box: Box, up: bool) -> None:
    box.net.inside.set_up("eth0", up=up)


@pytest.mark.parametrize("frames", [20, 3000])
@pytest.mark.parametrize("switch", [_admin, _carrier], ids=["admin down", "carrier lost"])
def test_frames_cross_again_when_the_way_out_is_back(
    box: Box, switch: Callable[[Box, bool], None], frames: int
) -> None:
    later = [frame(PASS, number=1000 + n) for n in range(20)]
    with box.net.outside.packet_socket() as near:
        switch(box, False)
        for _ in range(frames):
            near.send(frame(PASS))
        time.sleep(0.5)  # longer than any frame may wait
        switch(box, True)
        with box.net.inside.packet_socket() as far:
            far.receive(1, 0.2)  # an interface that comes up may say so
            near.send(*later)
            assert [got for got in far.receive(20) if got in later] == later
    seen = box.datapath.statistics()
    assert seen["inside"].transmitted.packets == 20
    errors = seen["inside"].transmit_errors
    assert errors["refused"] + errors["ring_full"] == frames
    assert seen["outside"].verdicts[Verdict.PASS].packets == frames + 20


def test_a_frame_that_the_other_end_refuses_holds_up_no_other(box: Box) -> None:
    """The other end of a veth pair with a smaller MTU: the kernel says of such a frame that there was no room."""
    box.net.inside.set_link("eth0", mtu=1400)
    good = [frame(PASS, number=n) for n in range(200)]
    mixed = [each for pair in zip(good, [frame(PASS, size=1500)] * 200, strict=True) for each in pair][:220]
    with box.net.outside.packet_socket() as near, box.net.inside.packet_socket() as far:
        near.send(*mixed)
        assert far.receive(110) == good[:110]
    deadline = time.monotonic() + 5
    while box.datapath.statistics()["inside"].transmit_errors["refused"] < 110 and time.monotonic() < deadline:
        time.sleep(0.01)
    seen = box.datapath.statistics()["inside"]
    assert seen.transmit_errors["refused"] == 110
    assert seen.transmitted.packets == 110


def test_what_waits_at_the_end_counts_as_failed(box: Box) -> None:
    """A worker that is ended while the way out is closed: what never left was not sent."""
    _carrier(box, False)
    with box.net.outside.packet_socket() as near:
        near.send(*[frame(PASS)] * 100)
        box.datapath.halt()
    box.datapath.halt()
    seen = box.datapath.statistics()
    assert seen["outside"].verdicts[Verdict.PASS].packets > 0
    assert seen["inside"].transmit_errors["refused"] == seen["outside"].verdicts[Verdict.PASS].packets

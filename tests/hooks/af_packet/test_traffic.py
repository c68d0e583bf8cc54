"""Bursts of prepared frames, and their exact count where they arrive."""

from __future__ import annotations

import pytest

from hooks.af_packet.counters import FrameCounter
from hooks.af_packet.generator import FrameGenerator
from tests.netns import Topology

pytestmark = pytest.mark.netns


def frame(source: str, number: int) -> bytes:
    return bytes.fromhex("020000000002" + source + "88b5") + number.to_bytes(4, "big").ljust(46 + number % 3, b"\0")


def test_a_burst_leaves_as_it_lies_in_the_buffer(topology: Topology) -> None:
    frames = [frame("020000000001", number) for number in range(10)]
    with topology.bridge(), topology.inside.packet_socket() as far:
        with topology.outside.entered(), FrameGenerator("eth0", frames) as generator:
            assert generator.send(3, 4) == 4
            assert far.receive(4) == frames[3:7]
            generator.buffer[generator.offsets[5] + 14] = 0xAA
            assert generator.send(5, 1) == 1
        assert far.receive(1) == [frames[5][:14] + b"\xaa" + frames[5][15:]]


def test_arrivals_are_counted_by_source_beyond_what_a_queue_holds(topology: Topology) -> None:
    marked, other = "02ad00000007", "02ad00000008"
    frames = [frame(marked if number % 4 else other, number) for number in range(400)]
    with topology.inside.entered():
        counter = FrameCounter("eth0", bytes.fromhex(marked))
    with counter, topology.bridge(), topology.inside.packet_socket() as far:
        with topology.outside.entered(), FrameGenerator("eth0", frames) as generator:
            for first in range(0, 400, 50):
                assert generator.send(first, 50) == 50
        assert len(far.receive(400)) == 400
        assert counter.read() == 300
        assert counter.read() == 300

"""Frames with a checksum that the kernel is still to compute, and programs that cut them."""

from __future__ import annotations

import socket

import pytest

from appliance.datapath.datapath import Datapath, PacketLoops, Passage
from appliance.datapath.worker import Run
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.spec import CollectionSpec, ProgramSpec
from appliance.jit.collection import Collection
from hooks.contracts.xdp import XDP_LINUX
from hooks.interfaces.netdev import find_interface
from tests.netns import Topology, run_inside

CUT_TAIL = "r2 = -30; call xdp_adjust_tail; r0 = 2; exit"
CUT_HEAD = "r2 = 42; call xdp_adjust_head; r0 = 2; exit"


@pytest.mark.parametrize("program", [CUT_TAIL, CUT_HEAD], ids=["tail", "head"])
def test_a_checksum_that_was_cut_off_is_a_loss_that_counts(program: str) -> None:
    """20 bytes of UDP whose checksum lies in the bytes that the program cuts off: 62 - 30 < 42, and 42 > 40."""
    text = program.replace("; ", "\n")
    spec = CollectionSpec("cut.o", "linux", {"cut": ProgramSpec("cut", "xdp", XDP_LINUX, assemble(text))}, {})
    with Topology() as net, Collection.load(spec, loops=PacketLoops(XDP_LINUX, "cut", "cut")) as loaded:
        found = run_inside(net.box, lambda: [find_interface(name) for name in ("outside", "inside")])
        run = Run.of(loaded.engine)
        with run_inside(net.box, lambda: Datapath([Passage(*found)], run)) as datapath:
            with (
                net.outside.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
                net.inside.packet_socket() as far,
            ):
                sender.sendto(bytes(20), (net.inside.ipv4, 5002))
                assert far.receive(1, 0.3) == []
            seen = datapath.statistics()
            assert seen["outside"].received.packets == 1
            assert seen["inside"].transmit_errors["refused"] == 1
            assert seen["inside"].transmitted.packets == 0

"""Frames that the kernel is still to finish: checksums that programs cut off, segments that find no room."""

from __future__ import annotations

import socket
import time

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from appliance.datapath.datapath import Datapath
from appliance.datapath.loop import PacketLoops
from appliance.datapath.wiring import Passage
from appliance.datapath.worker import Run
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.spec import CollectionSpec, ProgramSpec
from appliance.ir import Engine
from appliance.jit.collection import Collection
from hooks.contracts.xdp import XDP_LINUX
from hooks.interfaces.netdev import find_interface
from hooks.linux import if_packet as kernel
from tests.appliance.datapath.conftest import running_box
from tests.appliance.datapath.test_forwarding import ADDRESSES
from tests.netns import Topology, run_inside

VIRTIO_NET_HDR_GSO_TCPV4 = 1
SLOW = ["tbf", "rate", "100kbit", "burst", "5kb", "limit", "5kb"]
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


def test_what_a_full_queueing_discipline_refused_was_not_sent(engine: Engine) -> None:
    """Super-frames leave by the queueing discipline, which has room for a few; what it dropped is counted, once."""
    with running_box(engine) as box:
        box.net.box.run(["tc", "qdisc", "add", "dev", "inside", "root", *SLOW])
        headers = bytes(Ether(**ADDRESSES) / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(flags="A", chksum=0))
        offload = kernel.virtio_net_hdr(kernel.VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4, 54, 1446, 34, 16)
        with box.net.outside.packet_socket() as near:
            near.socket.setsockopt(kernel.SOL_PACKET, kernel.PACKET_VNET_HDR, 1)
            for _ in range(100):
                near.send(bytes(offload) + headers.ljust(54 + 3 * 1446, b"x"))
            time.sleep(0.5)
        sent = box.datapath.statistics()["inside"]
        arrived = box.net.inside.statistics()["rx_packets"]
        assert 0 < arrived < 100, "the discipline dropped nothing, or all; this test would prove nothing"
        assert sent.transmitted.packets == arrived
        assert sent.transmit_errors["refused"] == 100 - arrived

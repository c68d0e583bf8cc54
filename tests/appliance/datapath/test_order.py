"""Frames leave whole and in the order in which they came, by whichever of the two ways out, whenever the box starts."""

from __future__ import annotations

import socket
import struct

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from appliance.datapath.worker import Run, Wiring, WorkerThread
from appliance.ir import Engine
from hooks.af_packet.geometry import Geometry
from hooks.af_packet.socket import PacketSocket
from hooks.interfaces.netdev import find_interface
from hooks.linux.if_packet import PACKET_VNET_HDR, SOL_PACKET, VIRTIO_NET_HDR_F_NEEDS_CSUM, virtio_net_hdr
from tests.appliance.datapath.conftest import Box, running_box
from tests.netns import Topology, run_inside

VIRTIO_NET_HDR_GSO_TCPV4 = 1
TCP_AT, HEADERS = 34, 54  # Ethernet and IPv4, and TCP behind them
MACS = {"dst": "02:00:00:00:00:02", "src": "02:00:00:00:00:01"}


def segment(sequence: int, size: int) -> bytes:
    payload = bytes(sequence + n & 0xFF for n in range(size))
    return bytes(Ether(**MACS) / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(seq=sequence, flags="A") / payload)


def send_unsegmented(net: Topology, *frames: bytes, gso_size: int = 700) -> None:
    """Send TCP frames from outside as its stack does: to be cut by a card, into segments of `gso_size` bytes."""
    with net.outside.open_socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
        raw.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        raw.bind(("eth0", 0))
        for frame in frames:
            header = virtio_net_hdr()
            if len(frame) > HEADERS + gso_size:
                header.flags, header.gso_type = VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4
                header.hdr_len, header.gso_size, header.csum_start, header.csum_offset = HEADERS, gso_size, TCP_AT, 16
            raw.send(bytes(header) + frame)


def sequences(frames: list[bytes]) -> list[int]:
    return [struct.unpack_from("!I", frame, TCP_AT + 4)[0] for frame in frames]


def test_a_frame_to_be_cut_leaves_even_if_it_fits_a_slot(box: Box) -> None:
    """The interface can't cut it; the kernel does, for what does not leave past the queueing discipline."""
    box.net.box.run(["ethtool", "-K", "inside", "tso", "off"])
    with box.net.inside.packet_socket() as far:
        send_unsegmented(box.net, segment(1000, 1400))
        assert sequences(far.receive(2)) == [1000, 1700]


def test_a_super_frame_does_not_overtake_what_waits_in_the_ring(engine: Engine) -> None:
    """All frames stand in the ring before the worker starts, so that they are one batch."""
    with running_box(engine) as box:
        wirings = box.datapath._threads[0].wirings
        box.datapath.halt()
        send_unsegmented(box.net, segment(1, 10), segment(11, 7000), segment(7011, 10), gso_size=1400)
        with box.net.inside.packet_socket() as far:
            worker = WorkerThread(0, wirings)
            worker.start(Run.of(engine))
            try:
                assert sequences(far.receive(3)) == [1, 11, 7011]
            finally:
                worker.close()


def test_frames_of_before_all_workers_are_there_reach_none(engine: Engine) -> None:
    """A socket that is muted has neither a frame in its ring nor a whole copy in its queue when it is unmuted."""
    with Topology() as net:

        def open_passage() -> list[Wiring]:
            found = [find_interface(name) for name in ("outside", "inside")]
            sockets = [PacketSocket(interface.name, Geometry(), muted=True) for interface in found]
            return [Wiring(sockets[n], found[n].index, found[n].mtu, n, 1 - n, True) for n in (0, 1)]

        wirings = run_inside(net.box, open_passage)
        send_unsegmented(net, *(segment(n, size) for n, size in enumerate((10, 7000, 10, 7000))))
        wirings[0].socket.unmute()
        worker = WorkerThread(0, wirings)
        worker.start(Run.of(engine))
        try:
            with net.inside.packet_socket() as far:
                send_unsegmented(net, *(segment(n, size) for n, size in enumerate((10, 7000, 10), 100)))
                assert sequences(far.receive(3)) == [100, 101, 102]
        finally:
            worker.close()
            for wiring in wirings:
                wiring.socket.close()

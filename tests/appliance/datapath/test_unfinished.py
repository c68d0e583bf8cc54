"""Senders that leave checksums and segments to their card, and programs that write into their frames."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from appliance.datapath.datapath import Datapath
from appliance.datapath.loop import PacketLoops
from appliance.datapath.wiring import Passage
from appliance.datapath.worker import Run
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.spec import CollectionSpec, ProgramSpec
from appliance.jit.collection import Collection
from hooks.contracts.xdp import XDP_LINUX
from hooks.interfaces.netdev import find_interface
from hooks.linux import if_packet as kernel
from tests.netns import Topology, run_inside

KNOCKED, OPEN = 5001, 5002  # the port that clients ask, and the one that the server listens at
GSO_TCPV4 = 1
PAYLOAD = hashlib.shake_256(b"unfinished").digest(1 << 20) * 8

# A port translator of IPv4: the 16 bits at PORT of TCP or UDP become others, the checksum follows by the difference.
TRANSLATE = """
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 54
    if r4 > r3 goto pass
    r5 = *(u16 *)(r2 + 12)
    if r5 != 0x0008 goto pass
    r5 = *(u8 *)(r2 + 23)
    r6 = 16
    if r5 == 6 goto known
    r6 = 6
    if r5 != 17 goto pass
known:
    r5 = *(u16 *)(r2 + PORT)
    r5 = be16 r5
    if r5 != BEFORE goto pass
    r7 = AFTER
    r7 = be16 r7
    *(u16 *)(r2 + PORT) = r7
    r4 = r2
    r4 += r6
    r0 = *(u16 *)(r4 + 34)
    r0 ^= 0xffff
    r5 = be16 r5
    r5 ^= 0xffff
    r0 += r5
    r0 += r7
    r5 = r0
    r5 >>= 16
    r0 &= 0xffff
    r0 += r5
    r5 = r0
    r5 >>= 16
    r0 += r5
    r0 ^= 0xffff
    *(u16 *)(r4 + 34) = r0
pass:
    r0 = 2
    exit
"""


def program(name: str, at: int, before: int, after: int) -> ProgramSpec:
    text = TRANSLATE.replace("PORT", str(at)).replace("BEFORE", str(before)).replace("AFTER", str(after))
    return assembled(name, text)


def assembled(name: str, text: str) -> ProgramSpec:
    return ProgramSpec(name, "xdp", XDP_LINUX, assemble(text))


@contextmanager
def translating(**topology: bool) -> Iterator[tuple[Topology, Datapath]]:
    """Clients' KNOCKED is the server's OPEN."""
    with running(program("in", 36, KNOCKED, OPEN), program("out", 34, OPEN, KNOCKED), **topology) as found:
        yield found


@contextmanager
def running(*programs: ProgramSpec, **topology: bool) -> Iterator[tuple[Topology, Datapath]]:
    """The first judges what comes from outside, the last what comes from inside."""
    spec = CollectionSpec("t.o", "linux", {each.name: each for each in programs}, {})
    loops = PacketLoops(XDP_LINUX, programs[0].name, programs[-1].name)
    with Topology(**topology) as net, Collection.load(spec, loops=loops) as loaded:
        found = run_inside(net.box, lambda: [find_interface(name) for name in ("outside", "inside")])
        with run_inside(net.box, lambda: Datapath([Passage(*found)], Run.of(loaded.engine))) as datapath:
            yield net, datapath


@pytest.mark.parametrize(("senders", "box"), [(True, False), (True, True), (False, False)])
def test_a_translated_connection_carries_every_byte_both_ways(senders: bool, box: bool) -> None:
    """Real stacks, handshake included. Where the box's interfaces have no offloads, its kernel cuts super-frames and
    sums the segments, and the receivers check them."""
    with translating(offloads=senders) as (net, datapath):
        for interface in ("outside", "inside"):
            net.box.offloads(box, interface)
        listener = net.inside.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        with listener, net.outside.open_socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            listener.bind((net.inside.ipv4, OPEN))
            listener.listen()
            listener.settimeout(5)
            client.settimeout(5)
            client.connect((net.inside.ipv4, KNOCKED))
            served, _ = listener.accept()
            for sender, receiver in ((client, served), (served, client)):
                assert carry(sender, receiver) == PAYLOAD
            served.close()
        received = datapath.statistics()["outside"].received
        assert not senders or received.bytes / received.packets > 2048, "no super-frame came"


def carry(sender: socket.socket, receiver: socket.socket) -> bytes:
    sending = threading.Thread(target=sender.sendall, args=(PAYLOAD,))
    sending.start()
    receiver.settimeout(10)
    data = bytearray()
    while len(data) < len(PAYLOAD):
        data += receiver.recv(1 << 20)
    sending.join()
    return bytes(data)


@pytest.mark.parametrize("length", [12, 13, 14, 15, 1399])
def test_what_leaves_is_as_on_a_wire(length: int) -> None:
    """Datagrams of every rest; the far end sees them before any stack has touched them."""
    with translating() as (net, _), net.inside.packet_socket() as far:
        with net.outside.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto((bytes(range(1, 256)) * 6)[:length], (net.inside.ipv4, KNOCKED))
        (data,) = far.receive(1, 2.0)
    seen = Ether(data)
    assert seen[UDP].dport == OPEN
    written = seen[UDP].chksum
    del seen[UDP].chksum
    assert Ether(bytes(seen))[UDP].chksum == written


RESET = """
    r6 = r1
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 54
    if r4 > r3 goto pass
    r5 = *(u8 *)(r2 + 23)
    if r5 != 6 goto pass
    r5 = 0x1450
    *(u16 *)(r2 + 46) = r5
    r5 = 0x2800
    *(u16 *)(r2 + 16) = r5
    r5 = SUM
    *(u16 *)(r2 + 50) = r5
    r3 -= r2
    r2 = 54
    r2 -= r3
    r1 = r6
    call xdp_adjust_tail
    r0 = 3
    exit
pass:
    r0 = 2
    exit
"""


def test_an_answer_in_the_place_of_a_super_frame_is_whole() -> None:
    """As `reject` does it: a segment without data, back to the sender, with a checksum of its own."""
    head = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2")
    question = head / TCP(sport=1, dport=2, flags="A", chksum=0)
    expected = head / TCP(sport=1, dport=2, flags="RA")
    sum_ = int.from_bytes(bytes(expected)[50:52], "little")
    offload = kernel.virtio_net_hdr(kernel.VIRTIO_NET_HDR_F_NEEDS_CSUM, GSO_TCPV4, 54, 1446, 34, 16)
    with running(assembled("reset", RESET.replace("SUM", str(sum_)))) as (net, _), net.outside.packet_socket() as near:
        net.box.offloads(False, "outside")
        near.socket.setsockopt(kernel.SOL_PACKET, kernel.PACKET_VNET_HDR, 1)
        near.send(bytes(offload) + bytes(question).ljust(54 + 3 * 1446, b"x"))
        near.socket.setsockopt(kernel.SOL_PACKET, kernel.PACKET_VNET_HDR, 0)
        (data,) = near.receive(1, 2.0)
    assert data[46:54] == bytes(expected)[46:54]
    assert len(data) == 54

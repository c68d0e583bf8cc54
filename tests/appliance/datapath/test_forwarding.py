"""Real frames through the native loop: what each verdict does, and what AF_PACKET must not spoil."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import threading
import time

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Packet

from appliance.datapath.datapath import Datapath
from appliance.datapath.layout import LONGEST_FRAME
from appliance.datapath.statistics import Count
from appliance.datapath.wiring import Passage
from appliance.datapath.worker import Run
from appliance.ir import Engine
from hooks.contracts.contract import Verdict
from hooks.interfaces.netdev import find_interface
from hooks.linux import if_packet as kernel
from tests.appliance.datapath.conftest import Box, obedient_engine, running_box
from tests.netns import Topology, run_inside

SO_SNDBUFFORCE = 32
VIRTIO_NET_HDR_GSO_TCPV6 = 4
ABORTED_ORDER, DROP, PASS, TX, REDIRECT = 5, 1, 2, 3, 4
MACS = bytes.fromhex("020000000002020000000001")
ADDRESSES = {"dst": "02:00:00:00:00:02", "src": "02:00:00:00:00:01"}


def frame(order: int, *, target: int = 0, number: int = 0, size: int = 60) -> bytes:
    return (MACS + b"\x88\xb5" + struct.pack("!BBI", order, target, number)).ljust(size, b".")


def flows(count: int) -> list[bytes]:
    """Frames that PASS, each of another host."""
    rest = IP(dst="10.0.0.2") / UDP(sport=1000, dport=9) / (b"x" * 30)
    packets = [rest.copy() for _ in range(count)]
    for number, packet in enumerate(packets):
        packet.src = f"10.0.1.{number}"
    return [bytes(Ether(**ADDRESSES) / packet) for packet in packets]


def exchange(box: Box, *frames: bytes, expect: int) -> tuple[list[bytes], list[bytes]]:
    """Send from outside; what arrives inside, and what comes back outside."""
    with box.net.outside.packet_socket() as near, box.net.inside.packet_socket() as far:
        near.send(*frames)
        arrived = far.receive(expect) + far.drain()
        return arrived, near.drain()


def test_pass_crosses_and_only_once(box: Box) -> None:
    sent = [frame(PASS, number=n, size=60 + n) for n in range(100)]
    arrived, returned = exchange(box, *sent, expect=100)
    assert arrived == sent
    assert returned == []
    seen = box.datapath.statistics()
    assert seen["outside"].verdicts[Verdict.PASS].packets == 100
    assert seen["outside"].verdicts[Verdict.PASS].bytes == sum(map(len, sent))
    assert seen["inside"].transmitted.packets == 100
    assert seen["inside"].received.packets == 0, "what the box sent itself came back on the tap"


def test_both_directions(box: Box) -> None:
    with box.net.outside.packet_socket() as near, box.net.inside.packet_socket() as far:
        far.send(frame(PASS, number=7))
        assert near.receive(1) == [frame(PASS, number=7)]


def test_drop_stays(box: Box) -> None:
    arrived, returned = exchange(box, frame(DROP), frame(PASS), expect=1)
    assert (arrived, returned) == ([frame(PASS)], [])
    assert box.datapath.statistics()["outside"].verdicts[Verdict.DROP].packets == 1


def test_an_unknown_answer_is_aborted(box: Box) -> None:
    arrived, returned = exchange(box, frame(ABORTED_ORDER), frame(PASS), expect=1)
    assert (arrived, returned) == ([frame(PASS)], [])
    assert box.datapath.statistics()["outside"].verdicts[Verdict.ABORTED].packets == 1


def test_tx_goes_back(box: Box) -> None:
    arrived, returned = exchange(box, frame(TX), expect=0)
    assert (arrived, returned) == ([], [frame(TX)])
    assert box.datapath.statistics()["outside"].verdicts[Verdict.TX].packets == 1


def test_redirect_goes_where_it_says(box: Box) -> None:
    across = frame(REDIRECT, target=box.indices["inside"])
    back = frame(REDIRECT, target=box.indices["outside"])
    nowhere = frame(REDIRECT, target=250)
    arrived, returned = exchange(box, across, back, nowhere, expect=1)
    assert (arrived, returned) == ([across], [back])
    assert box.datapath.statistics()["outside"].transmit_errors["redirect_unknown"] == 1


@pytest.mark.parametrize(
    "tags",
    [Dot1Q(vlan=7, prio=5), Dot1AD(vlan=100) / Dot1Q(vlan=7), Dot1AD(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3)],
    ids=["802.1Q", "QinQ", "three"],
)
def test_vlan_tags_survive(box: Box, tags: Dot1Q) -> None:
    tagged = bytes(
        Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
        / tags
        / IP(src="10.0.0.1", dst="10.0.0.2")
        / UDP()
        / (b"x" * 80)
    )
    arrived, _ = exchange(box, tagged, expect=1)
    assert arrived == [tagged]


@pytest.mark.parametrize("tag", [b"\x81\x00", b"\x88\xa8"], ids=["802.1Q", "802.1ad"])
def test_a_full_mtu_frame_with_a_tag(box: Box, tag: bytes) -> None:
    """The hosts' packet sockets know no 802.1ad tag and want the MTU to hold it; the box's way out does not."""
    for place, interface in ((box.net.outside, "eth0"), (box.net.box, "outside")):
        place.set_link(interface, mtu=1504)
    tagged = MACS + tag + b"\x00\x05\x88\xb5" + bytes(1500)
    arrived, _ = exchange(box, tagged, expect=1)
    assert arrived == [tagged]


def test_a_frame_beyond_the_mtu_is_counted_and_stalls_nothing(box: Box) -> None:
    box.net.outside.set_link("eth0", mtu=1600)
    box.net.box.set_link("outside", mtu=1600)
    arrived, _ = exchange(box, frame(PASS, size=1550), frame(PASS), expect=1)
    assert arrived == [frame(PASS)]
    assert box.datapath.statistics()["inside"].transmit_errors["too_long"] == 1


@pytest.mark.parametrize("offloads", [True, False], ids=["super-frames", "finished frames"])
def test_bulk_tcp_is_bit_identical(engine: Engine, offloads: bool) -> None:
    """With offloads, 64 kB super-frames with unfinished checksums cross; none may be cut or left unfinished."""
    payload = hashlib.shake_256(b"tidegate").digest(1 << 20) * 16
    with running_box(engine, offloads=offloads) as box:
        listener = box.net.inside.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((box.net.inside.ipv4, 5001))
        listener.listen()
        received = hashlib.sha256()

        def drink() -> None:
            connection, _ = listener.accept()
            with connection:
                while chunk := connection.recv(1 << 16):
                    received.update(chunk)

        reader = threading.Thread(target=drink)
        reader.start()
        with box.net.outside.open_socket(socket.AF_INET, socket.SOCK_STREAM) as sender:
            sender.connect((box.net.inside.ipv4, 5001))
            sender.sendall(payload)
        reader.join(30)
        listener.close()
        assert received.hexdigest() == hashlib.sha256(payload).hexdigest()
        statistics = box.datapath.statistics()
        assert statistics["outside"].capture_dropped["truncated"] == 0
        if offloads:
            mean = statistics["outside"].received.bytes / statistics["outside"].received.packets
            assert mean > 2048, "no super-frame came; this test would prove nothing"


def test_checksums_are_right_on_arrival(box: Box) -> None:
    """A UDP datagram whose checksum the sender left to its card arrives acceptable to a receiver that checks it."""
    with box.net.inside.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind((box.net.inside.ipv4, 5002))
        receiver.settimeout(2)
        box.net.inside.offloads(False)
        with box.net.outside.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"checked", (box.net.inside.ipv4, 5002))
        assert receiver.recv(100) == b"checked"


@pytest.mark.parametrize("size", [200_000, 300_000])
def test_a_frame_longer_than_the_scratch_is_a_loss_and_not_cut(box: Box, size: int) -> None:
    """BIG TCP: a super-frame of more than 64 kB, as a local sender makes it where gso_max_size allows."""
    for place, interface in (
        (box.net.outside, "eth0"),
        (box.net.box, "outside"),
        (box.net.box, "inside"),
        (box.net.inside, "eth0"),
    ):
        place.set_link(interface, gso_max_size=500_000)
    headers = bytes(Ether(**ADDRESSES) / IPv6(src="fd00::1", dst="fd00::2", plen=0) / TCP(flags="A"))
    offload = kernel.virtio_net_hdr(kernel.VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV6, 74, 1428, 54, 16)
    with box.net.outside.packet_socket() as near:
        near.socket.setsockopt(kernel.SOL_PACKET, kernel.PACKET_VNET_HDR, 1)
        near.socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20)
        near.send(bytes(offload) + headers.ljust(size, b"x"))
        time.sleep(0.3)
    seen = box.datapath.statistics()
    whole = int(size < LONGEST_FRAME)
    assert seen["outside"].received == Count(whole, whole * size)
    assert seen["outside"].capture_dropped["truncated"] == 1 - whole


def test_tap_counts_and_sends_nothing(engine: Engine) -> None:
    with running_box(engine, tap=True) as box:
        arrived, returned = exchange(box, frame(PASS), frame(DROP), frame(TX), expect=0)
        assert (arrived, returned) == ([], [])
        seen = box.datapath.statistics()["outside"]
        assert {verdict: seen.verdicts[verdict].packets for verdict in Verdict} == {
            Verdict.ABORTED: 0,
            Verdict.DROP: 1,
            Verdict.PASS: 1,
            Verdict.TX: 1,
            Verdict.REDIRECT: 0,
        }
        assert seen.transmitted.packets == 0


def test_what_the_ring_dropped_is_counted(engine: Engine) -> None:
    """With the worker ended, the receive ring fills up and the rest is lost: seen, not hidden."""
    with running_box(engine) as box:
        box.datapath._threads[0].close()
        slots = box.datapath._threads[0].wirings[0].socket.receive_slots
        with box.net.outside.packet_socket() as near:
            near.send(*[frame(PASS)] * (slots + 100))
        assert box.datapath.statistics()["outside"].capture_dropped["ring_full"] == 100


def test_swap_loses_and_reorders_nothing(engine: Engine) -> None:
    with running_box(engine) as box, obedient_engine() as other:
        count = 10_000
        with box.net.outside.packet_socket() as near, box.net.inside.packet_socket() as far:

            def send() -> None:
                for first in range(0, count, 100):
                    near.send(*(frame(PASS, number=n) for n in range(first, first + 100)))
                    time.sleep(0.002)  # as fast as the reader below can follow

            sender = threading.Thread(target=send)
            numbers: list[int] = []

            def collect() -> None:
                for got in far.receive(count, 20):
                    numbers.append(struct.unpack_from("!I", got, 16)[0])

            reader = threading.Thread(target=collect)
            reader.start()
            sender.start()
            for code in [other, engine] * 15:
                box.datapath.swap(Run.of(code))
            sender.join()
            reader.join()
        assert numbers == list(range(count))


def test_two_workers_share_the_flows(engine: Engine) -> None:
    with running_box(engine, workers=2) as box:
        sent = flows(200)
        arrived, _ = exchange(box, *sent, expect=len(sent))
        assert sorted(arrived) == sorted(sent)
        shares = [thread.block.ports[0].counters.received_packets for thread in box.datapath._threads]
        assert sum(shares) == len(sent)
        assert min(shares) > 0


def _two_ways(number: int) -> tuple[bytes, bytes]:
    """A frame of some flow, and one that goes the other way: of both families, and wrapped in all that is walked."""
    near, far = f"10.{number}.0.1", f"192.0.2.{number}"
    near6, far6 = f"2001:db8::{number:x}", f"2001:db8:{number:x}::9"
    there: list[Packet] = [
        IP(src=near, dst=far) / UDP(sport=1000 + number, dport=53),
        IP(src=near, dst=far) / TCP(sport=1000 + number, dport=80),
        IP(src=near, dst=far, flags="MF") / UDP(sport=1000 + number, dport=53) / (b"x" * 32),
        IP(src=near, dst=far, frag=5) / (b"x" * 32),
        IPv6(src=near6, dst=far6) / UDP(sport=1000 + number, dport=53),
        IPv6(src=near6, dst=far6) / IPv6ExtHdrFragment(offset=4) / (b"x" * 32),
        IPv6(src=near6, dst=far6) / TCP(sport=1000 + number, dport=80),
    ]
    wraps: list[Packet] = [
        Ether(**ADDRESSES),
        Ether(**ADDRESSES) / Dot1Q(vlan=5),
        Ether(**ADDRESSES) / Dot1AD(vlan=5) / Dot1Q(vlan=6),
        Ether(**ADDRESSES) / Dot1AD(vlan=5) / Dot1Q(vlan=6) / Dot1Q(vlan=7),
        Ether(**ADDRESSES) / PPPoE(sessionid=1) / PPP(),
        Ether(**ADDRESSES) / MPLS(label=16, s=0) / MPLS(label=17, s=1),
    ]
    packet, wrap = there[number % len(there)], wraps[number // len(there) % len(wraps)]
    back = packet.copy()
    back.src, back.dst = packet.dst, packet.src
    return bytes(wrap / packet), bytes(wrap / back)


def test_both_directions_of_a_flow_are_one_workers(engine: Engine) -> None:
    """Fragments, which have no ports, included."""
    with running_box(engine, workers=3) as box:
        threads = box.datapath._threads

        def received(side: int) -> list[int]:
            return [thread.block.ports[side].counters.received_packets for thread in threads]

        def worker(side: int, sent: bytes) -> int:
            before = received(side)
            ends = (box.net.outside, box.net.inside)
            with ends[side].packet_socket() as near, ends[1 - side].packet_socket() as far:
                near.send(sent)
                assert far.receive(1) == [sent]
            grown = [after - earlier for after, earlier in zip(received(side), before, strict=True)]
            assert sum(grown) == 1
            return grown.index(1)

        pairs = [_two_ways(number) for number in range(1, 85)]
        found = [(worker(0, there), worker(1, back)) for there, back in pairs]
        assert [there for there, _ in found] == [back for _, back in found]
        shares = [sum(there == number for there, _ in found) for number in range(3)]
        assert min(shares) > len(pairs) // 9, "one worker has nearly nothing to do"


def test_the_workers_share_with_nobody_else(engine: Engine) -> None:
    """Another process of the namespace has a fanout group on every number near those that a process id gives."""
    with Topology() as net:
        found = run_inside(net.box, lambda: [find_interface(name) for name in ("outside", "inside")])
        kind = kernel.PACKET_FANOUT_CBPF | kernel.PACKET_FANOUT_FLAG_IGNORE_OUTGOING
        others = [net.box.packet_socket(interface.name) for interface in found]
        for interface, other in zip(found, others, strict=True):
            number = (os.getpid() + interface.index) & 0xFFFF
            other.socket.setsockopt(kernel.SOL_PACKET, kernel.PACKET_FANOUT, number | kind << 16)
        passage = Passage(*found)
        with run_inside(net.box, lambda: Datapath([passage], Run.of(engine), workers=2)) as datapath:
            sent = flows(100)
            exchange(Box(net, datapath, {}), *sent, expect=len(sent))
            assert datapath.statistics()["outside"].received.packets == len(sent)
        for other in others:
            other.close()


def test_every_frame_counts_once_as_sent_or_as_failed(box: Box) -> None:
    """An interface that is down takes nothing; what it took before and takes afterwards is sent."""
    with box.net.outside.packet_socket() as near:
        near.send(frame(PASS), frame(PASS, size=100))
        time.sleep(0.2)
        box.net.box.set_up("inside", up=False)
        near.send(*[frame(PASS)] * 20)
        time.sleep(0.2)
        box.net.box.set_up("inside")
        near.send(*[frame(PASS)] * 3)
        time.sleep(0.2)
    seen = box.datapath.statistics()
    assert seen["outside"].verdicts[Verdict.PASS].packets == 25
    assert seen["inside"].transmit_errors["refused"] == 20
    assert seen["inside"].transmitted == Count(5, 4 * 60 + 100)

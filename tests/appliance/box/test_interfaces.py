"""A box's interfaces: closed to the host, lost and found again, changed under it, and put back as they were."""

from __future__ import annotations

import socket
import threading
import time

from scapy.layers.l2 import ARP, Ether

from tests.appliance.box.conftest import DROP_NINE, HEAD, Start, after, wait_until
from tests.appliance.box.wire import MACS, arrivals, interface_settings, udp
from tests.capabilities import requires
from tests.kernel_tcx import attached_to_tcx
from tests.netns import Topology
from tests.numbered import numbered_frames

PASSES_ALL = ["prio", "1", "protocol", "all", "bpf", "da", "bytecode", "1,6 0 0 0"]


def test_the_host_does_not_answer_on_an_inline_interface(net: Topology, start: Start) -> None:
    net.box.add_address("lo", "10.0.0.99/32")
    question = bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src=MACS["src"]) / ARP(psrc="10.0.0.1", pdst="10.0.0.99"))
    with net.outside.packet_socket() as wire:
        wire.send(question)
        assert wire.receive(1, 0.5), "without a box the kernel answers; else this test proves nothing"
        wire.drain()
    start(DROP_NINE)
    with net.outside.packet_socket() as wire, net.inside.packet_socket() as far:
        wire.send(question)
        assert far.receive(1) == [question]
        assert wire.drain(0.2) == []


def test_a_filter_that_others_put_in_front_is_overtaken_and_told(net: Topology, start: Start) -> None:
    """What it would pass, the host would answer; within a second the host is shut out again."""
    net.box.add_address("lo", "10.0.0.99/32")
    question = bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src=MACS["src"]) / ARP(psrc="10.0.0.1", pdst="10.0.0.99"))
    before = interface_settings(net)
    box = start(DROP_NINE)
    again = 'tidegate_interface_closed_again_total{interface="outside"}'
    assert (box.metrics()['tidegate_interface_isolated{interface="outside"}'], box.metrics()[again]) == (1, 0)
    net.box.run(["tc", "filter", "add", "dev", "outside", "ingress", *PASSES_ALL])
    box.wait_for(
        "outside: the host was not shut out any more, and is again: a filter of somebody else (bpf, priority 1"
    )
    with net.outside.packet_socket() as wire, net.inside.packet_socket() as far:
        wire.send(question)
        assert far.receive(1) == [question]
        assert wire.drain(0.2) == []
    assert (box.metrics()['tidegate_interface_isolated{interface="outside"}'], box.metrics()[again]) == (1, 1)
    net.box.run(["tc", "filter", "del", "dev", "outside", "ingress", *PASSES_ALL[:4], "handle", "0x1", "bpf"])
    assert box.end() == 0
    assert interface_settings(net) == before


@requires("bpf", "tcx")
def test_a_program_of_tcx_is_told_and_counts_as_open(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    isolated = 'tidegate_interface_isolated{interface="inside"}'
    assert box.metrics()[isolated] == 1
    with attached_to_tcx(net.box, "inside", "egress") as number:
        box.wait_for(f"inside: the host may not be shut out: a program of tcx (id {number}) at its egress may let")
        assert box.metrics()[isolated] == 0
        assert box.metrics()['tidegate_interface_isolated{interface="outside"}'] == 1
    wait_until(lambda: box.metrics()[isolated] == 1)
    assert box.end() == 0


def test_an_interface_that_stays_open_to_the_host_is_told(net: Topology, start: Start) -> None:
    """Somebody takes the filter away and puts one in its place that ours can't overtake."""
    box = start(DROP_NINE)
    theirs = "tc filter add dev outside ingress prio 1 protocol all u32 match u32 0 0 classid 1:1"
    while "u32" not in net.box.run(["tc", "filter", "show", "dev", "outside", "ingress"]).stdout:
        net.box.run(["sh", "-c", f"tc filter del dev outside ingress; {theirs}"], check=False)
    isolated = 'tidegate_interface_isolated{interface="outside"}'
    wait_until(lambda: box.metrics()[isolated] == 0)
    assert box.metrics()['tidegate_interface_isolated{interface="inside"}'] == 1
    assert "the host is not shut out any more: outside: it can't be closed to the host's stack" in box.log
    net.box.run(["tc", "filter", "del", "dev", "outside", "ingress"])
    wait_until(lambda: box.metrics()[isolated] == 1)
    assert box.end() == 0


def test_interfaces_that_cannot_be_looked_at_do_not_end_the_box(net: Topology, start: Start) -> None:
    broken = (
        "from appliance.box.traffic import Traffic\n"
        "def fail(self): raise MemoryError('no more of it')\n"
        "Traffic.watch = fail"
    )
    box = start(DROP_NINE, program=after(broken))
    box.wait_for("the interfaces can't be looked after now: MemoryError: no more of it")
    box.reload(DROP_NINE, "reloaded")
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert box.log.count("no more of it") == 1
    assert box.end() == 0


def test_everything_is_as_before_when_it_ends(net: Topology, start: Start) -> None:
    net.box.set_up("inside", up=False)
    before = interface_settings(net)
    box = start(DROP_NINE)
    assert interface_settings(net) != before
    assert box.end() == 0
    assert interface_settings(net) == before


def test_super_frames_cross_a_closed_interface_that_cannot_segment(net: Topology, start: Start) -> None:
    """64 kB frames of the sender leave through the queueing discipline, past the filter that closes it to the host."""
    box = start(DROP_NINE)
    net.box.run(["ethtool", "-K", "inside", "tso", "off"])
    payload = bytes(range(256)) * 16384
    with (
        net.inside.open_socket(socket.AF_INET, socket.SOCK_STREAM) as listener,
        net.outside.open_socket(socket.AF_INET, socket.SOCK_STREAM) as sender,
    ):
        listener.bind((net.inside.ipv4, 5001))
        listener.listen()
        sender.settimeout(10)
        sender.connect((net.inside.ipv4, 5001))
        receiver, _ = listener.accept()
        writer = threading.Thread(target=lambda: (sender.sendall(payload), sender.shutdown(socket.SHUT_WR)))
        writer.start()
        with receiver:
            receiver.settimeout(10)
            received = b"".join(iter(lambda: receiver.recv(1 << 16), b""))
        writer.join()
    assert received == payload
    metrics = box.metrics()
    kind = '{direction="receive",interface="outside",verdict="pass"}'
    assert metrics[f"tidegate_interface_bytes_total{kind}"] / metrics[f"tidegate_interface_packets_total{kind}"] > 2048
    assert sum(v for k, v in metrics.items() if k.startswith("tidegate_transmit_errors_total")) == 0


def test_an_interface_that_vanishes_and_comes_back(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    assert arrivals(net, udp(10)) == [udp(10)]
    net.box.delete_link("inside")
    box.wait_for("an interface is gone; waiting for it")
    assert box.metrics()['tidegate_interface_up{interface="inside"}'] == 0
    net.box.add_veth("inside", net.inside, "eth0", peer_address="02:00:00:00:00:02")
    box.wait_for("outside <-> inside: serving", times=2)
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert box.rule("nine") == 1
    assert box.end() == 0


def test_an_interface_that_goes_down_and_up(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    net.box.set_up("inside", up=False)
    arrivals(net, udp(10))
    net.box.set_up("inside")
    assert arrivals(net, udp(11))[-1:] == [udp(11)]
    assert box.end() == 0


def test_another_mtu_is_followed(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    for place, name in ((net.box, "outside"), (net.box, "inside"), (net.outside, "eth0"), (net.inside, "eth0")):
        place.set_link(name, mtu=9000)
    long = udp(10) + bytes(8000)
    wait_until(lambda: arrivals(net, long) == [long])
    assert box.end() == 0


TWO_PASSAGES = HEAD.replace("mode: inline}]", "mode: inline}, {outside: left, inside: right}]")


def add_second_passage(net: Topology) -> None:
    for name in ("left", "right"):
        net.box.add_veth(name, net.inside, f"far-{name}")


def test_one_passages_trouble_is_not_anothers(net: Topology, start: Start) -> None:
    """The second passage's interface vanishes, and comes back unfit; the first stays isolated, and in service."""
    add_second_passage(net)
    box = start(DROP_NINE, head=TWO_PASSAGES)
    held = interface_settings(net)[0]["queues"]
    net.box.delete_link("right")
    box.wait_for("left <-> right: an interface is gone; waiting for it")
    net.box.add_veth("right", net.inside, "far-right")
    net.box.add_address("right", "192.0.2.9/24")
    box.wait_for("right: it carries the address 192.0.2.9/24")
    wait_until(lambda: arrivals(net, udp(11)) == [udp(11)])
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert interface_settings(net)[0]["queues"] == held
    net.box.run(["ip", "address", "flush", "dev", "right"])
    box.wait_for("left <-> right: serving", times=2)
    assert box.log.count("outside <-> inside: serving") == 1
    assert box.log.count("192.0.2.9") == 1, "a complaint is made once"
    wait_until(lambda: arrivals(net, udp(11)) == [udp(11)])
    assert arrivals(net, udp(9), udp(10)) == [udp(10)]
    assert box.rule("nine") == 2
    assert box.end() == 0


def _both_ends(net: Topology, mtu: int) -> None:
    net.inside.set_link("eth0", mtu=mtu)
    net.box.set_link("inside", mtu=mtu)


def test_mtus_that_differ_are_told(net: Topology, start: Start) -> None:
    _both_ends(net, 4000)
    box = start(DROP_NINE)
    differ = (
        "outside <-> inside: the MTUs differ (outside 1500, inside 4000): untagged frames with more than 1500 bytes"
    )
    assert differ in box.log
    _both_ends(net, 1500)
    box.wait_for("inside: its MTU is 1500 bytes now, it was 4000")
    box.wait_for("outside <-> inside: the MTUs are the same now, 1500 bytes")
    _both_ends(net, 3000)
    box.wait_for("inside: its MTU is 3000 bytes now, it was 1500")
    box.wait_for("the MTUs differ (outside 1500, inside 3000)")
    assert box.log.count("the MTUs differ") == 2


def test_the_ring_follows_an_mtu_that_grew(net: Topology, start: Start) -> None:
    """Frames as long as the new MTU, which no slot of the first rings could hold, cross in both directions."""
    box = start(DROP_NINE)
    for place, name in ((net.outside, "eth0"), (net.box, "outside"), (net.inside, "eth0"), (net.box, "inside")):
        place.set_link(name, mtu=9000)
    box.wait_for("outside: its MTU is 9000 bytes now, it was 1500")
    box.wait_for("inside: its MTU is 9000 bytes now, it was 1500")
    long = bytes(Ether(**MACS, type=0x88B5) / bytes(9000))
    with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
        wait_until(lambda: (near.send(long), far.receive(1, 0.2))[1] == [long])  # the rings are opened anew behind that
        far.send(long)
        assert near.receive(1) == [long]


def test_an_mtu_that_grows_under_traffic_costs_no_frame_that_is_not_counted(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    with numbered_frames(net, per_second=5000) as stream:
        for mtu in (3000, 9000):
            for name in ("outside", "inside"):
                net.box.set_link(name, mtu=mtu)
            box.wait_for(f"inside: its MTU is {mtu} bytes now")
        time.sleep(0.5)
    lost = ("tidegate_capture_dropped_packets_total", "tidegate_transmit_errors_total")
    counted = sum(count for name, count in box.metrics().items() if name.startswith(lost))
    assert (stream.missed, stream.disordered) == (0, [])
    assert stream.sent == stream.received + counted
    assert box.end() == 0


def test_frames_that_an_mtu_became_too_small_for_are_no_frames_sent(net: Topology, start: Start) -> None:
    for place, name in ((net.outside, "eth0"), (net.box, "outside")):
        place.set_link(name, mtu=4000)
    _both_ends(net, 4000)
    box = start(DROP_NINE)
    long = bytes(Ether(**MACS, type=0x88B5) / bytes(3828))
    with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
        near.send(long)
        assert far.receive(1) == [long]
        _both_ends(net, 1500)
        for _ in range(10):
            near.send(long)
            time.sleep(0.1)
        arrived = len(far.drain())
    seen = {name: count for name, count in box.metrics().items() if 'interface="inside"' in name}
    sent = sum(count for name, count in seen.items() if 'verdict="sent"' in name and "_packets_" in name)
    lost = sum(count for name, count in seen.items() if name.startswith("tidegate_transmit_errors_total"))
    assert (sent, lost) == (1 + arrived, 10 - arrived)

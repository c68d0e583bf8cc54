"""A whole box on real interfaces: what it enforces, and what it counts."""

from __future__ import annotations

import struct
from pathlib import Path

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether

from tests.appliance.box.conftest import DROP_NINE, HEAD, Start
from tests.appliance.box.wire import MACS, arrivals, udp
from tests.netns import Topology


def test_a_rule_drops_and_is_counted(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    wrapped = udp(9, Dot1AD(vlan=5), Dot1Q(vlan=7))
    assert arrivals(net, udp(9), udp(10), wrapped) == [udp(10)]
    assert box.rule("nine") == 2
    assert box.rule("nine", "bytes") == len(udp(9)) + len(wrapped)
    metrics = box.metrics()
    assert metrics['tidegate_interface_packets_total{direction="receive",interface="outside",verdict="drop"}'] == 2
    assert metrics['tidegate_interface_packets_total{direction="transmit",interface="inside",verdict="sent"}'] == 1
    assert box.end() == 0


def test_malformed_frames_are_dropped_and_counted_by_reason(net: Topology, start: Start) -> None:
    box = start(DROP_NINE)
    cut = udp(10)[:40]
    assert arrivals(net, cut, udp(10)) == [udp(10)]
    assert box.rule("malformed") == 1
    errors = {k: v for k, v in box.metrics().items() if k.startswith("tidegate_parse_errors_total") and v}
    assert len(errors) == 1


def test_the_allowlist_comes_first(net: Topology, start: Start) -> None:
    start("allowlist: [192.0.2.1]\n" + DROP_NINE)
    friend = udp(9, Dot1Q(vlan=3), source="192.0.2.1")
    assert arrivals(net, udp(9), friend) == [friend]


def test_monitor_counts_and_drops_nothing(net: Topology, start: Start) -> None:
    box = start("defaults: {mode: monitor}\n" + DROP_NINE)
    assert arrivals(net, udp(9)) == [udp(9)]
    assert box.rule("nine") == 1


def test_tap_mode_says_so_and_enforces_nothing(net: Topology, start: Start) -> None:
    net.box.add_bridge("bridge0", ["outside", "inside"])
    head = HEAD.replace("{outside: outside, inside: inside, mode: inline}", "{outside: outside, mode: tap}")
    box = start(DROP_NINE, head=head)
    assert "outside (tap: nothing is enforced): serving" in box.log
    assert arrivals(net, udp(9)) == [udp(9)]
    assert box.rule("nine") == 1


def test_somebodys_own_object(net: Topology, start: Start) -> None:
    programs = Path(__file__).parents[3] / "programs"
    start("", head=HEAD + f"program: {{object: {programs}/xdp_drop.bpf.o}}\n")
    with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
        near.send(udp(10))
        far.send(udp(10))
        assert far.drain(0.15) == []
        assert near.receive(1) == [udp(10)]


def test_syn_rate_per_source(net: Topology, start: Start) -> None:
    rule = (
        "rules:\n  - {id: syn, match: {tcp.flags: {eq: [syn]}}, rate: {pps: 1, burst: 5, per: ip.src}, action: drop}\n"
    )
    box = start(rule)

    def syn(source: str, sequence: int) -> bytes:
        return bytes(Ether(**MACS) / IP(src=source, dst="10.0.0.2") / TCP(sport=sequence, dport=80, flags="S"))

    got = arrivals(net, *(syn(f"10.1.0.{host}", n) for host in (1, 2) for n in range(10)))
    by_source = [sum(struct.unpack_from("!I", frame, 26)[0] & 0xFF == host for frame in got) for host in (1, 2)]
    assert by_source == [5, 5]
    assert box.rule("syn") == 10

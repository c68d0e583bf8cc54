"""What rules do beside passing and dropping, on the wire: stacks are refused, frames marked, sent elsewhere, copied."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether

from tests.appliance.box.conftest import HEAD, Start, run_to_its_end, wait_until
from tests.appliance.box.wire import udp
from tests.netns import PacketSocket, Topology, run_inside

RULES = """\
rules:
  - {id: reset, match: {tcp.dport: 81}, action: reject}
  - {id: closed, match: {udp.dport: 82}, action: reject, reject: {pps: 5}}
  - {id: voice, match: {udp.dport: 83}, action: mark, mark: {dscp: ef}}
  - {id: probe, match: {udp.dport: 84}, action: block, block: {for: 10m}}
"""
THIRD = """\
version: 1
interfaces: [{outside: outside, inside: inside}, {outside: third, mode: tap}]
metrics: {listen: "127.0.0.1:9478"}
rules:
  - {id: copy, match: {udp.dport: [1, 2]}, action: mirror, mirror: {to: third}}
  - {id: no, match: {udp.dport: 2}, action: drop}
  - {id: away, match: {udp.dport: 3}, action: redirect, redirect: {to: third}}
"""


def test_a_client_is_refused_at_once_and_what_leaves_is_marked(net: Topology, start: Start) -> None:
    box = start(RULES)

    def connect() -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            return client.connect_ex((net.inside.ipv4, 81))

    def ask() -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect((net.inside.ipv4, 82))
            client.send(b"anybody?")
            try:
                client.recv(1)
            except OSError as error:
                return error.errno or 0
        return 0

    assert run_inside(net.outside, connect) == errno.ECONNREFUSED
    assert run_inside(net.outside, ask) == errno.ECONNREFUSED
    with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
        near.send(*[udp(82)] * 20)
        answers = [Ether(frame) for frame in near.drain(0.3)]
        assert 1 <= len(answers) <= 6
        for answer in answers:
            assert (answer[ICMP].type, answer[ICMP].code, answer[IP].src) == (3, 3, net.inside.ipv4)
        near.send(udp(83))
        (marked,) = far.receive(1)
        assert Ether(marked)[IP].tos == 46 << 2
        _has_right_checksums(marked)
        near.send(udp(84), udp(85))
        assert far.drain(0.3) == []
    assert (box.rule("probe"), box.rule("probe.blocked")) == (1, 1)
    assert box.rule("reset") >= 1


def _has_right_checksums(frame: bytes) -> None:
    packet = Ether(frame)
    for layer in (IP, UDP, TCP, ICMP):
        if layer in packet:
            del packet[layer].chksum
    assert bytes(Ether(bytes(packet))) == frame


def test_every_answer_has_right_checksums(net: Topology, start: Start) -> None:
    start(RULES)
    syn = bytes(Ether(udp(1)[:14]) / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=5000, dport=81, seq=7, flags="S"))
    with net.outside.packet_socket() as near:
        near.send(syn, udp(82))
        answers = near.receive(2)
    assert len(answers) == 2
    for answer in answers:
        _has_right_checksums(answer)
    reset = Ether(answers[0])[TCP]
    assert (reset.flags, reset.ack, reset.seq, reset.sport) == ("RA", 8, 0, 81)


def test_frames_are_copied_and_sent_to_a_third_interface_that_may_come_back(net: Topology, start: Start) -> None:
    net.box.add_veth("third", net.inside, "far-third")
    box = start(THIRD, head="")
    with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
        with run_inside(net.inside, lambda: PacketSocket("far-third")) as third:
            near.send(udp(1), udp(2), udp(3), udp(4))
            assert far.drain(0.3) == [udp(1), udp(4)]
            assert third.drain(0.3) == [udp(1), udp(2), udp(3)]
        net.box.delete_link("third")
        box.wait_for("an interface is gone")
        near.send(udp(1), udp(3))
        assert udp(3) not in far.drain(0.3)
        net.box.add_veth("third", net.inside, "far-third")
        box.wait_for("third (tap: nothing is enforced): serving", 2)
        with run_inside(net.inside, lambda: PacketSocket("far-third")) as third:

            def is_back() -> bool:
                near.send(udp(3))
                return udp(3) in third.drain(0.1)

            wait_until(is_back)
    assert (box.rule("no"), box.rule("copy")) == (1, 3)


def test_each_of_several_passages_has_its_own_way_and_all_one_mirror(net: Topology, start: Start) -> None:
    """A frame that passes leaves by its own passage, as often as it came; its copy by the interface that is named."""
    net.box.add_veth("outside2", net.outside, "far-outside2")
    net.box.add_veth("inside2", net.inside, "far-inside2")
    net.box.add_veth("third", net.inside, "far-third")
    box = start(THIRD.replace("[{", "[{outside: outside2, inside: inside2}, {"), head="")
    places = [(net.outside, "eth0"), (net.inside, "eth0"), (net.outside, "far-outside2"), (net.inside, "far-inside2")]
    sent = [udp(1), udp(2), udp(4)]
    with ExitStack() as ends:
        first, second, third, fourth = (ends.enter_context(place.packet_socket(name)) for place, name in places)
        copies = ends.enter_context(net.inside.packet_socket("far-third"))
        for near, far in ((first, second), (second, first), (third, fourth), (fourth, third)):
            near.send(*sent)
            assert far.drain(0.3) == [udp(1), udp(4)]
            assert copies.drain(0.3) == [udp(1), udp(2)]
            elsewhere = [frame for other in (first, second, third, fourth) for frame in other.drain(0.1)]
            assert not set(sent) & set(elsewhere), "a host's own ICMP error may be there, none of these frames"
    assert (box.rule("copy"), box.rule("no")) == (8, 4)


def test_a_reload_redirects_and_keeps_who_is_blocked(net: Topology, start: Start) -> None:
    rules = "rules:\n  - {id: probe, match: {udp.dport: 84}, action: block}\n"
    box = start(rules)
    with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
        near.send(udp(84))
        wait_until(lambda: box.rule("probe") == 1)
        box.reload(
            rules + "  - {id: away, match: {udp.dport: 3}, action: redirect, redirect: {to: inside}}\n", "reloaded"
        )
        near.send(udp(85), udp(3, source="10.0.0.9"), udp(4, source="10.0.0.9"))
        assert far.drain(0.3) == [udp(3, source="10.0.0.9"), udp(4, source="10.0.0.9")]
    assert (box.rule("probe.blocked"), box.rule("away")) == (1, 1)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            HEAD + "rules: [{id: a, action: redirect, redirect: {to: eth9}}]\n",
            "rule 'a' sends frames to eth9, which the box doesn't serve",
        ),
    ],
)
def test_what_the_box_cannot_do_is_refused(net: Topology, tmp_path: Path, document: str, message: str) -> None:
    config = tmp_path / "box.yaml"
    config.write_text(document)
    done = run_to_its_end(net, config)
    assert done.returncode == 1
    assert message in done.stderr

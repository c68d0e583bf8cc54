"""Floods on a wire: they move their sources, their frames stay right, and they know what has left."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from ipaddress import ip_address
from types import SimpleNamespace

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from appliance.ebpf.isa.assembler import assemble
from appliance.lab.attacks import schedule
from appliance.lab.attacks.frames import SHORTEST, AttackFrame, attack_frames
from appliance.lab.attacks.in_kernel import KernelFlood
from appliance.lab.attacks.mix import USUAL_MIX, deal
from appliance.lab.attacks.names import ATTACK_NAMES, marker
from appliance.lab.attacks.program import flood_assembly
from appliance.lab.attacks.schedule import Schedule
from appliance.lab.attacks.sockets import SocketFlood
from hooks.interfaces.ethtool import set_features
from tests.appliance.lab.attacks.checksums import checksums_are_right
from tests.capabilities import requires
from tests.netns import Topology, run_inside

MARKED = bytes.fromhex("02ad000000")  # what all markers begin with
ENOUGH = 400  # frames
EVERY_KIND = dict.fromkeys(ATTACK_NAMES, 1.0)


@pytest.fixture(scope="module")
def frames() -> list[AttackFrame]:
    return attack_frames(deal(USUAL_MIX, 108))


def send_for(flood: KernelFlood, seconds: float, rate: float) -> float:
    """Send at the rate; how many frames a second that was."""
    before, begun = sum(map(sum, flood.counts().values())), time.monotonic()
    flood.set_rate(rate)
    while time.monotonic() - begun < seconds:
        time.sleep(0.001)
        flood.catch_up()
    return (sum(map(sum, flood.counts().values())) - before) / (time.monotonic() - begun)


@pytest.mark.netns
def test_a_socket_moves_sources_and_counts_what_left(topology: Topology, frames: list[AttackFrame]) -> None:
    rounds = 3
    with topology.bridge(), topology.inside.packet_socket() as far:
        with topology.outside.entered():
            flood = SocketFlood("eth0", frames)
        with closing(flood):
            while flood.sent < rounds * len(frames):
                flood.send(20)
            flood.send(5)
            arrived = far.receive(flood.sent)
    assert len(arrived) == flood.sent == rounds * len(frames) + 5
    by_attack = Counter(Ether(data).src for data in arrived)
    assert {name: [by_attack[marker(name)]] for name in USUAL_MIX} == flood.counts()
    assert all(checksums_are_right(data) for data in arrived)
    sources = {Ether(data)[IP].src for data in arrived}
    assert len(sources) > 2 * len(frames) * 0.7  # three fragments share one; some moves would leave public addresses
    assert all(ip_address(source).is_global for source in sources)


@pytest.mark.netns
@requires("bpf")
def test_the_kernel_draws_sources_and_ports_and_counts_what_left(topology: Topology) -> None:
    frames = attack_frames(deal(EVERY_KIND, 64))

    def flood_for_a_moment() -> dict[str, list[int]]:
        with closing(KernelFlood("eth0", frames)) as flood:
            while sum(map(sum, flood.counts().values())) < ENOUGH:
                send_for(flood, 0.05, rate=2000)
            return flood.counts()

    with topology.box.entered():
        set_features("outside", {"rx-gro": True})
    with topology.bridge(), topology.inside.packet_socket() as far:
        sent = run_inside(topology.outside, flood_for_a_moment)
        arrived = [data for data in far.drain() if data[6:11] == MARKED]
    assert ENOUGH <= len(arrived) < 2 * ENOUGH
    by_attack = Counter(Ether(data).src for data in arrived)
    assert {name: [by_attack[marker(name)]] for name in ATTACK_NAMES} == sent
    padded = {len(data.ljust(SHORTEST)) for data in arrived}  # a bridge may take the padding off
    assert padded == {len(frame.data) for frame in frames}
    assert [data.hex() for data in arrived if not checksums_are_right(data)] == []
    packets = [Ether(data) for data in arrived]
    sources = [packet[IP].src for packet in packets if IP in packet]
    assert len(set(sources)) > 0.99 * len(sources)
    assert all(ip_address(source).is_global for source in sources)
    assert len({packet[IPv6].src for packet in packets if IPv6 in packet}) > 0.99 * sum(IPv6 in p for p in packets)
    syns = [packet[TCP] for packet in packets if TCP in packet and packet[TCP].flags == "S"]
    assert len({(syn.sport, syn.seq) for syn in syns}) == len(syns)
    assert {syn.dport for syn in syns} == {80}
    assert min(syn.sport for syn in syns) >= 1024
    answers = [packet[UDP] for packet in packets if UDP in packet and packet[UDP].sport == 1900]
    assert len({answer.dport for answer in answers}) > 0.9 * len(answers)


@pytest.mark.netns
@requires("bpf")
def test_the_kernel_sends_at_the_rate_that_it_is_told(topology: Topology) -> None:
    frames = attack_frames(["syn"])

    def at(rate: float) -> float:
        with closing(KernelFlood("eth0", frames)) as flood:
            return send_for(flood, 0.5, rate)

    with topology.box.entered():
        set_features("outside", {"rx-gro": True})
    with topology.bridge():
        slow, fast = (run_inside(topology.outside, lambda rate=rate: at(rate)) for rate in (2000, 20_000))
    assert 0 < slow < 2100, "never more than it is told, however late its turns come"
    assert slow < fast < 21_000


def test_what_is_due_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(schedule, "time", SimpleNamespace(monotonic=lambda: now))
    due = Schedule(0.01)
    due.set_rate(1000)
    now += 0.0055
    assert [due.take(), due.take()] == [5, 0]
    now += 0.0006
    assert due.take() == 1, "the half that was due before isn't lost"
    now += 3600
    assert [due.take(), due.take()] == [10, 0], "a machine that was busy makes no burst"
    due.set_rate(10)
    now += 3600
    assert due.take() == 1
    due.set_rate(0)
    now += 3600
    assert due.take() == 0


def test_the_program_draws_no_reserved_network() -> None:
    text = flood_assembly(240, 7)
    assert len(assemble(text)) < 200
    assert [line for line in text.splitlines() if line.endswith("goto reserved")] == [
        f"if w1 == {byte} goto reserved" for byte in (10, 100, 127, 169, 172, 192, 198, 203)
    ]

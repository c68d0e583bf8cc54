"""What the walk says of a SYN proxy's rule is what its program does."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from appliance.box.dissection import Dissection
from appliance.datapath.captures import Capture
from appliance.rules import compile_rule_set, load_rule_set
from appliance.rules.model import Direction
from appliance.rules.walk import Walk
from appliance.rules.walk.walk import Outcome
from tests.integration.engines import ENGINES

RULES = """\
rules:
  - {id: proxy, match: {tcp.dport: 80}, action: syn-proxy}
  - {id: others, match: {tcp.dport: 80}, action: count}
"""
FRAMES = {
    "syn": (IP() / TCP(dport=80, flags="S"), "tx", None),
    "syn with ECN": (IPv6() / TCP(dport=80, flags="SEC"), "tx", None),
    "ack": (IP() / TCP(dport=80, flags="A"), "pass", Outcome.NO_SYN),
    "syn and ack": (IP() / TCP(dport=80, flags="SA"), "pass", Outcome.NO_SYN),
    "syn and fin": (IP() / TCP(dport=80, flags="SF"), "pass", Outcome.NO_SYN),
    "reset": (IPv6() / TCP(dport=80, flags="R"), "pass", Outcome.NO_SYN),
    "syn in fragments": (IP(flags="MF") / TCP(dport=80, flags="S"), "drop", None),
}


@pytest.mark.parametrize("name", FRAMES)
def test_the_walk_says_what_the_program_does(name: str, tmp_path: Path) -> None:
    packet, verdict, left = FRAMES[name]
    frame = bytes(_between_hosts(packet))
    (tmp_path / "rules.yaml").write_text(RULES)
    rules = load_rule_set(tmp_path / "rules.yaml")
    with Dissection() as dissection, Capture.of([frame], name) as capture:
        judgement = Walk(rules).judge(next(iter(dissection.frames(capture))), Direction.IN, 10**9)
    with ENGINES["interpreter"](compile_rule_set(rules)) as programs:
        assert programs.run(frame, "in", 10**9) == verdict
        counted = {id_ for id_, packets in programs.packets().items() if packets}
    assert judgement.verdict.value == verdict
    assert set(judgement.counted) == counted
    assert (judgement.steps[0].outcome if left else None) is left


def _between_hosts(packet: Packet) -> Packet:
    if IP in packet:
        packet[IP].src, packet[IP].dst = "198.51.100.1", "203.0.113.1"
    else:
        packet[IPv6].src, packet[IPv6].dst = "2001:db8::1", "2001:db8::2"
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet

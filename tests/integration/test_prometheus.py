"""A real Prometheus beside a real box under traffic: its HTTP API answers what was on the wire, to the frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from tests.appliance.box.conftest import RunningBox, net, start
from tests.dashboards.server import Prometheus
from tests.netns import Topology, run_inside

__all__ = ["net", "start"]

RULES = """\
rules:
  - {id: nine, match: {udp.dport: 9}, action: drop}
  - {id: syn, match: {tcp.flags: {eq: [syn]}}, rate: {pps: 0.001, burst: 5}, action: drop}
  - {id: watched, mode: monitor, match: {vlan.id: 7}, action: drop}
"""
MACS = {"dst": "02:00:00:00:00:0b", "src": "02:00:00:00:00:0a"}  # nobody's, so that no host answers
ADDRESSES = {"src": "10.0.0.1", "dst": "10.0.0.2"}
DROPPED = bytes(Ether(**MACS) / IP(**ADDRESSES) / UDP(dport=9) / bytes(30))
PASSED = bytes(Ether(**MACS) / IP(**ADDRESSES) / UDP(dport=10) / bytes(40))
SYN = bytes(Ether(**MACS) / IP(**ADDRESSES) / TCP(dport=80, flags="S") / bytes(20))
WATCHED = bytes(Ether(**MACS) / Dot1Q(vlan=7) / IP(**ADDRESSES) / UDP(dport=10) / bytes(40))
MALFORMED = bytes(Ether(**MACS) / IP(version=5, **ADDRESSES) / UDP(dport=10) / bytes(40))
TRAFFIC = {DROPPED: 40, PASSED: 70, SYN: 25, WATCHED: 6, MALFORMED: 9}
ANSWERS = 11  # frames from inside


class Inside:
    """Prometheus in the box's namespace, where the metrics are; asked from a thread that is there too."""

    def __init__(self, net: Topology, directory: Path) -> None:
        self._net = net
        self._prometheus: Prometheus = run_inside(net.box, lambda: Prometheus("127.0.0.1:9478", directory).__enter__())

    def value(self, expression: str, expected: float) -> dict[str, str]:
        """Wait until a scrape has brought the one series to that value; its labels."""
        (series,) = self._ask(f"{expression} == {expected}")
        return dict(series["metric"])

    def all(self, expression: str) -> dict[str, float]:
        """Every series' value, by its rule, verdict or other label that the expression keeps alone."""
        series = self._ask(expression)
        return {" ".join(s["metric"].values()): float(s["value"][1]) for s in series}

    def _ask(self, expression: str) -> list[dict[str, Any]]:
        return run_inside(self._net.box, lambda: self._prometheus.wait_for(expression))

    def close(self) -> None:
        self._prometheus.__exit__(None, None, None)


@pytest.fixture
def prometheus(net: Topology, tmp_path: Path) -> Iterator[Inside]:
    directory = tmp_path / "prometheus"
    directory.mkdir()
    running = Inside(net, directory)
    yield running
    running.close()


def test_prometheus_knows_every_frame(net: Topology, start: Callable[..., RunningBox], prometheus: Inside) -> None:
    box = start(RULES)
    with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
        for frame, times in TRAFFIC.items():
            near.send(*[frame] * times)
        far.send(*[PASSED] * ANSWERS)
        delivered = far.drain(0.2)
        assert len(near.drain(0.05)) == ANSWERS
    assert {frame: delivered.count(frame) for frame in TRAFFIC} == {
        DROPPED: 0, PASSED: 70, SYN: 5, WATCHED: 6, MALFORMED: 0,
    }  # fmt: skip

    labels = prometheus.value('tidegate_rule_packets_total{rule="nine"}', 40)
    assert (labels["action"], labels["mode"]) == ("drop", "enforce")
    assert prometheus.all("sum by (rule) (tidegate_rule_packets_total)") == {
        "nine": 40, "syn": 20, "watched": 6, "allowlist": 0, "malformed": 9, "policy": 81 + ANSWERS,
    }  # fmt: skip
    assert prometheus.all("sum by (rule) (tidegate_rule_bytes_total)") == {
        "nine": 40 * len(DROPPED),
        "syn": 20 * len(SYN),
        "watched": 6 * len(WATCHED),
        "allowlist": 0,
        "malformed": 9 * len(MALFORMED),
        "policy": (70 + ANSWERS) * len(PASSED) + 5 * len(SYN) + 6 * len(WATCHED),
    }
    assert prometheus.all("sum by (reason) (tidegate_parse_errors_total) > 0") == {"ipv4_version": 9}
    outside = 'tidegate_interface_packets_total{interface="outside"}'
    assert prometheus.all(f"sum by (direction, verdict) ({outside}) > 0") == {
        "receive pass": 81, "receive drop": 69, "transmit sent": ANSWERS,
    }  # fmt: skip
    inside = 'tidegate_interface_packets_total{interface="inside"}'
    assert prometheus.all(f"sum by (direction, verdict) ({inside}) > 0") == {
        "receive pass": ANSWERS, "transmit sent": 81,
    }  # fmt: skip
    assert prometheus.all("sum (tidegate_capture_dropped_packets_total)") == {"": 0}
    assert prometheus.all("sum (tidegate_transmit_errors_total)") == {"": 0}
    assert prometheus.all("sum (up)") == {"": 1}
    assert box.end() == 0

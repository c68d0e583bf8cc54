"""The default rule set and those who may ask: no port that a client is given makes a request fall."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.lab import dns
from appliance.rules import compile_rule_set, load_rule_set
from tests.integration.engines import NativeRules
from tests.rule_cases import build

DEFAULT = Path(__file__).parents[2] / "configs" / "rulesets" / "default.yaml"
EPHEMERAL = range(32768, 65536)  # of Linux up to 60999, of RFC 6335 from 49152 on
SPORT = 34  # where UDP's source port is in an Ethernet frame of IPv4 without options
DHDISCOVER = 37810
REQUEST_GAP_NS = 10_000_000


@pytest.fixture(scope="module")
def rules() -> Iterator[NativeRules]:
    with NativeRules(compile_rule_set(load_rule_set(DEFAULT))) as loaded:
        yield loaded


def udp(source: str, sport: int, payload: bytes) -> bytearray:
    frame = f'Ether()/IP(src="{source}", dst="198.19.0.10")/UDP(sport={sport}, dport=53)/Raw({payload!r})'
    return bytearray(build(frame))


def test_a_request_passes_from_every_port_that_a_client_is_given(rules: NativeRules) -> None:
    request, fallen = udp("198.18.0.1", 0, dns.query(1)), []
    for number, port in enumerate(EPHEMERAL):
        request[SPORT : SPORT + 2] = port.to_bytes(2, "big")
        if rules.run(bytes(request), "in", (1 + number) * REQUEST_GAP_NS) != "pass":
            fallen.append(port)
    assert fallen == []


def test_answers_of_video_recorders_fall(rules: NativeRules) -> None:
    now = 10**15
    answer = udp("16.0.0.1", DHDISCOVER, b"\x20\0\0\0DHIP" + bytes(24) + b'{"mac":"00:11:22:33:44:55"}')
    assert rules.run(bytes(answer), "in", now) == "drop"
    other = udp("16.0.0.1", DHDISCOVER, bytes(300))
    verdicts = [rules.run(bytes(other), "in", now) for _ in range(200)]
    assert verdicts == ["pass"] * 100 + ["drop"] * 100

"""Why a rule leaves a frame undecided, in words: every kind of field, every outcome."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.box.dissection import Dissection
from appliance.datapath.captures import Capture
from appliance.rules import load_rule_set
from appliance.rules.conditions import Condition
from appliance.rules.model import Direction
from appliance.rules.walk import Outcome, Walk, conditions, words
from tests.rule_cases import build

SYN = 'Ether()/IP(src="192.0.2.1")/TCP(sport=1000, dport=80, flags="S", seq=1)'
DNS = 'Ether()/Dot1Q(vlan=7)/Dot1Q(vlan=9)/IPv6(src="2001:db8::1")/UDP(sport=53, dport=53)'
ROUTED = "Ether()/IP(options=[IPOption_Router_Alert(), Raw(bytes([131, 3, 4])), Raw(bytes([148]))])/UDP()"
MANY = ", ".join(f"198.51.100.{2 * number}" for number in range(60))


@pytest.fixture(scope="module")
def dissection() -> Iterator[Dissection]:
    with Dissection() as dissection:
        yield dissection


def said(folder: Path, dissection: Dissection, rule: str, frame: str, times: int = 1, way: str = "in") -> str:
    """What the first of two rules says of a frame that came so often, a second apart."""
    path = folder / "rules.yaml"
    path.write_text(f"rules:\n  - {{id: first, {rule}}}\n  - {{id: second, action: drop, mode: monitor}}\n")
    walk = Walk(load_rule_set(path))
    with Capture.of([build(frame)], "frame") as capture:
        (dissected,) = dissection.frames(capture)
    for second in range(times):
        judgement = walk.judge(dissected, Direction(way), 10**9 * (second + 1))
    return words.reason(judgement.steps[0], dissected)


@pytest.mark.parametrize(
    ("match", "frame", "expected"),
    [
        ("tcp.dport: 22", SYN, "tcp.dport is 80 (http), not 22 (ssh)"),
        (
            "tcp.dport: [22, '1000-2000', 443, 5, 6]",
            SYN,
            "tcp.dport is 80 (http), not 5-6 or 22 (ssh) or 443 (https) or 1 more",
        ),
        ("tcp.port: 22", SYN, "tcp.port is 1000 and 80 (http), not 22 (ssh)"),
        ("tcp.port: {not: 80}", SYN, "tcp.port is 1000 and 80 (http), and must not be 80 (http)"),
        ("udp.dport: 80", SYN, "udp.dport is only in UDP datagrams (of one in fragments, the first)"),
        ("vlan.id: 5", SYN, "vlan.id is only in frames with a VLAN tag"),
        ("vlan.id: 5", DNS, "vlan.id is 7 and 9, not 5"),
        ("ip.opt.type: rr", SYN, "ip.opt.type is only in IPv4 packets with options"),
        (
            "ip.opt.type: rr",
            ROUTED,
            "ip.opt.type is 131 (loose-source-route) and 148 (router-alert), not 7 (record-route)",
        ),
        (
            "ip.opt.type: {not: ra}",
            ROUTED,
            "ip.opt.type is 131 (loose-source-route) and 148 (router-alert), and must not be 148 (router-alert)",
        ),
        (
            "ip.opt.type: 0",
            "Ether()/IP(options=[Raw(bytes([7, 1, 0, 0]))])/UDP()",
            "ip.opt.type is not there, not 0 (end-of-options)",
        ),
        ("ip.proto: udp", SYN, "ip.proto is 6 (tcp), not 17 (udp)"),
        ("eth.type: ipv6", SYN, "eth.type is 2048 (ipv4), not 34525 (ipv6)"),
        ("eth.src: '02:00:00:00:00:09'", SYN, "eth.src is 02:00:00:00:00:01, not 02:00:00:00:00:09"),
        ("ip.src: 198.51.100.0/24", SYN, "ip.src is 192.0.2.1, not in 198.51.100.0/24"),
        ("ip.src: 198.51.100.7", SYN, "ip.src is 192.0.2.1, not in 198.51.100.7"),
        ("ip.src: '2001:db8:5::/48'", SYN, "ip.src is 192.0.2.1, not in any IPv4 network"),
        ("ip.src: '2001:db8:5::/48'", DNS, "ip.src is 2001:db8::1, not in 2001:db8:5::/48"),
        ("ip.src: {not: 192.0.2.1}", SYN, "ip.src is 192.0.2.1, not in 0.0.0.0-192.0.2.0 or 192.0.2.2-255.255.255.255"),
        (
            f"ip.src: [{MANY}]",
            SYN,
            "ip.src is 192.0.2.1, not in 198.51.100.0 or 198.51.100.2 or 198.51.100.4 or 57 more",
        ),
        ("ip.fragment: true", SYN, "ip.fragment is false, not true"),
        ("tcp.flags: {all: [syn, ack]}", SYN, "tcp.flags are syn, not all of syn, ack"),
        ("tcp.flags: {any: [fin, ack]}", SYN, "tcp.flags are syn, not any of fin, ack"),
        ("tcp.flags: {eq: [ack]}", SYN, "tcp.flags are syn, not exactly ack"),
        ("tcp.flags: {eq: []}", SYN, "tcp.flags are syn, not exactly none set"),
        ("tcp.flags: {not: [syn, ack]}", SYN, "tcp.flags are syn, not without syn, ack"),
        ("frame.len: {gt: 1000}", SYN, "frame.len is 54, not 1001-4294967295"),
        ("tcp.dport: 80, ip.ttl: 1", SYN, "ip.ttl is 64, not 1"),
        ("ip.ttl: 1, tcp.dport: 81", SYN, "ip.ttl is 64, not 1"),
    ],
)
def test_a_condition_that_does_not_hold(
    tmp_path: Path, dissection: Dissection, match: str, frame: str, expected: str
) -> None:
    assert said(tmp_path, dissection, f"match: {{{match}}}, action: drop", frame) == expected


@pytest.mark.parametrize(
    ("rule", "times", "way", "expected"),
    [
        ("action: drop, direction: out", 1, "in", "it judges only frames from inside"),
        ("action: drop, direction: in", 1, "out", "it judges only frames from outside"),
        ("action: drop", 1, "in", "it matches, and drops"),
        ("action: pass", 1, "in", "it matches, and passes"),
        ("action: count", 1, "in", "it matches, and only counts"),
        ("action: mark, mark: {dscp: ef}", 1, "in", "it matches, and marks"),
        ("action: block, block: {by: ip.dst}", 1, "in", "it matches, and blocks"),
        ("action: reject", 1, "in", "it matches, and rejects"),
        ("action: drop, mode: monitor", 1, "in", "it matches; it only counts, because it is in monitor mode"),
        (
            "action: drop, rate: {pps: 2, burst: 1, per: ip.src}",
            1,
            "in",
            "it matches, within its rate (2 pps for each ip.src, burst 1)",
        ),
        (
            "action: drop, rate: {pps: 0.5, burst: 1}",
            2,
            "in",
            "it matches, over its rate (0.5 pps, burst 1), and drops",
        ),
        (
            "match: {tcp.flags: {all: [syn]}}, action: drop, retransmit: {}",
            1,
            "in",
            "it matches, and the source has not passed its test, and drops",
        ),
        (
            "match: {tcp.flags: {all: [syn]}}, action: drop, retransmit: {}",
            2,
            "in",
            "it matches, and the source has passed its test",
        ),
    ],
)
def test_an_outcome(tmp_path: Path, dissection: Dissection, rule: str, times: int, way: str, expected: str) -> None:
    assert said(tmp_path, dissection, rule, SYN, times, way) == expected


def test_sets_are_called_by_their_names(tmp_path: Path, dissection: Dissection) -> None:
    (tmp_path / "rules.yaml").write_text(
        "sets:\n"
        "  feed: {type: prefix, constant: false, elements: [198.51.100.0/24]}\n"
        "  seen: {type: port, constant: false, elements: [80]}\n"
        "  pairs: {type: [prefix, port], elements: [[192.0.2.1, 22]]}\n"
        "rules:\n"
        "  - {id: a, match: {ip.src: '@feed'}, action: drop}\n"
        "  - {id: b, match: {tcp.port: {not: '@seen'}}, action: drop}\n"
        "  - {id: c, match: {ip.src . tcp.dport: '@pairs'}, action: drop}\n"
        "  - {id: d, match: {ip.src . udp.dport: '@pairs'}, action: drop}\n"
    )
    with Capture.of([build(SYN)], "frame") as capture:
        (frame,) = dissection.frames(capture)
    judgement = Walk(load_rule_set(tmp_path / "rules.yaml")).judge(frame, Direction.IN, 1)
    assert [words.reason(step, frame) for step in judgement.steps] == [
        "ip.src is 192.0.2.1, not in @feed",
        "tcp.port is 1000 and 80 (http), which is in @seen",
        "ip.src . tcp.dport is 192.0.2.1 . 80 (http), not in @pairs",
        "udp.dport is only in UDP datagrams (of one in fragments, the first)",
    ]


def test_behind_a_monitored_rule(tmp_path: Path, dissection: Dissection) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("rules:\n  - {id: a, action: drop, mode: monitor}\n  - {id: b, action: pass, mode: monitor}\n")
    with Capture.of([build(SYN)], "frame") as capture:
        (frame,) = dissection.frames(capture)
    judgement = Walk(load_rule_set(path)).judge(frame, Direction.IN, 1)
    assert words.reason(judgement.steps[1], frame) == (
        "it matches, behind another monitored rule, which counted the frame"
    )
    assert (judgement.verdict.value, judgement.by, judgement.counted) == ("pass", "policy", ("a", "policy"))


def test_every_kind_of_condition_is_known() -> None:
    kinds = set(typing.get_args(Condition))
    assert set(conditions.HOLDS) == kinds
    assert set(words._DIFFERENCES) == kinds


def test_every_outcome_has_words() -> None:
    others = {Outcome.OTHER_DIRECTION, Outcome.NO_LAYER, Outcome.NO_MATCH, Outcome.WITHIN_RATE}
    assert set(words._MATCHES) | others == set(Outcome)

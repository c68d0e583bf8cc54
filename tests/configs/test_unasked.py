"""What nobody asked for falls by the default rules, and the same frame passes where somebody did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.rules import compile_rule_set, load_rule_set
from appliance.rules.code.stages.flows import CLOCK, CLOCK_KEY, NEVER_LEARN
from tests.integration.engines import NativeRules
from tests.rule_cases import build

DEFAULT = Path(__file__).parents[2] / "configs" / "rulesets" / "default.yaml"
BEGIN = 10**15
SECOND = 10**9

IN = 'Ether()/IP(src="16.0.0.1", dst="198.19.0.10")'
OUT = 'Ether()/IP(src="198.19.0.10", dst="16.0.0.1")'
IN6 = 'Ether()/IPv6(src="2600::1", dst="2001:4860::1")'
OUT6 = 'Ether()/IPv6(src="2001:4860::1", dst="2600::1")'

# the rule by which an answer falls, the answer, and what asks for it
ANSWERS = [
    ("nobody-asked", 'TCP(sport=443, dport=40000, flags="SA", seq=9, ack=101)', "TCP(sport=40000, dport=443, seq=100)"),
    ("nobody-asked", 'TCP(sport=443, dport=40001, flags="RA", ack=101)', "TCP(sport=40001, dport=443, seq=100)"),
    (
        "nobody-asked",
        'TCP(sport=443, dport=40002, flags="PA", seq=8, ack=100)/"data"',
        'TCP(sport=40002, dport=443, flags="A", seq=100, ack=8)',
    ),
    ("answers-nobody-asked", 'UDP(sport=53, dport=40003)/"answer"', 'UDP(sport=40003, dport=53)/"question"'),
    ("answers-nobody-asked", 'UDP(sport=123, dport=40004)/"answer"', 'UDP(sport=40004, dport=123)/"question"'),
    ("answers-nobody-asked", 'UDP(sport=443, dport=22)/"answer"', 'UDP(sport=22, dport=443)/"question"'),
]


@pytest.fixture(scope="module")
def rules() -> Iterator[NativeRules]:
    """The box that has been there for long."""
    with NativeRules(compile_rule_set(load_rule_set(DEFAULT))) as loaded:
        loaded._collection.maps[CLOCK].update(CLOCK_KEY, NEVER_LEARN)
        yield loaded


def _outcome(rules: NativeRules, frame: str, way: str, now: int) -> tuple[str, str]:
    before = rules.packets()
    verdict = rules.run(build(frame), way, now)
    return verdict, next((name for name, n in rules.packets().items() if n != before[name]), "")


@pytest.mark.parametrize(("incoming", "outgoing"), [(IN, OUT), (IN6, OUT6)], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(("rule", "answer", "question"), ANSWERS, ids=[answer[:24] for _, answer, _ in ANSWERS])
def test_answers_pass_when_they_were_asked_for(
    rules: NativeRules, rule: str, answer: str, question: str, incoming: str, outgoing: str
) -> None:
    frame = f"{incoming}/{answer}"
    assert _outcome(rules, frame, "in", BEGIN) == ("drop", rule)
    assert _outcome(rules, f"{outgoing}/{question}", "out", BEGIN + SECOND)[0] == "pass"
    assert _outcome(rules, frame, "in", BEGIN + 2 * SECOND) == ("pass", "established")


ERROR = 'ICMP(type=3, code=4)/IP(src="198.19.0.10", dst="16.0.0.1")/UDP(sport=40010, dport=33434)'


def test_echo_replies_and_errors_pass_when_they_were_asked_for(rules: NativeRules) -> None:
    for answer, question in (
        ("ICMP(type=0, id=5)", "ICMP(type=8, id=5)"),
        (ERROR, "UDP(sport=40010, dport=33434)"),
    ):
        assert _outcome(rules, f"{IN}/{answer}", "in", BEGIN) == ("drop", "nobody-asked")
        assert _outcome(rules, f"{OUT}/{question}", "out", BEGIN + SECOND)[0] == "pass"
        assert _outcome(rules, f"{IN}/{answer}", "in", BEGIN + 2 * SECOND) == ("pass", "policy")


def test_servers_that_talk_to_each_other_need_no_question(rules: NativeRules) -> None:
    for port in (53, 123, 500, 4500):
        frame = f'{IN}/UDP(sport={port}, dport={port})/"hello"'
        assert _outcome(rules, frame, "in", BEGIN + 3 * SECOND) == ("pass", "policy"), port


@pytest.mark.parametrize(
    ("rule", "layers", "most"),
    [
        ("established-udp-per-source", "UDP(sport={0}, dport={1})", 5000),
        ("established-ack-per-source", 'TCP(sport={0}, dport={1}, flags="A", seq={2}, ack={3})', 5000),
    ],
)
def test_of_connections_there_can_be_too_much(rules: NativeRules, rule: str, layers: str, most: int) -> None:
    ours, theirs = layers.format(41000, 4321, 100, 8), layers.format(4321, 41000, 8, 100)
    assert rules.run(build(f"{OUT}/{ours}"), "out", BEGIN) == "pass"
    before, frame = rules.packets(), build(f"{IN}/{theirs}")
    for _ in range(most + 50):
        rules.run(frame, "in", BEGIN)
    counted = {name: n - before[name] for name, n in rules.packets().items() if n != before[name]}
    assert counted == {"established": most, rule: 50}

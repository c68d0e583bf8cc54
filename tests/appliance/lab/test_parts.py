"""The lab's smaller parts: its DNS, its document for the box, its reading of metrics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.box.config import load_box_config
from appliance.errors import InputRefused
from appliance.lab import dns
from appliance.lab.box import read_metrics
from appliance.lab.config import lab_config
from appliance.lab.report import BoxCounts, LabReport, RuleHits, Traffic, Unanswered
from appliance.shipped import DEFAULT_RULES, shipped

RULES = """\
version: 1
defaults: {policy: pass}
sets:
  bad: {type: prefix, file: lists/bad.txt}
rules:
  - {id: bad, match: {ip.src: "@bad"}, action: drop}
"""
METRICS = """\
# HELP tidegate_rule_packets_total Frames a rule's action applied to.
# TYPE tidegate_rule_packets_total counter
tidegate_rule_packets_total{action="drop",mode="enforce",rule="xmas"} 12.0
tidegate_rule_bytes_total{action="drop",mode="enforce",rule="xmas"} 720.0
tidegate_interface_packets_total{direction="receive",interface="outside",verdict="pass"} 100.0
tidegate_interface_packets_total{direction="receive",interface="outside",verdict="drop"} 12.0
tidegate_interface_packets_total{direction="receive",interface="inside",verdict="pass"} 90.0
tidegate_interface_packets_total{direction="receive",interface="inside",verdict="aborted"} 1.0
tidegate_interface_packets_total{direction="transmit",interface="inside",verdict="sent"} 100.0
tidegate_capture_dropped_packets_total{interface="outside",reason="ring full"} 3.0
tidegate_program_compile_seconds 0.4
"""


@given(st.integers(0, 10**9))
def test_a_question_has_one_answer(number: int) -> None:
    answered = dns.answer(dns.query(number))
    assert answered is not None
    assert answered[:2] == dns.query(number)[:2]
    assert answered[-4:] == bytes((192, 0, 2, number % 256))


@given(st.binary(max_size=64))
def test_what_is_no_question_has_no_answer(message: bytes) -> None:
    assert dns.answer(message) is None


def test_metrics_become_counts() -> None:
    assert read_metrics(METRICS) == BoxCounts(
        received=203, passed=190, dropped=13, capture_dropped=3, rules={"xmas": RuleHits(12, 720)}
    )


def test_the_report_is_the_documented_document() -> None:
    good = {"http4": Traffic(10, 10), "dns4": Traffic(5, 4)}
    attack = {"syn": Traffic(1000, 3), "xmas": Traffic(500, 0)}
    lost = [Unanswered(1.25, "dns4", "198.18.0.5", 37810)]
    report = LabReport(2.0004, good, attack, read_metrics(METRICS), lost)
    assert report.as_json() == {
        "seconds": 2.0,
        "good": {"sent": 15, "received": 14},
        "attack": {"sent": 1500, "received": 3},
        "box": {"received": 203, "passed": 190, "dropped": 13, "capture_dropped": 3},
        "unanswered": [{"seconds": 1.25, "kind": "dns4", "source": "198.18.0.5", "port": 37810}],
        "rules": {"xmas": {"packets": 12, "bytes": 720}},
    }
    assert (report.attack.delivered, Traffic().delivered) == (0.002, 0.0)


@pytest.mark.parametrize("head", ["", "interfaces: [{outside: eth7, inside: eth8}]\nworkers: 2\n"])
def test_a_rule_set_and_a_box_both_become_the_labs_box(tmp_path: Path, head: str) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/bad.txt").write_text("192.0.2.0/24\n")
    (tmp_path / "given.yaml").write_text(head + RULES)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "box.yaml").write_text(json.dumps(lab_config(tmp_path / "given.yaml")))
    config = load_box_config(elsewhere / "box.yaml")
    assert [(passage.outside, passage.inside) for passage in config.passages] == [("outside", "inside")]
    assert (config.metrics_address, config.metrics_port) == ("127.0.0.1", 9478)
    assert config.workers == (2 if head else 1)
    assert config.rules is not None
    assert [rule.id for rule in config.rules.rules] == ["bad"]


@pytest.mark.parametrize("own", ["", "connections: {udp: 60}\n"])
def test_the_labs_box_has_stood_there_for_long(tmp_path: Path, own: str) -> None:
    default = shipped(DEFAULT_RULES).resolve()
    (tmp_path / "given.yaml").write_text(f"include: [{default}]\n{own}")
    (tmp_path / "box.yaml").write_text(json.dumps(lab_config(tmp_path / "given.yaml")))
    rules = load_box_config(tmp_path / "box.yaml").rules
    assert rules is not None
    assert rules.connections is not None
    assert (rules.connections.grace, rules.connections.udp) == (0, 60 if own else 120)


def test_what_is_wrong_is_told_of_the_users_own_file(tmp_path: Path) -> None:
    path = tmp_path / "given.yaml"
    path.write_text(RULES.replace("drop}", "dorp}"))
    with pytest.raises(InputRefused) as raised:
        lab_config(path)
    assert f"{path}:6" in str(raised.value)

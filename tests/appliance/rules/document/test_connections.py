"""`connections:` of documents: what they say together, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.rules import RuleSetRefused, load_rule_set
from appliance.rules.model import Connections

DEFAULTS = {
    "entries": 262144,
    "openings": 131072,
    "tcp_opening": 60.0,
    "tcp_established": 7440.0,
    "tcp_closing": 240.0,
    "tcp_closed": 120.0,
    "udp": 120.0,
    "icmp": 60.0,
    "other": 600.0,
    "grace": 30.0,
    "asymmetric": False,
}


def _connections(folder: Path, text: str, included: str = "") -> Connections | None:
    (folder / "included.yaml").write_text(included or "rules: []\n")
    (folder / "rules.yaml").write_text(f"include: [included.yaml]\n{text}\n")
    return load_rule_set(folder / "rules.yaml").connections


@pytest.mark.parametrize(
    ("text", "included", "differs"),
    [
        ("connections: {}", "", {}),
        ("connections: {grace: 2h4m, udp: 45}", "", {"grace": 7440.0, "udp": 45.0}),
        ("connections: {grace: 0, asymmetric: true}", "", {"grace": 0.0, "asymmetric": True}),
        ("rules: []", "connections: {entries: 7}", {"entries": 7}),
        (
            "connections: {tcp: {closing: 1s}, icmp: 1m}",
            "connections: {tcp: {closing: 9, closed: 1.5s}, icmp: 9}",
            {"tcp_closing": 1.0, "tcp_closed": 1.5, "icmp": 60.0},
        ),
    ],
)
def test_later_documents_say_it_over_earlier_ones(
    tmp_path: Path, text: str, included: str, differs: dict[str, object]
) -> None:
    assert _connections(tmp_path, text, included) == Connections(**{**DEFAULTS, **differs})  # type: ignore[arg-type]


def test_without_the_key_nothing_is_tracked(tmp_path: Path) -> None:
    assert _connections(tmp_path, "rules: []") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("connections: {grace: soon}", "rules.yaml:2:22: grace: 'soon' isn't a time"),
        ("connections: {udp: 0}", "rules.yaml:2:20"),
        ("connections: {tcp: {open: 3}}", "rules.yaml:2:21"),
        (
            "rules: [{id: a, match: {ct.state: new}, action: drop}]",
            "rules.yaml:2:35: nothing tracks connections, so ct.state says nothing",
        ),
        (
            "connections: {}\nrules: [{id: a, match: {ct.state: old}, action: drop}]",
            "rules.yaml:3:35: 'old' isn't a connection state",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RuleSetRefused) as caught:
        _connections(tmp_path, text)
    assert said in str(caught.value)

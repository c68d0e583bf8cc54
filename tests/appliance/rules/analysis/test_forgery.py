"""Rules that block by what anybody can send in anybody's name are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.rules import load_rule_set
from appliance.rules.analysis import FindingKind, find_forgeable


@pytest.mark.parametrize(
    ("rest", "is_forgeable"),
    [
        ("match: {udp.dport: 53}, action: block", True),
        ("match: {tcp.flags: {all: [syn], not: [ack]}}, action: block", True),
        ("match: {tcp.flags: {not: [ack]}}, action: block", True),
        ("match: {tcp.dport: 23}, action: block", True),
        ("action: block", True),
        ("rate: {pps: 5, per: ip.src, block_for: 1m}, action: drop", True),
        ("match: {tcp.flags: {all: [ack]}}, action: block", False),
        ("match: {tcp.flags: {eq: [ack, psh]}}, action: block", False),
        ("match: {udp.dport: 53, ct.state: new}, action: block", True),
        ("match: {udp.dport: 53, ct.state: [new, established]}, action: block", True),
        ("match: {udp.dport: 53, ct.state: established}, action: block", False),
        ("match: {udp.dport: 53}, action: drop", False),
        ("rate: {pps: 5, per: ip.src}, action: drop", False),
    ],
)
def test_who_forges_a_source_chooses_who_is_blocked(tmp_path: Path, rest: str, *, is_forgeable: bool) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(f"rules:\n  - {{id: it, {rest}}}\nconnections: {{}}\n")
    found = find_forgeable(load_rule_set(path))
    assert [(each.kind, each.rule.id) for each in found] == [(FindingKind.FORGEABLE, "it")] * is_forgeable
    if is_forgeable:
        assert str(found[0]).startswith(
            f"{path}:2:5: rule 'it' is forgeable: it blocks by frames that need no handshake"
        )

"""Rules that ask for the number of what is opened are told, and what they are told to ask for instead sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.rules import load_rule_set
from appliance.rules.analysis import FindingKind, find_blind

OPENED = "tunnels: {kinds: [vxlan, ip, gre]}\n"


@pytest.mark.parametrize(
    ("match", "tunnels", "instead"),
    [
        ("ip.proto: ah", "", "ah.spi: {gt: 0}"),
        ("ip.proto: [esp, ah]", "", "ah.spi: {gt: 0}"),
        ("ip.proto: esp", "", None),
        ("ip.proto: 40-60", "", None),
        ("ip.proto: ah, ip.fragment: true", "", None),
        ("ip.proto: {not: ah}", "", None),
        ("udp.dport: 4789", "", None),
        ("udp.dport: 4789", OPENED, "outer.udp.dport: 4789"),
        ("udp.port: [53, 4789]", OPENED, "outer.udp.port: 4789"),
        ("udp.dport: 4000-5000", OPENED, None),
        ("udp.sport: 4789", OPENED, None),
        ("outer.udp.dport: 4789", OPENED, None),
        ("udp.dport: 6081", OPENED, None),
        ("ip.proto: gre", OPENED, "outer.ip.proto: 47"),
        ("ip.proto: ipv6", OPENED, "outer.ip.proto: 41"),
        ("ip.proto: gre", "", None),
    ],
)
def test_who_asks_for_what_is_opened_is_told(tmp_path: Path, match: str, tunnels: str, instead: str | None) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(f"rules:\n  - {{id: it, match: {{{match}}}, action: drop}}\n{tunnels}")
    found = find_blind(load_rule_set(path))
    assert [(each.kind, each.rule.id) for each in found] == [(FindingKind.BLIND, "it")] * (instead is not None)
    if instead is not None:
        assert str(found[0]).startswith(f"{path}:2:5: rule 'it' is blind: ")
        assert found[0].reason.endswith(f"ask for `{instead}`")
        path.write_text(f"rules:\n  - {{id: it, match: {{{instead}}}, action: drop}}\n{tunnels}")
        assert find_blind(load_rule_set(path)) == ()

"""What LLVM makes of rule sets is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.ebpf.objects.objects import load_object
from appliance.rules.code.compile import compile_rule_set
from appliance.rules.document.load import load_rule_set
from appliance.verifier import Verifier

HEAD = """version: 1
defaults: {policy: pass, mode: enforce}
sets:
  office: {type: prefix, elements: [192.0.2.0/24, "2001:db8::/32"]}
allowlist: ["@office"]
rules:
"""
MATCHES = (
    "{tcp.flags: {all: [fin, psh, urg]}}",
    "{udp.dport: 53}",
    "{tcp.dport: %d}",
    "{icmp.type: 8}",
    "{ip.src: 198.51.%d.0/24}",
    "{ip.dst: 203.0.113.%d, udp.sport: 53}",
    "{vlan.id: %d}",
)


@pytest.mark.parametrize("count", [20, 120])
def test_a_rule_set_is_accepted(tmp_path: Path, count: int) -> None:
    path = tmp_path / "rules.yaml"
    rules = []
    for n in range(count):
        match = MATCHES[n % len(MATCHES)]
        match = match % (n + 1) if "%d" in match else match
        rate = "rate: {pps: 200, burst: 400, per: ip.src}, " if n % 10 == 2 else ""
        rules.append(f"  - {{id: r{n}, match: {match}, {rate}action: drop}}\n")
    path.write_text(HEAD + "".join(rules))
    collection = load_object(compile_rule_set(load_rule_set(path)).object, str(path), None)
    assert set(collection.programs) == {"tidegate_in", "tidegate_out"}
    for spec in collection.programs.values():
        verified = Verifier(collection.maps).verify(spec)
        assert verified.facts.reachable

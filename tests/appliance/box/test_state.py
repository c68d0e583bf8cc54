"""A replay judges as a box that has been there for long; a box that has just started learns."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.box.filter_files import read_filter
from appliance.box.offline_replay import ENGINES
from appliance.datapath.captures import Capture
from hooks.contracts.contract import Verdict
from tests.integration.engines import NativeRules
from tests.rule_cases import build

RULES = "connections: {grace: 30s}\nrules: [{id: invalid, match: {ct.state: invalid}, action: drop}]\n"
UNASKED = 'Ether()/IP()/TCP(sport=443, dport=40000, flags="SA", seq=9, ack=101)'


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_in_a_capture_nobody_is_believed_for_being_first(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    with Capture.of([build(UNASKED)], "attack") as capture, ENGINES[engine](read_filter(path)) as replay:
        for _ in range(2):  # the second capture begins as the first
            assert replay.replay(capture).verdicts[Verdict.DROP].packets == 1
    with NativeRules(read_filter(path).rules) as box:
        assert box.run(build(UNASKED), "in", 10**9) == "pass"

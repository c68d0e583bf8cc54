"""Attacks made here, in a box that has run for a while: of each, one frame in a hundred gets through at most."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.box.filter_files import read_filter
from appliance.box.offline_replay import NativeReplay
from appliance.datapath.captures import Capture
from hooks.contracts.contract import Verdict
from tests.attacks import BEYOND, attack_capture, attacks

DEFAULT = Path(__file__).parents[2] / "configs" / "rulesets" / "default.yaml"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeReplay]:
    rules = tmp_path_factory.mktemp("rules") / "running.yaml"
    rules.write_text(f"include: [{DEFAULT}]\nconnections: {{grace: 0}}\n")
    with NativeReplay(read_filter(rules)) as native:
        yield native


@pytest.mark.parametrize("name", attacks())
def test_attacks_fall(running: NativeReplay, name: str, tmp_path: Path) -> None:
    path = tmp_path / "attack.pcap"
    attack_capture(name, path)
    with Capture(path) as capture:
        result = running.replay(capture)
    share = result.verdicts[Verdict.DROP].packets / result.frames.packets
    if name in BEYOND:
        assert share < 0.01, "it is like anybody's traffic: docs/defence.md"
    else:
        assert share >= 0.99

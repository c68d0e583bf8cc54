"""Frames that rules send elsewhere, where the maps of interfaces are filled: in Linux, and as native code."""

from __future__ import annotations

from pathlib import Path

from appliance.rules import CompiledRules, compile_rule_set, load_rule_set
from appliance.rules.code.redirects import PEER, TARGET, entry
from appliance.rules.model import Direction
from tests.appliance.rules.kernel import KernelRules, needs_kernel
from tests.integration.engines import NativeRules
from tests.rule_cases import build

RULES = """
rules:
  - {id: all, match: {ip.proto: udp}, action: mirror, mirror: {to: eth3}}
  - {id: no, match: {udp.dport: 9}, action: drop}
  - {id: away, match: {udp.dport: 10}, action: redirect, redirect: {to: eth2}}
"""
PASSED, DROPPED, REDIRECTED = (build(f"Ether()/IP()/UDP(dport={port})") for port in (1, 9, 10))
LO = 1


def _compiled(folder: Path) -> CompiledRules:
    path = folder / "rules.yaml"
    path.write_text(RULES)
    return compile_rule_set(load_rule_set(path))


def test_what_has_to_be_filled_is_said_by_name(tmp_path: Path) -> None:
    assert _compiled(tmp_path).exits == {
        "redirects": ("eth2",),
        "copies_in_0": (Direction.IN, "eth3"),
        "copies_out_0": (Direction.OUT, "eth3"),
    }


def test_a_frame_is_copied_once_somebody_has_said_what_passing_is(tmp_path: Path) -> None:
    with NativeRules(_compiled(tmp_path)) as rules:
        copies = rules.maps["copies_in_0"]
        assert [rules.run(frame) for frame in (PASSED, DROPPED, REDIRECTED)] == ["pass", "drop", "redirect"]
        copies.update(entry(TARGET), entry(LO))  # type: ignore[attr-defined]
        assert [rules.run(frame) for frame in (PASSED, DROPPED)] == ["pass", "redirect"]
        copies.update(entry(PEER), entry(LO))  # type: ignore[attr-defined]
        assert [rules.run(frame) for frame in (PASSED, DROPPED)] == ["redirect", "redirect"]
        assert [rules.run(frame, "out") for frame in (PASSED, DROPPED)] == ["pass", "drop"]
        assert rules.packets()["all"] == 9


def test_what_has_nowhere_to_go_is_dropped(tmp_path: Path) -> None:
    with NativeRules(_compiled(tmp_path)) as rules:
        rules.maps["redirects"].delete(entry(0))  # type: ignore[attr-defined]
        assert rules.run(REDIRECTED) == "drop"


@needs_kernel
def test_the_kernel_says_the_same(tmp_path: Path) -> None:
    with KernelRules(_compiled(tmp_path), tmp_path) as rules:
        assert [rules.run(frame) for frame in (PASSED, DROPPED, REDIRECTED)] == ["pass", "drop", "redirect"]
        rules.point({"copies_in_0": [(entry(PEER), entry(LO)), (entry(TARGET), entry(LO))]})
        assert [rules.run(frame) for frame in (PASSED, DROPPED)] == ["redirect", "redirect"]
        assert rules.packets()["away"] == 1

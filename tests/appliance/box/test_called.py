"""A stage that is an object: called behind the rules, by both engines, with its maps; and what it can't be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from appliance.box.filter_spec import FilterSpec
from appliance.box.generation import Generation
from appliance.box.offline_replay import InterpretedReplay, NativeReplay
from appliance.datapath.captures import Capture
from appliance.errors import InputRefused
from appliance.rules import compile_rule_set, load_rule_set
from hooks.contracts.contract import Verdict

PROGRAMS = Path(__file__).parents[3] / "programs"
RULES = """\
stages: [{id: last, object: OBJECT, program: PROGRAM, at: after-rules, direction: in}]
rules: [{id: friend, match: {udp.dport: 10}, action: pass}]
"""
Replay = Callable[[FilterSpec], NativeReplay | InterpretedReplay]


def _filter(folder: Path, program: str, text: str = RULES) -> FilterSpec:
    shutil.copy(PROGRAMS / f"{program}.bpf.o", folder / "stage.o")
    path = folder / "rules.yaml"
    path.write_text(text.replace("OBJECT", "stage.o").replace("PROGRAM", program))
    return FilterSpec.of_rules(compile_rule_set(load_rule_set(path)), str(path))


@pytest.mark.parametrize("engine", [NativeReplay, InterpretedReplay])
def test_what_no_rule_decides_the_object_does(engine: Replay, tmp_path: Path) -> None:
    frames = [Ether() / IP() / UDP(dport=port) for port in (9, 10, 11)]
    wrpcap(str(tmp_path / "frames.pcap"), frames)
    replay = engine(_filter(tmp_path, "xdp_drop"))
    try:
        with Capture(tmp_path / "frames.pcap") as capture:
            found = replay.replay(capture)
        counts = {id_: count.packets for id_, count in replay.rule_counts().items()}
    finally:
        replay.close()
    assert found.inward[Verdict.DROP].packets == 2
    assert found.inward[Verdict.PASS].packets == 1
    assert (counts["last"], counts["friend"], counts["policy"]) == (2, 1, 0)


def test_its_maps_outlive_a_reload(tmp_path: Path) -> None:
    first = Generation.load(_filter(tmp_path, "xdp_firewall"), 1)
    ports = first.collection.maps["ports"]
    second = Generation.load(_filter(tmp_path, "xdp_firewall"), 1, first)
    first.close(second)
    try:
        assert second.collection.maps["ports"] is ports
        assert not ports.closed
    finally:
        second.close()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{id: a, object: stage.o, program: xdp_drop}", "an object is called in place of the policy"),
        ("{id: a, object: stage.o, program: xdp_drop, at: after-rules, mode: monitor}", "can't be held back"),
        ("{id: a, object: stage.o, program: xdp_drop, at: after-rules, constants: {x: 1}}", "takes no constants"),
        ("{id: a, object: stage.o, program: none, at: after-rules}", "its stages are: xdp_drop"),
        (
            "{id: a, object: stage.o, program: xdp_drop, at: after-rules}, "
            "{id: b, object: stage.o, program: xdp_drop, at: after-rules}",
            "b would never be asked",
        ),
    ],
)
def test_what_an_object_cant_be(tmp_path: Path, entry: str, said: str) -> None:
    with pytest.raises(InputRefused, match=said):
        _filter(tmp_path, "xdp_drop", f"stages: [{entry}]\n")


def test_a_map_that_the_rules_have_too_is_refused_with_its_place(tmp_path: Path) -> None:
    """The firewall's map of counters is called `counters`; so is a set's, when it is called so."""
    rules = _filter(tmp_path, "xdp_firewall").rules
    assert rules is not None
    with pytest.raises(InputRefused, match=r"rules\.yaml:1:.*is called as one of the rules' is"):
        _twice(tmp_path)


def _twice(folder: Path) -> FilterSpec:
    """An object that is the rule set itself: every name is there already."""
    _filter(folder, "xdp_drop")
    path = folder / "rules.yaml"
    (folder / "stage.o").write_bytes(compile_rule_set(load_rule_set(path)).object)
    path.write_text(path.read_text().replace("xdp_drop", "tidegate_in"))
    return FilterSpec.of_rules(compile_rule_set(load_rule_set(path)), str(path))

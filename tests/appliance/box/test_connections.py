"""A reload hands connections over: whatever the next rules are, none is forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.box.filter_spec import FilterSpec
from appliance.box.generation import Generation
from appliance.rules import compile_rule_set, load_rule_set
from appliance.rules.code.stages.flows import FLOW_SIZE, KEY_SIZE, STATE_MAPS

KEPT = 1000


def _spec(folder: Path, text: str) -> FilterSpec:
    path = folder / "rules.yaml"
    path.write_text(text)
    return FilterSpec.of_rules(compile_rule_set(load_rule_set(path)), str(path))


@pytest.mark.parametrize(
    ("after", "kept"),
    [
        ("connections: {grace: 5, udp: 7}\nrules: [{id: new, match: {ct.state: new}, action: drop}]", KEPT),
        ("connections: {entries: 4096}", 0),
    ],
    ids=["other rules and times", "other sizes"],
)
def test_a_reload_keeps_connections_unless_their_room_changes(tmp_path: Path, after: str, kept: int) -> None:
    first = Generation.load(_spec(tmp_path, "connections: {}"), 1)
    flows = first.collection.maps["flows"]
    for number in range(KEPT):
        flows.update(number.to_bytes(KEY_SIZE, "little"), bytes(FLOW_SIZE))
    second = Generation.load(_spec(tmp_path, after), 1, first)
    first.close(second)
    try:
        assert len(second.collection.maps["flows"]) == kept
        assert (second.collection.maps["flows"] is flows) is bool(kept)
    finally:
        second.close()


def test_what_fills_up_is_named_for_the_operator(tmp_path: Path) -> None:
    generation = Generation.load(_spec(tmp_path, "connections: {}"), 1)
    try:
        named = {name for name in generation.filling_maps() if name.startswith("connections.")}
    finally:
        generation.close()
    assert named == set(STATE_MAPS.values()) - {"connections.clock"}

"""A rule's state has a name for reloads, which follows from its id, and one for people, which says what sizes it."""

from pathlib import Path

from appliance.rules import compile_rule_set, load_rule_set

RULES = """
rules:
  - {id: all, match: {ip.proto: udp}, rate: {pps: 10}, action: drop}
  - {id: each, match: {ip.proto: udp}, rate: {pps: 10, per: ip.src}, action: drop}
  - {id: target, match: {ip.proto: udp}, rate: {pps: 10, per: ip.dst}, action: drop}
  - {id: first, match: {tcp.flags: {all: [syn]}}, retransmit: {}, action: drop}
"""


def test_state_maps_are_called_by_rule_and_key(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    compiled = compile_rule_set(load_rule_set(path))
    uses = {name.partition("_")[0]: use for name, use in compiled.state_maps.items()}
    assert uses == {
        "rate": "all.rate",
        "rsrc": "each.sources",
        "rdst": "target.sources",
        "known": "first.sources",
        "seen": "first.tries",
        "answer": "first.answers",
    }

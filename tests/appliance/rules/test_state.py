"""A rule's state has a name for reloads, which follows from its id, and one for people, which says what sizes it."""

from pathlib import Path

from appliance.ebpf.objects.objects import load_object
from appliance.rules import CompiledRules, compile_rule_set, load_rule_set
from tests.appliance.rules.kernel import KernelRules, needs_kernel
from tests.rule_cases import build

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
        "tries": "first.tries",
        "answers": "first.answers",
        "newcomers": "newcomers",
    }


# Ids that are one when what an identifier can't hold is left out or replaced alike, and the longest.
IDS = ("a-b", "a_b", "a.b", "aub", "adb", "a--b", "a-_b", "a_-b", "a__b", "x" * 63, "x" * 62 + "-")


def _rates(folder: Path) -> CompiledRules:
    path = folder / "rules.yaml"
    path.write_text("rules:\n" + "".join(f"  - {{id: {name}, rate: {{pps: 10}}, action: drop}}\n" for name in IDS))
    return compile_rule_set(load_rule_set(path))


def test_no_two_ids_share_a_map(tmp_path: Path) -> None:
    compiled = _rates(tmp_path)
    assert list(compiled.state_maps.values()) == [f"{name}.rate" for name in IDS]
    assert "rate_a_b" in compiled.state_maps
    assert all(name.isidentifier() and name.isascii() for name in compiled.state_maps)
    assert set(compiled.state_maps) <= set(load_object(compiled.object, "rules.o").maps)


@needs_kernel
def test_a_kernel_takes_names_that_it_cuts(tmp_path: Path) -> None:
    with KernelRules(_rates(tmp_path), tmp_path) as kernel:
        assert kernel.run(build("Ether()/ARP()")) == "pass"

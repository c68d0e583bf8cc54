"""Blocks under a flood of forged sources, and through reloads."""

from __future__ import annotations

from pathlib import Path

from appliance.box.filter_spec import FilterSpec
from appliance.box.generation import Generation
from appliance.rules import CompiledRules, compile_rule_set, load_rule_set
from tests.integration.engines import NativeRules
from tests.rule_cases import build

PROBE = "- {id: probe, match: {tcp.dport: 23}, action: block, block: {for: 10m, sources: 256}}"
OTHER = "- {id: other, match: {tcp.dport: 24}, action: block, block: {for: 10m, sources: 256}}"
KEY = bytes.fromhex("0000 0000 0000 0000 0000 ffff c000 0201")  # 192.0.2.1


def _compiled(folder: Path, *rules: str) -> CompiledRules:
    path = folder / "rules.yaml"
    path.write_text("rules:\n" + "\n".join(rules))
    return compile_rule_set(load_rule_set(path))


def _frame(source: str, port: int) -> bytes:
    return build(f'Ether()/IP(src="{source}")/TCP(dport={port})')


def test_a_flood_of_sources_that_come_once_pushes_out_nobody_who_goes_on(tmp_path: Path) -> None:
    blocked = [f"192.0.2.{number}" for number in range(50)]
    with NativeRules(_compiled(tmp_path, PROBE)) as rules:
        for source in blocked:
            assert rules.run(_frame(source, 23)) == "drop"
        for number in range(5000):
            forged = f"10.{number >> 8}.{number & 255}.1"
            assert rules.run(_frame(forged, 23)) == "drop"
            if number % 2 == 0:
                assert rules.run(_frame(blocked[number // 2 % len(blocked)], 80)) == "drop"
        assert rules.packets()["probe.blocked"] == 2500


def test_a_block_outlives_a_reload_that_keeps_the_rule_and_no_other(tmp_path: Path) -> None:
    def loaded(previous: Generation | None, *rules: str) -> Generation:
        found = Generation.load(FilterSpec.of_rules(_compiled(tmp_path, *rules), "rules.yaml"), 1, previous)
        if previous is not None:
            found.collection.take_over()
            previous.close(found)
        return found

    generation = loaded(None, PROBE)
    (name,) = generation.state_maps()
    digest = (1).to_bytes(8, "little")
    generation.collection.maps[name].update(KEY, (1 << 62).to_bytes(8, "little") + digest)
    generation = loaded(generation, OTHER, PROBE)
    value = generation.collection.maps[name].lookup(KEY)
    assert value is not None
    assert bytes(value[8:]) == digest
    generation.close()


def test_whom_a_rule_blocked_that_is_gone_is_blocked_no_longer(tmp_path: Path) -> None:
    both, one = _compiled(tmp_path, PROBE, OTHER), _compiled(tmp_path, OTHER)
    (name,) = (each for each in both.state_maps if each.startswith("blocks"))
    with NativeRules(both) as before, NativeRules(one) as after:
        assert before.run(_frame("192.0.2.1", 23)) == "drop"
        assert before.run(_frame("192.0.2.2", 24)) == "drop"
        for key, value in before.maps[name].items():  # type: ignore[attr-defined]
            after.maps[name].update(key, value)  # type: ignore[attr-defined]
        assert after.run(_frame("192.0.2.1", 80)) == "pass"
        assert after.run(_frame("192.0.2.2", 80)) == "drop"
        assert after.packets()["other.blocked"] == 1

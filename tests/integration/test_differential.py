"""Frames at random through our native code, our interpreter and Linux: they must agree to the last counter."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.rules import compile_rule_set, load_rule_set
from appliance.rules.layers import TUNNEL_LAYERS
from appliance.rules.matchers import MATCHERS, OUTER_MATCHERS, TUNNELS_OWN
from tests.appliance.rules.kernel import SHORTEST, KernelRules, needs_kernel
from tests.fuzz.nested_frames import nested_frame
from tests.integration.engines import InterpretedRules, NativeRules
from tests.integration.mutations import frames

EVERYTHING = Path(__file__).with_name("everything.yaml")
TUNNELED = Path(__file__).with_name("tunnels.yaml")
DEFAULT = Path("configs/rulesets/default.yaml")
NOW = 1_700_000_000 * 10**9
OF_STAGES = ("stage.mark", "ct.state")  # what no header has; tests/appliance/rules/stages and cases ask for it
COUNT = 1200  # frames; few enough that no rate of the default rule set is near its limit


def test_the_rule_sets_ask_everything() -> None:
    everything, tunneled = EVERYTHING.read_text(), TUNNELED.read_text()
    own = {name for name, matcher in MATCHERS.items() if matcher.layer in TUNNEL_LAYERS or name in TUNNELS_OWN}
    assert [name for name in MATCHERS if name not in (*own, *OF_STAGES) and f"{name}:" not in everything] == []
    assert [name for name in (*own, *OUTER_MATCHERS) if f"{{{name}:" not in tunneled] == []


@needs_kernel
@pytest.mark.parametrize(("path", "way"), [(DEFAULT, "in"), (EVERYTHING, "in"), (EVERYTHING, "out")])
def test_engines_agree(path: Path, way: str, tmp_path: Path) -> None:
    """One frame's verdict may depend on those before it, by rates and sources: all engines see all of them."""
    compiled = compile_rule_set(load_rule_set(path))
    with KernelRules(compiled, tmp_path) as kernel, NativeRules(compiled) as jit, InterpretedRules(compiled) as oracle:
        for frame in frames(seed=len(way), count=COUNT):
            if len(frame) >= SHORTEST:
                verdicts = kernel.run(frame, way), jit.run(frame, way, NOW), oracle.run(frame, way, NOW)
                assert len(set(verdicts)) == 1, f"kernel, JIT, interpreter: {verdicts} for {frame.hex()}"
        assert jit.packets() == oracle.packets() == kernel.packets()
        assert jit.bytes() == oracle.bytes() == kernel.bytes()
        assert jit.errors() == oracle.errors() == kernel.errors()
        assert_much_was_asked(jit, path)


@needs_kernel
@pytest.mark.parametrize("way", ["in", "out"])
def test_engines_agree_about_tunnels(way: str, tmp_path: Path) -> None:
    chance = random.Random(way)
    compiled = compile_rule_set(load_rule_set(TUNNELED))
    with KernelRules(compiled, tmp_path) as kernel, NativeRules(compiled) as jit, InterpretedRules(compiled) as oracle:
        for frame in (nested_frame(chance, 3) for _ in range(COUNT)):
            if len(frame) >= SHORTEST:
                verdicts = kernel.run(frame, way), jit.run(frame, way, NOW), oracle.run(frame, way, NOW)
                assert len(set(verdicts)) == 1, f"kernel, JIT, interpreter: {verdicts} for {frame.hex()}"
        assert jit.packets() == oracle.packets() == kernel.packets()
        assert jit.errors() == oracle.errors() == kernel.errors()
        counted = {id_ for id_, count in jit.packets().items() if count}
        assert {rule.id for rule in compiled.rules if not rule.id.startswith("outer")} <= counted
        assert sum(count > 0 for count in jit.errors().values()) >= 12, jit.errors()


def assert_much_was_asked(rules: NativeRules, path: Path) -> None:
    """Frames that trigger nothing prove nothing."""
    packets = rules.packets()
    if path == EVERYTHING:
        assert [id_ for id_, count in packets.items() if count == 0] == []
    reasons = rules.errors()
    assert sum(count > 0 for count in reasons.values()) >= 12, reasons


@pytest.mark.parametrize("size", range(SHORTEST))
def test_frames_that_linux_does_not_run(small: tuple[NativeRules, InterpretedRules], size: int) -> None:
    for rules in small:
        before = rules.errors()["ethernet_truncated"]
        assert rules.run(b"\x08" * size) == "drop"
        assert rules.errors()["ethernet_truncated"] == before + 1


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NativeRules, InterpretedRules]]:
    path = tmp_path_factory.mktemp("small") / "rules.yaml"
    path.write_text("rules: [{id: all, action: pass}]\n")
    compiled = compile_rule_set(load_rule_set(path))
    with NativeRules(compiled) as native, InterpretedRules(compiled) as interpreted:
        yield native, interpreted

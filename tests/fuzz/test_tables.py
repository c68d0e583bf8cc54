"""Rules in tables decide as a walk through the list: a bounded part of what `make fuzz` runs, always the same one; and
through the interpreter and Linux, which `make fuzz` leaves out."""

from __future__ import annotations

import random
from collections import Counter
from itertools import chain
from pathlib import Path
from unittest import mock

import pytest

from appliance.rules import compile_rule_set
from appliance.rules.classifier import plan
from appliance.rules.model import Action, Direction
from tests.appliance.rules.kernel import KernelRules, needs_kernel
from tests.fuzz import fuzz_tables
from tests.fuzz.fuzz_tables import differences, finds_of, main
from tests.fuzz.tables import random_packet, random_rule_set
from tests.rule_walk import judged


@pytest.mark.parametrize("seed", range(6))
def test_native_code_decides_as_the_walk(seed: int) -> None:
    assert finds_of(seed, packets=3000) == []


@pytest.mark.parametrize("seed", range(100, 103))
def test_the_interpreter_decides_as_the_walk(seed: int) -> None:
    assert finds_of(seed, packets=60, size=40, engine="interpreter") == []


@needs_kernel
@pytest.mark.parametrize("seed", range(200, 203))
def test_linux_decides_as_the_walk(seed: int, tmp_path: Path) -> None:
    rules, chance = random_rule_set(seed, 60), random.Random(seed)
    with mock.patch.object(plan, "FEWEST", 1):
        compiled = compile_rule_set(rules)
    assert any(name.startswith("nodes") for name in compiled.contents)
    sent = [random_packet(chance, rules) for _ in range(300)]
    expected = judged(rules, sent, Direction.IN)
    with KernelRules(compiled, tmp_path) as kernel:
        for packet, wanted in zip(sent, expected, strict=True):
            assert kernel.run(packet.frame()) == wanted.verdict.value, packet
        counted = Counter(chain.from_iterable(each.counted for each in expected))
        assert {name: count for name, count in kernel.packets().items() if count} == counted


def test_a_wrong_verdict_and_a_wrong_count_are_told() -> None:
    rules = random_rule_set(1, 3)
    (packet,) = sent = [random_packet(random.Random(1), rules)]
    (right,) = judged(rules, sent, Direction.IN)
    wrong = Action.DROP if right.verdict is Action.PASS else Action.PASS
    counts = dict.fromkeys(right.counted, 1)
    assert list(differences(rules, Direction.IN, sent, [right.verdict.value], counts)) == []
    (told,) = differences(rules, Direction.IN, sent, [wrong.value], counts)
    assert told.startswith(f"{packet} is to {right.verdict.value}")
    (told,) = differences(rules, Direction.IN, sent, [right.verdict.value], {"rule-0": 9})
    assert told == f"counts that differ, wanted and found: {{'rule-0': ({counts.get('rule-0', 0)}, 9)}}"


def test_a_find_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Serial:
        def __enter__(self) -> Serial:
            return self

        def __exit__(self, *_: object) -> None: ...

        map = staticmethod(map)

    monkeypatch.setattr(fuzz_tables, "ProcessPoolExecutor", Serial)
    monkeypatch.setattr(fuzz_tables, "finds_of", lambda seed: [f"seed {seed}: wrong"] if seed == 3 else [])
    assert main(0, 0, 1) == 1
    assert capsys.readouterr().out == "seed 3: wrong\ntables: 40000 packets through 8 sets, 1 finds\n"

"""Floods against rules that remember: what is held, and whose memory the flood can't push out, in every engine."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.rules import compile_rule_set, load_rule_set
from tests.appliance.rules.kernel import KernelRules, needs_kernel
from tests.integration.engines import ENGINES, InterpretedRules, NativeRules
from tests.rule_cases import build

FLOOD = 400  # frames

every_engine = pytest.mark.parametrize("engine", [*ENGINES, pytest.param("kernel", marks=needs_kernel)])


@contextmanager
def _loaded(engine: str, folder: Path, text: str) -> Iterator[KernelRules | NativeRules | InterpretedRules]:
    path = folder / "rules.yaml"
    path.write_text(text)
    compiled = compile_rule_set(load_rule_set(path))
    with KernelRules(compiled, folder) if engine == "kernel" else ENGINES[engine](compiled) as rules:
        yield rules


@every_engine
def test_a_flood_with_random_low_halves_is_one_source(engine: str, tmp_path: Path) -> None:
    text = "rules: [{id: each, action: drop, rate: {pps: 0.001, burst: 3, per: ip.src, sources: 16}}]"
    choice = random.Random(1)
    low_halves = (":".join(f"{choice.getrandbits(16):x}" for _ in range(4)) for _ in range(FLOOD))
    honest = build('Ether()/IP(src="192.0.2.1")/UDP()')
    with _loaded(engine, tmp_path, text) as rules:
        assert [rules.run(honest) for _ in range(4)] == ["pass", "pass", "pass", "drop"]
        flood = Counter(rules.run(build(f'Ether()/IPv6(src="2001:db8:0:1:{low}")/UDP()')) for low in low_halves)
        assert flood == {"pass": 3, "drop": FLOOD - 3}
        assert rules.run(honest) == "drop", "its bucket was pushed out of what is remembered"

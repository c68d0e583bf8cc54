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
SECOND = 10**9  # nanoseconds

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


@every_engine
def test_strangers_push_nobody_out_who_came_twice(engine: str, tmp_path: Path) -> None:
    text = "rules: [{id: each, action: drop, rate: {pps: 0.001, burst: 3, per: ip.src, sources: 16}}]"
    honest = [build(f'Ether()/IP(src="192.0.2.{host}")/UDP()') for host in range(1, 9)]
    with _loaded(engine, tmp_path, text) as rules:
        for _ in range(3):
            assert [rules.run(frame) for frame in honest] == ["pass"] * 8
        strangers = (build(f'Ether()/IP(src="198.51.{number >> 8}.{number & 255}")/UDP()') for number in range(FLOOD))
        assert Counter(map(rules.run, strangers)) == {"pass": FLOOD}, "each of them came once"
        assert [rules.run(frame) for frame in honest] == ["drop"] * 8, "a bucket was pushed out of what is remembered"


@every_engine
def test_nothing_of_a_newcomers_first_frame_is_lost(engine: str, tmp_path: Path) -> None:
    text = """
    rules: [{id: one, match: {udp.dport: 1}, action: drop, rate: {pps: 0.001, burst: 1, per: ip.src, sources: 16}},
            {id: two, match: {udp.dport: 2}, action: drop, rate: {pps: 0.001, burst: 2, per: ip.src, sources: 16}}]"""
    with _loaded(engine, tmp_path, text) as rules:
        for port, verdicts in ((1, ["pass", "drop", "drop"]), (2, ["pass", "pass", "drop"])):
            frame = build(f'Ether()/IP(src="192.0.2.1")/UDP(dport={port})')
            assert [rules.run(frame) for _ in verdicts] == verdicts


@pytest.mark.parametrize("engine", ENGINES)
def test_a_flood_that_repeats_its_syns_makes_nobody_known_and_nobody_forgotten(engine: str, tmp_path: Path) -> None:
    """Forged sources repeat each SYN after a second, and guess at the ACK; the server answers every one of them."""
    text = """
    rules: [{id: prove, match: {tcp.flags: {all: [syn], not: [ack]}}, action: drop,
             retransmit: {sources: 32, tries: 64}}]"""
    choice = random.Random(1)
    now = 1_700_000_000 * SECOND

    def segment(source: str, port: int, flags: str, sequence: int, acknowledged: int = 0) -> bytes:
        ports = f"sport={port}, dport=80"
        return build(f'Ether()/IP(src="{source}")/TCP({ports}, flags="{flags}", seq={sequence}, ack={acknowledged})')

    def answer(source: str, port: int, sequence: int, acknowledged: int) -> bytes:
        numbers = f"seq={sequence}, ack={acknowledged}"
        return build(f'Ether()/IP(dst="{source}")/TCP(sport=80, dport={port}, flags="SA", {numbers})')

    with _loaded(engine, tmp_path, text) as rules:
        assert not isinstance(rules, KernelRules)
        assert rules.run(segment("192.0.2.1", 5, "S", 1), "in", now) == "drop"
        assert rules.run(segment("192.0.2.1", 5, "S", 1), "in", now + SECOND) == "pass"
        assert rules.run(answer("192.0.2.1", 5, 100, 2), "out", now + SECOND) == "pass"
        assert rules.run(segment("192.0.2.1", 5, "A", 2, 101), "in", now + SECOND) == "pass"
        for _ in range(FLOOD // 4):
            now += SECOND // 100
            forged, port = f"198.51.100.{choice.randrange(256)}", choice.randrange(1024, 65536)
            server = choice.getrandbits(31)
            assert rules.run(segment(forged, port, "S", 9), "in", now) == "drop"
            assert rules.run(segment(forged, port, "S", 9), "in", now + SECOND) == "pass"
            assert rules.run(answer(forged, port, server, 10), "out", now + SECOND) == "pass"
            for guess in (0, server, server + 2, choice.getrandbits(32)):
                assert rules.run(segment(forged, port, "A", 10, guess), "in", now + SECOND) == "pass"
            assert rules.run(segment(forged, port + 1 & 0xFFFF, "S", 9), "in", now + SECOND) == "drop"
        assert rules.run(segment("192.0.2.1", 6, "S", 7), "in", now + SECOND) == "pass"

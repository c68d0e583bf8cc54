"""The object itself: deterministic, named, with the YAML's lines in it, small and large."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from appliance.ebpf.map_types import MapType
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.platform import LINUX
from appliance.rules import compile_rule_set, load_rule_set
from appliance.rules.code import chain
from appliance.rules.code.compile import INWARD_PROGRAM, OUTWARD_PROGRAM
from appliance.rules.code.state.token_bucket import SECOND, Cost
from appliance.rules.remembered import Rate
from appliance.verifier.budget import Budget
from appliance.verifier.verifier import Verifier
from tests.appliance.rules.kernel import KernelRules, needs_kernel
from tests.rule_cases import build

DEFAULT = Path(__file__).parents[4] / "configs" / "rulesets" / "default.yaml"
TWENTY = Path(__file__).parents[3] / "bench" / "twenty.yaml"
TEXT = """\
rules:
  - id: web
    match: {tcp.dport: 80}
    action: drop
  - {id: slow, match: {ip.proto: udp}, rate: {pps: 10, per: ip.src, sources: 100}, action: drop}
  - {id: prove, match: {tcp.flags: [syn]}, retransmit: {sources: 10, tries: 20}, action: drop}
"""


def _write(folder: Path, text: str) -> Path:
    path = folder / "rules.yaml"
    path.write_text(text.replace("[syn]", "{all: [syn]}"))
    return path


def test_the_same_rules_are_the_same_bytes(tmp_path: Path) -> None:
    path = _write(tmp_path, TEXT)
    assert compile_rule_set(load_rule_set(path)).object == compile_rule_set(load_rule_set(path)).object


def test_instructions_point_at_the_rules(tmp_path: Path) -> None:
    path = _write(tmp_path, TEXT)
    spec = load_object(compile_rule_set(load_rule_set(path)).object, "rules.o")
    lines = {(line.file, line.line): line.text for line in spec.programs[INWARD_PROGRAM].lines.values()}
    assert lines[(str(path), 2)] == "  - id: web"
    assert lines[(str(path), 5)].startswith("  - {id: slow, match")
    assert {number for _, number in lines} == {1, 2, 5, 6}


def test_lines_of_included_files_keep_their_file(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("\n\nrules: [{id: more, match: {udp.dport: 1}, action: drop}]")
    path = _write(tmp_path, "include: [more.yaml]\n" + TEXT)
    spec = load_object(compile_rule_set(load_rule_set(path)).object, "rules.o")
    places = {(line.file, line.line) for line in spec.programs[INWARD_PROGRAM].lines.values()}
    assert (str(tmp_path / "more.yaml"), 3) in places
    assert (str(path), 3) in places


def test_maps_are_named_after_the_rules_ids(tmp_path: Path) -> None:
    first = compile_rule_set(load_rule_set(_write(tmp_path, TEXT)))
    moved = TEXT.replace("pps: 10", "pps: 99").replace("rules:\n", "rules:\n  - {id: new, action: count}\n")
    second = compile_rule_set(load_rule_set(_write(tmp_path, moved)))
    assert tuple(first.state_maps) == tuple(second.state_maps)
    maps = load_object(first.object, "rules.o").maps
    assert {
        (m.name.split("_")[0], m.type, m.key_size, m.value_size, m.max_entries) for m in maps.values()
    } == {
        ("rule", MapType.PERCPU_ARRAY, 4, 16, 6),
        ("parse", MapType.PERCPU_ARRAY, 4, 8, len(first.parse_error_reasons)),
        ("rsrc", MapType.LRU_HASH, 16, 8, 100),
        ("newcomers", MapType.ARRAY, 4, 64, 257),
        ("known", MapType.LRU_HASH, 16, 8, 10),
        ("tries", MapType.LRU_HASH, 24, 16, 20),
        ("answers", MapType.ARRAY, 4, 4, 1 << 16),
    }  # fmt: skip


def test_what_is_counted_is_in_the_order_of_the_counters(tmp_path: Path) -> None:
    compiled = compile_rule_set(load_rule_set(_write(tmp_path, TEXT)))
    assert [(c.id, c.index) for c in compiled.counted] == [
        ("web", 0), ("slow", 1), ("prove", 2), ("allowlist", 3), ("policy", 4), ("malformed", 5)
    ]  # fmt: skip
    assert [c.id for c in compiled.rules] == ["web", "slow", "prove"]


def test_a_direction_without_rules_is_two_instructions_unless_it_must_hear_answers(tmp_path: Path) -> None:
    text = "defaults: {direction: in}\n" + TEXT
    listening = load_object(compile_rule_set(load_rule_set(_write(tmp_path, text))).object, "o")
    assert len(listening.programs[OUTWARD_PROGRAM].instructions) > 100
    text = text[: text.index("  - {id: prove")]
    silent = load_object(compile_rule_set(load_rule_set(_write(tmp_path, text))).object, "o")
    assert len(silent.programs[OUTWARD_PROGRAM].instructions) == 2


def test_a_small_set_is_one_function_and_a_large_one_several() -> None:
    rules = load_rule_set(TWENTY).rules
    assert len(chain.cut(rules)) == 1
    parts = chain.cut(rules * 30)
    assert len(parts) > 10
    assert [rule for part in parts for rule in part] == list(rules * 30)


@pytest.mark.parametrize(("direction", "is_one"), [("both", True), ("in", False)])
def test_both_directions_call_the_same_functions_if_they_have_the_same_rules(
    direction: str, is_one: bool, tmp_path: Path
) -> None:
    rules = [f"- {{id: r{n}, match: {{ip.ttl: {n % 256}, udp.dport: {n + 1}}}, action: drop}}\n" for n in range(300)]
    last = f"- {{id: last, direction: {direction}, match: {{ip.ttl: 7}}, action: pass}}\n"
    compiled = compile_rule_set(load_rule_set(_write(tmp_path, "rules:\n" + "".join(rules) + last)))
    programs = load_object(compiled.object, "rules.o").programs
    inward, outward = (
        {called for called in programs[name].functions.values() if called.startswith("rules_")}
        for name in (INWARD_PROGRAM, OUTWARD_PROGRAM)
    )
    assert len(inward) > 1
    assert (inward == outward) is is_one


@needs_kernel
def test_the_default_rule_set_in_the_kernel(tmp_path: Path) -> None:
    with KernelRules(compile_rule_set(load_rule_set(DEFAULT)), tmp_path) as kernel:
        for expression, verdict in {
            'Ether()/IP(src="10.1.1.1")/UDP()': "drop",
            'Ether()/IP(src="198.18.0.1", dst="198.19.0.10")/UDP(sport=40000, dport=53)': "pass",
            'Ether()/IP(src="198.18.0.1", dst="198.19.0.10")/ICMP()': "pass",
            'Ether()/IP(src="198.18.0.1", dst="198.19.0.10")/TCP(flags="A")': "pass",
            'Ether()/IP(src="198.18.0.1", dst="198.19.0.10")/TCP(flags="S")': "drop",
            'Ether()/Dot1Q(vlan=100)/IP(src="9.9.9.9")/UDP(sport=11211, dport=9)/Raw(bytes(1300))': "drop",
            'Ether()/IP(src="9.9.9.9")/UDP(sport=123, dport=9)/Raw(bytes([0xd7]) + bytes(439))': "drop",
            'Ether()/IP(src="9.9.9.9")/UDP(sport=123, dport=123)/Raw(bytes(48))': "pass",
            'Ether()/IP(src="9.9.9.9")/TCP(flags="FPU")': "drop",
            'Ether()/IPv6(src="fe80::1", dst="ff02::1")/ICMPv6ND_NS()': "pass",
            "Ether()/ARP()": "pass",
        }.items():
            assert kernel.run(build(expression)) == verdict, expression


def test_the_default_rule_set_is_soon_proved() -> None:
    """Each instruction in a few states: the compiler does not copy what a proof must then go through anew."""
    budgets: list[Budget] = []

    def budget(instructions: int) -> Budget:
        budgets.append(Budget.of(instructions))
        return budgets[-1]

    spec = load_object(compile_rule_set(load_rule_set(DEFAULT)).object, "default")
    verifier = Verifier(spec.maps, LINUX, budget=budget)
    instructions = sum(len(verifier.verify(program).spec.instructions) for program in spec.programs.values())
    assert sum(each.spent for each in budgets) < 8 * instructions


@needs_kernel
def test_a_thousand_rules_in_the_kernel(tmp_path: Path) -> None:
    text = "defaults: {direction: in}\nrules:\n" + "".join(
        f"- {{id: r{n}, match: {{udp.dport: {n + 1}, ip.src: 198.51.{n % 256}.0/24}}, action: drop}}\n"
        for n in range(1000)
    )
    with KernelRules(compile_rule_set(load_rule_set(_write(tmp_path, text))), tmp_path) as kernel:
        for number in (0, 1, 255, 511, 999):
            frame = build(f'Ether()/IP(src="198.51.{number % 256}.9")/UDP(dport={number + 1})')
            assert kernel.run(frame) == "drop"
            assert kernel.packets()[f"r{number}"] == 1
        assert kernel.run(build('Ether()/IP(src="198.51.9.9")/UDP(dport=1)')) == "pass"


@pytest.mark.parametrize(
    ("unit", "amount", "burst"),
    [
        ("pps", 3e6, 100),
        ("pps", 0.1, 1),
        ("pps", 1e9, 5),
        ("bps", 1e10, 10**6),
        ("bps", 1, 1514),
        ("bps", 1e12, 1 << 32),
    ],
)
def test_the_cost_of_a_frame_is_exact_to_a_thousandth(unit: str, amount: float, burst: int) -> None:
    cost = Cost.of(Rate(unit, amount, burst, None, 1))
    size = 1500
    ticks = (size if cost.per_byte else 1) * cost.factor >> cost.shift
    exact = SECOND * (8 * size if cost.per_byte else 1) / amount
    assert abs(ticks - exact) <= max(1, exact / 1000)
    assert (1 << 18) * cost.factor < 1 << 64
    assert len(struct.pack("<Q", cost.burst)) == 8

"""BPF's stack: what is written into one function has room there, and what hasn't is refused and ends no process."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.rules import compile_rule_set, load_rule_set
from appliance.rules.code import chain, stack
from appliance.rules.code.chain import MOST_VARIABLES
from appliance.rules.code.fields import FrameLayout
from appliance.rules.layers import TUNNEL_LAYERS, Layer
from appliance.rules.matchers import MATCHERS, OUTER_MATCHERS, TUNNELS_OWN, Matcher
from appliance.rules.model import RuleSet
from appliance.rules.tunnels import MOST_DEPTH
from appliance.rules.values import MAC, AddressKind, FlagsKind, TruthKind

# what is read without a stage
WITHOUT_STAGES = tuple(name for name in MATCHERS if name.partition(".")[0] not in ("ct", "stage"))
# and without a tunnel
NAMES = tuple(name for name in WITHOUT_STAGES if MATCHERS[name].layer not in TUNNEL_LAYERS and name not in TUNNELS_OWN)
FIELDS = {**MATCHERS, **OUTER_MATCHERS}
KEYS = ("[ip.src, ip.dst]", "flow", "[ip.src, ip.ttl, ip.len]")
RETRANSMIT = "  - {id: again, match: {tcp.flags: {all: [syn]}}, retransmit: {}, action: drop}\n"


def value(matcher: Matcher, number: int) -> str:
    kind = matcher.kind
    if isinstance(kind, TruthKind):
        return "true"
    if isinstance(kind, FlagsKind):
        return "{any: [syn]}"
    if isinstance(kind, AddressKind):
        return "10.1.2.0/24" if 4 in kind.families else "'2001:db8::/33'"
    return f"'02:00:00:00:00:{number:02x}'" if kind is MAC else "1"


def rules(folder: Path, names: tuple[str, ...], head: str = "") -> RuleSet:
    """A rule for each field, every fifth with a rate that has a key."""
    lines = [head, "rules:\n", RETRANSMIT]
    for number, name in enumerate(names):
        rate = f", rate: {{pps: 5, per: {KEYS[number % len(KEYS)]}}}" if number % 5 == 0 else ""
        lines.append(f"  - {{id: r{number}, match: {{{name}: {value(FIELDS[name], number)}}}, action: count{rate}}}\n")
    path = folder / "rules.yaml"
    path.write_text("".join(lines))
    return load_rule_set(path)


@pytest.mark.parametrize("step", [1, -1, 3, 5])
def test_as_many_fields_as_one_function_takes_have_room(tmp_path: Path, step: int) -> None:
    """Fields one after the other, in several orders, until there are MOST_VARIABLES."""
    chosen: tuple[str, ...] = ()
    for name in [name for first in range(abs(step)) for name in NAMES[first :: abs(step)]][:: step // abs(step)]:
        found = rules(tmp_path, (*chosen, name))
        if len(FrameLayout(found.rules).names) <= MOST_VARIABLES:
            chosen += (name,)
    found = rules(tmp_path, chosen)
    assert len(FrameLayout(found.rules).names) > MOST_VARIABLES - 3
    made = compile_rule_set(found)
    assert 0 < stack.stack_used(made.object) <= stack.SIZE


def test_a_rule_set_of_every_field_has_room(tmp_path: Path) -> None:
    made = compile_rule_set(rules(tmp_path, NAMES))
    assert 0 < stack.stack_used(made.object) <= stack.SIZE


def test_a_rule_set_of_every_field_of_tunnels_has_room(tmp_path: Path) -> None:
    names = (*WITHOUT_STAGES, *OUTER_MATCHERS)
    made = compile_rule_set(rules(tmp_path, names, f"tunnels: {{depth: {MOST_DEPTH}}}\n"))
    assert 0 < stack.stack_used(made.object) <= stack.SIZE


def test_what_has_no_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LLVM printed a message and ended the process."""
    monkeypatch.setattr(chain, "MOST_VARIABLES", 1000)
    monkeypatch.setattr(chain, "LARGEST_FUNCTION", 100000)
    with pytest.raises(
        stack.StackExceeded, match=r"rules\.yaml: the rules together need [0-9]+ bytes of BPF"
    ) as refused:
        compile_rule_set(rules(tmp_path, NAMES))
    assert refused.value.used > stack.SIZE


def test_every_layer_is_read() -> None:
    """The fields of these tests leave out stages alone."""
    left = {matcher.layer for name, matcher in MATCHERS.items() if name not in NAMES}
    assert Layer.TCP not in left and len(NAMES) > 60

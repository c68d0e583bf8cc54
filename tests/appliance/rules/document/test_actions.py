"""Keys that belong to a rule's action: what they say, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.rules import RuleSetRefused, load_rule_set
from appliance.rules.model import Rule


def _rule(folder: Path, rest: str) -> Rule:
    path = folder / "r.yaml"
    path.write_text(f"rules:\n- {{id: a, {rest}}}\n")
    return load_rule_set(path).rules[0]


def test_what_a_block_says(tmp_path: Path) -> None:
    block = _rule(tmp_path, "action: block").block
    assert block is not None
    assert (block.seconds, [part.name for part in block.by], block.sources) == (600, ["ip.src"], 65536)
    block = _rule(tmp_path, "action: block, block: {for: 90s, by: ip.src/24, sources: 10}").block
    assert block is not None
    assert (block.seconds, [part.name for part in block.by], block.sources) == (90, ["ip.src/24"], 10)
    block = _rule(tmp_path, "action: drop, rate: {pps: 5, per: ip.dst, sources: 7, block_for: 2h}").block
    assert block is not None
    assert (block.seconds, [part.name for part in block.by], block.sources) == (7200, ["ip.dst"], 7)


def test_what_a_reject_says(tmp_path: Path) -> None:
    rule = _rule(tmp_path, "action: reject")
    assert rule.reject is not None
    assert (rule.reject.by.value, rule.reject.rate.amount, rule.reject.rate.burst) == ("either", 100, 100)
    rule = _rule(tmp_path, "action: reject, reject: {with: icmp-admin, pps: 20/m}")
    assert rule.reject is not None
    assert (rule.reject.by.value, round(rule.reject.rate.amount, 3), rule.reject.rate.burst) == ("icmp-admin", 0.333, 1)


@pytest.mark.parametrize(("given", "dscp"), [("af11", 10), ("ef", 46), ("0", 0), ("63", 63)])
def test_what_a_mark_says(tmp_path: Path, given: str, dscp: int) -> None:
    assert _rule(tmp_path, f"action: mark, mark: {{dscp: {given}}}").dscp == dscp


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("action: mark", "2:19: the action `mark` needs to know with what\n"
         "  hint: say, for instance, `mark: {dscp: af11}`"),
        ("action: mark, mark: {dscp: 64}", "2:38: 64 is out of range: a DSCP is 0 to 63"),
        ("action: mark, mark: {dscp: af44}", "2:38: 'af44' isn't a DSCP\n"
         "  hint: a number, or a name: did you mean 'af43'?"),
        ("action: reject, reject: {with: rst}", "2:42: with: 'rst' isn't one of tcp-reset, icmp-port, icmp-admin\n"
         "  hint: known are: icmp-admin, icmp-port, tcp-reset"),
        ("action: reject, reject: {wiht: tcp-reset}", "2:36: unknown key 'wiht'\n  hint: did you mean 'with'?"),
        ("action: drop, mark: {dscp: ef}", "2:25: `mark` belongs to the action `mark`\n"
         "  hint: say `action: mark`, or leave the key out"),
        ("action: block, block: {by: tcp.port}", "2:38: tcp.port stands for several places of a frame\n"
         "  hint: name one of them"),
        ("action: block, block: {for: 0}", "2:39: for: 0 must be more than 0"),
        ("action: block, rate: {pps: 5, per: ip.src, block_for: 1m}", "2:65: a rule that blocks needs no `block_for`\n"
         "  hint: leave `block_for` out; `block: {for: …}` says for how long"),
        ("action: pass, rate: {pps: 5, per: ip.src, block_for: 1m}", "2:64: a rule of the action `pass` can't block "
         "who exceeds its rate\n  hint: say `action: drop`"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, rest: str, message: str) -> None:
    with pytest.raises(RuleSetRefused) as caught:
        _rule(tmp_path, rest)
    assert str(caught.value).replace(f"{tmp_path}/", "") == f"r.yaml:{message}"

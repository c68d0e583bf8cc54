"""`tunnels:` of documents, and the fields that are there only with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.rules import RuleSet, load_rule_set
from appliance.rules.conditions import matched
from appliance.rules.errors import RuleSetRefused
from appliance.rules.matchers import MATCHERS, OUTER_MATCHERS
from appliance.rules.tunnels import Tunnel, Tunnels


def _load(folder: Path, text: str, **others: str) -> RuleSet:
    for name, contents in {"r": text, **others}.items():
        (folder / f"{name}.yaml").write_text(contents)
    return load_rule_set(folder / "r.yaml")


@pytest.mark.parametrize(
    ("text", "tunnels"),
    [
        ("rules: []", None),
        ("tunnels: {}", Tunnels(1, frozenset(Tunnel))),
        ("tunnels: {depth: 2, kinds: [gre, ip]}", Tunnels(2, frozenset([Tunnel.GRE, Tunnel.IP]))),
        ("tunnels: {depth: 0}", None),
        ("tunnels: {kinds: []}", None),
    ],
)
def test_what_is_opened(tmp_path: Path, text: str, tunnels: Tunnels | None) -> None:
    assert _load(tmp_path, text).tunnels == tunnels


def test_a_document_replaces_key_by_key_what_it_includes(tmp_path: Path) -> None:
    text = "include: [a.yaml]\ntunnels: {depth: 2}"
    assert _load(tmp_path, text, a="tunnels: {depth: 1, kinds: [gtp]}").tunnels == Tunnels(2, frozenset([Tunnel.GTP]))
    assert _load(tmp_path, "include: [a.yaml]", a="tunnels: {kinds: [gtp]}").tunnels == Tunnels(
        1, frozenset([Tunnel.GTP])
    )


RULE = "rules: [{{id: a, action: drop, match: {{{0}: {1}}}}}]"


def test_outer_fields_are_the_fields_where_nothing_is_opened(tmp_path: Path) -> None:
    rule = RULE.format("outer.udp.dport", 53)
    for opened, matcher in (
        (rule, MATCHERS["udp.dport"]),
        (f"tunnels: {{}}\n{rule}", OUTER_MATCHERS["outer.udp.dport"]),
    ):
        (condition,) = _load(tmp_path, opened).rules[0].conditions
        assert matched(condition) == (matcher,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            RULE.format("vxlan.vni", 5),
            "1:39: vxlan.vni is there only where tunnels are looked into\n"
            "  hint: write `tunnels: {depth: 1, kinds: [vxlan]}` at the top",
        ),
        (
            RULE.format("tunnel.more", "true"),
            "1:39: tunnel.more is there only where tunnels are looked into\n"
            "  hint: write `tunnels: {depth: 1, kinds: [ip, gre]}` at the top",
        ),
        (
            "tunnels: {kinds: [gre]}\n" + RULE.format("mpls.label", 5),
            "2:39: mpls.label is there only with mpls among the `kinds` of `tunnels`\n"
            "  hint: add mpls, or leave `kinds` out",
        ),
        (
            RULE.format("outer.frame.len", 5),
            "1:39: there is no field 'outer.frame.len'\n  hint: it has no `outer.`: write frame.len",
        ),
        (
            RULE.format("outer.udp.dprt", 5),
            "1:39: there is no field 'outer.udp.dprt'\n  hint: did you mean 'udp.dport'? "
            "fields of udp are: udp.sport, udp.dport, udp.port, udp.length; with `outer.` in front",
        ),
        ("tunnels: {depth: 4}", "1:18: depth: 4 must be at most 3"),
    ],
)
def test_documents_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RuleSetRefused) as refused:
        _load(tmp_path, text)
    assert str(refused.value).removeprefix(f"{tmp_path}/r.yaml:") == message

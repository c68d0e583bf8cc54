"""Rules that decide nothing: what is found, and what must not be."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from appliance.rules import RuleSet, load_rule_set
from appliance.rules.analysis import Finding, FindingKind, find_unreached


@pytest.fixture
def found(tmp_path: Path) -> Load:
    def load(text: str) -> list[tuple[str, str, list[str]]]:
        analysis = find_unreached(rule_set(tmp_path, text), most_seconds=60)
        assert analysis.is_complete
        return [(f.kind.value, f.rule.id, [rule.id for rule in f.by]) for f in analysis.findings]

    return load


class Load:
    """Only a name for the fixture's type."""

    def __call__(self, text: str) -> list[tuple[str, str, list[str]]]:
        raise NotImplementedError


def rule_set(folder: Path, text: str) -> RuleSet:
    path = folder / "rules.yaml"
    lines = [line.strip() for line in text.strip().splitlines()]
    head = [line for line in lines if not line.startswith("{")]
    rules = [f"  - {line}" for line in lines if line.startswith("{")]
    path.write_text("\n".join([*head, "rules:", *rules, ""]))
    return load_rule_set(path)


HELD = [
    ("ip.opt.type: [rr, ra]", "ip.opt.type: rr"),
    ("ip.opt.type: 0-255", "ip.opt.type: rr"),
    ("ip.opt.type: {not: rr}", "ip.opt.type: {not: rr, in: 8-9}"),
    ("tcp.dport: 22", "tcp.dport: 22, ip.src: 10.0.0.0/8"),
    ("ip.src: 10.0.0.0/8", "ip.src: 10.1.0.0/16"),
    ("ip.src: [10.0.0.0/9, 10.128.0.0/9]", "ip.src: 10.1.0.0/16"),
    ("ip.src: [10.0.0.0/8, '2001:db8::/32']", "ip.src: ['2001:db8:1::/48', 10.0.0.1]"),
    ("ip.src: {not: 10.0.0.0/8}", "ip.src: 192.0.2.1"),
    ("ip.src: '2001:db8::/32'", "ipv6.src: '2001:db8::1'"),
    ("ipv6.src: '2001:db8::/32'", "ip.src: '2001:db8::1'"),
    ("ip.version: 4", "ip.src: 10.0.0.0/8"),
    ("ip.version: 4", "icmp.type: 8"),
    ("ip.version: 6", "icmpv6.type: 8"),
    ("ip.src: 0.0.0.0/0", "ip.version: 4"),
    ("ip.src: 0.0.0.0/0", "ip.flags.df: true"),
    ("ip.proto: tcp", "tcp.dport: 80"),
    ("ip.proto: [tcp, udp]", "udp.length: 9"),
    ("ip.ttl: 0-255", "tcp.dport: 80"),
    ("tcp.dport: {lt: 1024}", "tcp.dport: [22, 80, '500-1023']"),
    ("tcp.port: 22", "tcp.sport: 22"),
    ("tcp.port: 22", "tcp.dport: 22"),
    ("tcp.port: [22, 23]", "tcp.port: 22"),
    ("tcp.port: {not: 22}", "tcp.port: {not: [22, 23]}"),
    ("tcp.port: {not: 22}", "tcp.sport: 80, tcp.dport: 443"),
    ("vlan.id: 7-9", "vlan.id: 8"),
    ("vlan.id: {not: 7}", "vlan.id: {not: [7, 8]}"),
    ("tcp.flags: {all: [syn]}", "tcp.flags: {eq: [syn, ack]}"),
    ("tcp.flags: {any: [syn, fin]}", "tcp.flags: {all: [syn], not: [ack]}"),
    ("tcp.flags: {not: [ack]}", "tcp.flags: {eq: [syn]}"),
    ("frame.len: {gt: 100}", "frame.len: 200-300"),
    ("ip.fragment: true", "ip.fragment: true, udp.dport: 53"),
    ("eth.src: '02:00:00:00:00:01'", "eth.src: '02:00:00:00:00:01', vlan.depth: 1"),
]


@pytest.mark.parametrize(("holder", "held"), HELD)
def test_a_rule_that_holds_another(found: Load, holder: str, held: str) -> None:
    """Shadowed where it would decide otherwise, redundant where alike; and never the other way round."""
    for action, kind in (("pass", "shadowed"), ("drop", "redundant")):
        text = f"{{id: a, match: {{{holder}}}, action: drop}}\n{{id: b, match: {{{held}}}, action: {action}}}"
        assert found(text) == [(kind, "b", ["a"])]
    turned = f"{{id: b, match: {{{held}}}, action: pass}}\n{{id: a, match: {{{holder}}}, action: drop}}"
    equal = holder == "ip.src: 0.0.0.0/0" and held == "ip.version: 4"
    same = {("ip.src: '2001:db8::/32'", "ipv6.src: '2001:db8::/32'")}
    assert found(turned) == ([("shadowed", "a", ["b"])] if equal or (holder, held) in same else [])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("tcp.dport: 22", "udp.dport: 22"),
        ("tcp.dport: 22", "ip.src: 10.0.0.0/8"),
        ("ip.src: 10.0.0.0/8", "ip.dst: 10.0.0.0/8"),
        ("ip.src: 10.0.0.0/8", "ip.src: [10.0.0.1, '2001:db8::1']"),
        ("ip.src: 10.0.0.0/8", "ip.ttl: 5"),
        ("ip.src: {not: 10.0.0.0/8}", "ip.src: 10.0.0.0/7"),
        ("ip.ttl: 0-255", "frame.len: 60"),  # ARP has no TTL
        ("vlan.id: {not: 7}", "frame.len: 60"),
        ("tcp.port: {not: 22}", "tcp.dport: 23"),
        ("ip.fragment: true", "ip.fragment: false"),
        ("ip.opt.type: rr", "ip.opt.type: ra"),
        ("ip.opt.type: {not: 0}", "ip.opt.type: {in: 64-255, not: 1}"),
        ("icmp.type: 8", "icmpv6.type: 8"),
    ],
)
def test_rules_that_do_not_hold_each_other(found: Load, first: str, second: str) -> None:
    for one, other in ((first, second), (second, first)):
        assert found(f"{{id: a, match: {{{one}}}, action: drop}}\n{{id: b, match: {{{other}}}, action: pass}}") == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("tcp.dport: 0-65535", "ip.proto: tcp"),  # a fragment has no ports
        ("tcp.port: 22", "tcp.port: [22, 23]"),
        ("tcp.flags: {all: [syn]}", "tcp.flags: {any: [syn, ack]}"),
    ],
)
def test_the_narrower_one_first(found: Load, first: str, second: str) -> None:
    assert found(f"{{id: a, match: {{{first}}}, action: drop}}\n{{id: b, match: {{{second}}}, action: pass}}") == []


@pytest.mark.parametrize(
    "first",
    [
        "{id: a, match: {ip.version: 4}, action: count}",
        "{id: a, match: {ip.version: 4}, action: drop, mode: monitor}",
        "{id: a, match: {ip.version: 4}, action: drop, rate: {pps: 5}}",
        "{id: a, match: {tcp.dport: 0-65535}, action: drop, retransmit: {}}",
        "{id: a, match: {ip.version: 4}, action: drop, direction: in}",
    ],
)
def test_what_leaves_frames_undecided_stands_in_nobodys_way(found: Load, first: str) -> None:
    assert found(first + "\n{id: b, match: {tcp.dport: 80, ip.version: 4}, action: pass}") == []


def test_directions(found: Load) -> None:
    match = "match: {tcp.dport: 80}, action: drop"
    both = f"{{id: a, {match}, direction: both}}\n{{id: b, {match}, direction: in}}\n{{id: c, {match}, direction: out}}"
    assert [rule for _, rule, _ in found(both)] == ["b", "c"]
    assert found(f"{{id: a, {match}, direction: in}}\n{{id: b, {match}, direction: out}}") == []


def test_in_monitor_mode_the_first_one_counts(found: Load) -> None:
    """A monitored rule keeps a monitored one from counting, and an enforced one from nothing."""
    monitored, enforced = "mode: monitor", "mode: enforce"
    for first, second, expected in (
        (monitored, monitored, ["b"]),
        (monitored, enforced, []),
        (enforced, monitored, ["b"]),
    ):
        text = f"{{id: a, match: {{tcp.dport: 80}}, action: drop, {first}}}\n"
        text += f"{{id: b, match: {{tcp.dport: 80}}, action: pass, {second}}}"
        assert [rule for _, rule, _ in found(text)] == expected


def test_the_allowlist_and_rules_for_all(found: Load) -> None:
    allowed = "allowlist: [192.0.2.0/24, '2001:db8::/32']\n"
    assert found(allowed + "{id: a, match: {ip.src: 192.0.2.1}, action: drop, direction: in}") == [
        ("unreachable", "a", [])
    ]
    assert found(allowed + "{id: a, match: {ip.dst: '2001:db8::1'}, action: drop, direction: out}") == [
        ("unreachable", "a", [])
    ]
    assert found(allowed + "{id: a, match: {ip.src: 192.0.2.1}, action: drop, direction: out}") == []
    assert found(allowed + "{id: a, match: {ip.src: 192.0.2.1}, action: drop, direction: both}") == []
    assert found(allowed + "{id: a, match: {ip.src: 192.0.2.1, ip.dst: 192.0.2.2}, action: drop}") == [
        ("unreachable", "a", [])
    ]
    assert found(
        "{id: all, action: pass}\n{id: a, match: {arp.op: 1}, action: drop}".replace("arp.op", "frame.len")
    ) == [("unreachable", "a", ["all"])]


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (["udp.dport: {lt: 1000}", "udp.dport: {gt: 999}"], "udp.length: 8"),
        (["udp.dport: {lt: 1000}", "udp.dport: 5000-65535", "udp.dport: '900-4999'"], "ip.proto: udp, udp.sport: 5"),
        (["ip.src: 10.0.0.0/9", "ip.src: 10.128.0.0/9"], "ip.src: 10.0.0.0/8"),
        (["ip.version: 4", "ip.version: 6"], "ip.ttl: 5"),
        (["ip.fragment: true, ip.src: 10.0.0.1", "ip.fragment: false, ip.src: 10.0.0.1"], "ip.src: 10.0.0.1"),
        (["tcp.flags: {all: [syn]}", "tcp.flags: {not: [syn]}"], "tcp.dport: 80"),
    ],
)
def test_rules_that_hold_one_together(found: Load, parts: list[str], whole: str) -> None:
    rules = [f"{{id: r{number}, match: {{{part}}}, action: drop}}" for number, part in enumerate(parts)]
    last = f"{{id: last, match: {{{whole}}}, action: pass}}"
    ids = [f"r{number}" for number in range(len(parts))]
    assert found("\n".join([*rules, last])) == [("unreachable", "last", ids)]
    for left in itertools.combinations(rules, len(rules) - 1):
        assert found("\n".join([*left, last])) == []


@pytest.mark.parametrize(
    ("match", "names"),
    [
        ("tcp.dport: 80, udp.dport: 80", "tcp.dport and udp.dport"),
        ("icmp.type: 8, ip.version: 6", "ip.version and icmp.type"),
        ("icmpv6.type: 8, ip.src: 10.0.0.1", "ip.src and icmpv6.type"),
        ("ip.proto: udp, tcp.dport: 80", "ip.proto and tcp.dport"),
        ("ip.src: 10.0.0.1, ipv6.dst: '2001:db8::1'", "ip.src and ipv6.dst"),
        ("ip.src: '2001:db8::1', ipv6.src: '2001:db8::2'", "ip.src and ipv6.src"),
        ("tcp.sport: 1, tcp.dport: 2, tcp.port: 3", "tcp.port and tcp.sport and tcp.dport"),
        ("vlan.id: 7, vlan.depth: 0", "vlan.id and vlan.depth"),
    ],
)
def test_conditions_that_contradict_each_other(tmp_path: Path, match: str, names: str) -> None:
    rules = rule_set(tmp_path, f"{{id: a, match: {{{match}}}, action: drop}}")
    (finding,) = find_unreached(rules).findings
    assert finding.kind is FindingKind.CONTRADICTORY
    words = finding.reason.removeprefix("no frame satisfies ").removesuffix(" at once").split(" and ")
    assert sorted(words) == sorted(names.split(" and "))
    assert str(finding).startswith(f"{tmp_path}/rules.yaml:2:5: rule 'a' is contradictory: no frame satisfies ")


def test_an_empty_list_is_no_contradiction(found: Load) -> None:
    """Its owner fills it tomorrow."""
    sets = "sets: {feed: {type: prefix, elements: []}}\n"
    assert found(sets + "{id: a, match: {ip.src: '@feed', tcp.dport: 80}, action: drop}") == []
    assert found(sets + "{id: a, action: drop}\n{id: b, match: {ip.src: '@feed'}, action: drop}") == []


def test_time_that_runs_out(tmp_path: Path) -> None:
    """What was found so far is told, and how far that is."""
    lines = [f"{{id: r{number}, match: {{tcp.dport: {number // 2}}}, action: drop}}" for number in range(100)]
    rules = rule_set(tmp_path, "\n".join(lines))
    whole = find_unreached(rules, most_seconds=60)
    assert len(whole.findings) == 50
    found: list[tuple[int, list[Finding]]] = []
    for most in (0, 150, 250, 100_000):
        ticks = itertools.count()
        cut = find_unreached(rules, most_seconds=most, clock=lambda ticks=ticks: float(next(ticks)))  # type: ignore[misc]
        assert cut.findings == whole.findings[: len(cut.findings)]
        found.append((cut.examined, list(cut.findings)))
    assert [examined for examined, _ in found] == sorted(examined for examined, _ in found)
    assert found[0] == (0, [])
    assert 0 < found[2][0] < 100
    assert found[3][0] == 100


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("action: block", "action: block", "redundant"),
        ("action: block, block: {for: 1m}", "action: block, block: {for: 2m}", "shadowed"),
        ("action: reject", "action: reject, reject: {pps: 5}", "shadowed"),
        ("action: redirect, redirect: {to: a}", "action: redirect, redirect: {to: b}", "shadowed"),
        ("action: redirect, redirect: {to: a}", "action: redirect, redirect: {to: a}", "redundant"),
    ],
)
def test_rules_decide_alike_if_all_that_they_do_is_alike(tmp_path: Path, first: str, second: str, kind: str) -> None:
    path = tmp_path / "rules.yaml"
    match = "match: {udp.dport: 9}"
    path.write_text(f"rules:\n  - {{id: a, {match}, {first}}}\n  - {{id: b, {match}, {second}}}\n")
    (finding,) = find_unreached(load_rule_set(path)).findings
    assert (finding.kind.value, finding.rule.id) == (kind, "b")


def test_what_goes_on_keeps_nothing_from_others(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(
        "rules:\n  - {id: a, action: mark, mark: {dscp: 1}}\n  - {id: b, action: mirror, mirror: {to: x}}\n"
        "  - {id: c, action: drop}\n"
    )
    assert find_unreached(load_rule_set(path)).findings == ()

"""The comparison with peers, in small: everybody does the work that the task says, and has figures or a reason."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from tests.appliance.box.conftest import wait_until
from tests.bench import bench_peers
from tests.bench.bench_peers import compared
from tests.bench.figures import Bench
from tests.bench.measuring import received_frames
from tests.bench.peers import unavailable
from tests.bench.peers.contenders import OURS, PEERS, UNFILTERED, Standing
from tests.bench.peers.generator import Generator, generator
from tests.bench.peers.tasks import LISTED, Blocklist, Flow, Prefix, RuleList, Task, blocklist, rule_list
from tests.capabilities import require, requires

FLOWS, SENT = 100, 2048
PREFIXES, ADDRESSES, RULES = blocklist(50, flows=FLOWS), blocklist(50, single=True, flows=FLOWS), rule_list(40)
NEEDS = {"nftables": ("nft", "nftables at ingress"), "xdp-filter": ("xdp-filter", "the kernel's types")}
CASES = [
    (name, task)
    for task in (PREFIXES, ADDRESSES, RULES)
    for name in (*OURS, *PEERS[type(task)])
    if (name, task) != ("xdp-filter", PREFIXES)  # which takes no prefixes
]
on_veths = requires("root", "bpf", "bpffs", "bpftool", "clang")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(bench_peers, "ROUNDS", 1)
    return Bench(tmp_path, tmp_path, 0.02)


@on_veths
@pytest.mark.parametrize(("name", "task"), CASES, ids=[f"{name}-{task.name}" for name, task in CASES])
def test_what_is_listed_is_dropped_and_all_else_arrives(bench: Bench, task: Task, name: str) -> None:
    contender = {**OURS, **PEERS[type(task)]}[name]
    require(*NEEDS.get(name.partition(",")[0], ()))
    traffic = task.traffic if isinstance(task, Blocklist) else {LISTED: _matching(task), **task.traffic}
    with contender(bench, task) as standing, generator(standing.join.net, bench.folder) as sender:
        arrived = {kind: _arrived(standing, sender, flows) for kind, flows in traffic.items()}
    assert arrived == {kind: 0 if kind == LISTED and name != UNFILTERED else SENT for kind in traffic}


def _matching(task: RuleList) -> list[Flow]:
    """A flow of each rule whose protocol frames have."""
    return [
        Flow(rule.source.address, rule.destination.address, rule.sport.first, rule.dport.first)
        for rule in task.rules
        if rule.protocol == "udp"
    ]


def _arrived(standing: Standing, sender: Generator, flows: Sequence[Flow]) -> int:
    """How many of SENT frames reach the far host."""
    net, handled = standing.join.net, standing.handled()
    before = received_frames(net.inside, net.inside.interface)
    sender.aim(flows)
    with net.outside.entered():
        sender.send(SENT)
    wait_until(lambda: standing.handled() == handled + SENT)
    return received_frames(net.inside, net.inside.interface) - before


@on_veths
@pytest.mark.parametrize("task", [PREFIXES, RULES], ids=lambda task: task.name)
def test_everybody_has_figures_or_a_reason(bench: Bench, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unavailable, "which", {"bpftool": "/usr/sbin/bpftool"}.get)
    figures = list(compared(bench, task))
    reasons = {figure.name: figure.remark for figure in figures if figure.value is None}
    missing = PEERS[type(task)].keys() - {UNFILTERED}
    assert reasons.keys() == {f"{task.name}: {name}" for name in missing}
    assert all(reason.startswith("not measured: not installed (Debian's package ") for reason in reasons.values())
    rows = [(figure.name, figure.unit, figure.peer) for figure in figures if figure.value is not None]
    kind = "" if isinstance(task, RuleList) else ", not listed"
    expected = ((f"{task.name}{kind}", "frames/s"), (f"{task.name}{kind}, processor time a frame", "ns"))
    assert rows == [(f"{what}: {ours}", unit, UNFILTERED) for what, unit in expected for ours in OURS]
    assert all(figure.ratio for figure in figures if figure.value is not None)


def test_the_prefixes_of_a_blocklist_lie_apart() -> None:
    task = blocklist(2000, flows=FLOWS)
    networks = sorted(ip_network(str(prefix)) for prefix in task.prefixes)
    assert len(networks) == 2000
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(networks))
    for kind, flows in task.traffic.items():
        assert len(flows) == FLOWS
        for flow in flows:
            assert any(ip_address(flow.source) in network for network in networks) == (kind == LISTED)


def test_no_two_rules_overlap_and_no_frame_matches() -> None:
    task = rule_list(300, flows=FLOWS)
    assert len(task.rules) == 300
    assert not any(one.overlaps(other) for one, other in itertools.combinations(task.rules, 2))
    highest = max(rule.dport.last for rule in task.rules)
    assert all(flow.dport > highest for flow in task.traffic[""])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Prefix(0x0A000000, 8), Prefix(0x0A010200, 24), True),
        (Prefix(0x0A010200, 24), Prefix(0x0A010300, 24), False),
        (Prefix(0x0A010203, 32), Prefix(0x0A010203, 32), True),
    ],
)
def test_prefixes_overlap(one: Prefix, other: Prefix, expected: bool) -> None:
    assert one.overlaps(other) == other.overlaps(one) == expected

"""Boxes that run what others approved, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.box.approval.container import ApprovedFile
from appliance.box.approval.keeping.client import KeeperClient
from appliance.box.proving.build import build
from tests.appliance.box.conftest import HEAD, Start, run_to_its_end
from tests.appliance.box.proving.requests import of_program
from tests.netns import Topology

DOCUMENT = "program: {object: filter.approved}\ntrust: {keys: [release.pub]}\n"


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeeperClient]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    with KeeperClient.start(None) as client:
        (tmp_path / "release.pub").write_bytes(client.public.pem())
        yield client


def approve(keeper: KeeperClient, name: str) -> bytes:
    request = of_program(name)
    built = build(request)
    return ApprovedFile(keeper.sign(request, built), request, built).to_bytes()


def test_what_was_approved_runs_and_an_older_approval_does_not_come_back(
    start: Start, keeper: KeeperClient, tmp_path: Path
) -> None:
    path = tmp_path / "filter.approved"
    older, newer = approve(keeper, "xdp_pass"), approve(keeper, "xdp_sample")
    path.write_bytes(newer)
    box = start(DOCUMENT)
    assert box.metrics()['tidegate_approvals_total{result="approved"}'] == 1
    path.write_bytes(older)
    box.reload(DOCUMENT, "reload refused")
    assert "it is older than what was accepted before" in box.log
    path.write_bytes(approve(keeper, "xdp_pass"))
    box.reload(DOCUMENT, "reloaded")
    counts = box.metrics()
    assert counts['tidegate_approvals_total{result="replayed"}'] == 1
    assert counts['tidegate_approvals_total{result="approved"}'] == 2


def test_a_flipped_bit_of_machine_code_does_not_run(
    net: Topology, config: Path, keeper: KeeperClient, tmp_path: Path
) -> None:
    data = bytearray(approve(keeper, "xdp_pass"))
    data[-1] ^= 1
    (tmp_path / "filter.approved").write_bytes(data)
    config.write_text(HEAD + DOCUMENT)
    ended = run_to_its_end(net, config)
    assert ended.returncode == 1
    assert "it approves other machine code" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_rules_that_nobody_approved_do_not_run(net: Topology, config: Path, keeper: KeeperClient) -> None:
    config.write_text(config.read_text() + "trust: {keys: [release.pub]}\n")
    ended = run_to_its_end(net, config)
    assert ended.returncode == 1
    assert "nobody has signed it" in ended.stderr


def test_remembered_code_that_was_touched_is_built_anew(start: Start, keeper: KeeperClient, tmp_path: Path) -> None:
    rules = "rules:\n  - {id: nine, match: {udp.dport: 9}, action: drop}\n"
    start(rules).end()
    (kept,) = (tmp_path / "state" / "code").iterdir()
    data = bytearray(kept.read_bytes())
    data[-1] ^= 1
    kept.write_bytes(data)
    box = start(rules)
    assert "remembered code is not used, and built anew" in box.log
    assert box.metrics()['tidegate_remembered_code_total{result="refused"}'] == 1
    box.end()
    box = start(rules)
    assert box.metrics()['tidegate_remembered_code_total{result="found"}'] == 1

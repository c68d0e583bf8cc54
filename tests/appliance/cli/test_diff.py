"""`tidegate diff`: frames whose verdict changes, by the rules that decide before and after."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from appliance.rules.code import decision_log
from tests.appliance.cli.conftest import FRAMES, MACS, ROOT, Tidegate, process
from tests.captures import at_once, pcap

NINE, TEN, WEB, _ = FRAMES
SIZE = len(TEN)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Other rules than those of the fixture `rules`: port 9 may pass, port 10 may not, by a rule in another place."""
    path = tmp_path / "new.yaml"
    path.write_text(
        "defaults: {policy: pass}\n"
        "rules:\n"
        "  - {id: web, match: {tcp.dport: 80}, action: count}\n"
        "  - {id: ten, match: {udp.dport: 10}, action: drop}\n"
        "  - {id: seen, match: {udp.dport: 9}, action: drop, mode: monitor}\n"
    )
    return path


def test_in_words(tidegate: Tidegate, rules: Path, new: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.pcap", tmp_path / "other.pcap"
    one.write_bytes(pcap(at_once([*FRAMES, *[TEN] * 30])))
    other.write_bytes(pcap(at_once([WEB, TEN])))
    said = tidegate("diff", rules, new, one, other)
    assert (said.status, said.err) == (0, "")
    assert said.out == (
        f"33 of 36 frames change, {32 * SIZE + len(NINE)} of {32 * SIZE + 2 * len(WEB) + len(NINE) + len(FRAMES[3])}"
        " bytes\n"
        f"pass -> drop: 32 frames, {32 * SIZE} bytes\n"
        "  before: the policy\n"
        f"  after:  rule 'ten' ({new}:4:5)\n"
        f"  {one}: frames 2, {', '.join(map(str, range(5, 24)))} and 11 more\n"
        f"  {other}: frame 2\n"
        f"drop -> pass: 1 frame, {len(NINE)} bytes\n"
        f"  before: rule 'nine' ({rules}:3:5)\n"
        "  after:  the policy\n"
        f"  {one}: frame 1\n"
    )


def test_in_json(tidegate: Tidegate, rules: Path, new: Path, capture: Path) -> None:
    said = tidegate("diff", rules, new, capture, "--json")
    assert (said.status, said.err) == (0, "")
    document = said.document
    assert (document["frames"], document["changed"]) == (4, 2)
    assert (document["bytes"], document["changed_bytes"]) == (sum(map(len, FRAMES)), len(NINE) + len(TEN))
    first, second = document["groups"]
    policy = {"verdict": "pass", "by": "policy", "file": None, "line": None, "column": None}
    assert first == {
        "from": {"verdict": "drop", "by": "nine", "file": str(rules), "line": 3, "column": 5},
        "to": policy,
        "frames": 1,
        "bytes": len(NINE),
        "captures": [{"file": str(capture), "frames": [1]}],
    }
    assert (second["from"], second["to"]["by"]) == (policy, "ten")


def test_the_same_rules_change_nothing(tidegate: Tidegate, rules: Path, box: Path, capture: Path) -> None:
    said = tidegate("diff", rules, box, capture)
    assert said.out == f"0 of 4 frames change, 0 of {sum(map(len, FRAMES))} bytes\n"


def test_malformed_frames_and_the_allowlist(tidegate: Tidegate, rules: Path, capture: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("allowlist: [192.0.2.1]\ndefaults: {malformed: pass}\n")
    groups = tidegate("diff", rules, other, capture, "--json").document["groups"]
    assert [(group["from"]["by"], group["to"]["by"]) for group in groups] == [
        ("nine", "allowlist"),
        ("malformed", "malformed"),
    ]


def test_against_an_object(tidegate: Tidegate, rules: Path, capture: Path) -> None:
    """It has no rules: what it does is told by verdict alone."""
    said = tidegate("diff", rules, ROOT / "programs" / "xdp_drop.bpf.o", capture)
    assert "pass -> drop: 2 frames" in said.out
    assert "  before: the policy\n  after:  no rule\n" in said.out


def test_state_is_that_of_the_whole_capture(
    tidegate: Tidegate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the log is read in pieces: buckets are as empty as earlier frames left them."""
    monkeypatch.setattr("appliance.box.decisions.BATCH", 3)
    monkeypatch.setattr(decision_log, "BATCH", 3)
    old, new, capture = tmp_path / "old.yaml", tmp_path / "new.yaml", tmp_path / "ten.pcap"
    for path, burst in ((old, 4), (new, 7)):
        path.write_text(f"rules: [{{id: slow, rate: {{pps: 1, burst: {burst}}}, action: drop}}]\n")
    capture.write_bytes(pcap(at_once([TEN] * 10)))
    for _ in range(2):
        (group,) = tidegate("diff", old, new, capture, capture, "--json").document["groups"]
        assert (group["from"]["by"], group["to"]["by"]) == ("slow", "policy")
        assert group["captures"] == [{"file": str(capture), "frames": [5, 6, 7, 5, 6, 7]}]


def test_two_directions(tidegate: Tidegate, tmp_path: Path) -> None:
    old, new, capture = tmp_path / "old.yaml", tmp_path / "new.yaml", tmp_path / "two.pcap"
    for path, way in ((old, "in"), (new, "out")):
        path.write_text(f"rules: [{{id: ssh, match: {{tcp.dport: 22}}, direction: {way}, action: drop}}]\n")
    frames = [bytes(Ether(**MACS) / IP(src=source) / TCP(dport=22)) for source in ("192.0.2.1", "198.51.100.1")]
    capture.write_bytes(pcap(at_once(frames)))
    told = tidegate("diff", old, new, capture, "--inside", "192.0.2.0/24").out
    assert f"pass -> drop: 1 frame, 54 bytes\n  before: the policy\n  after:  rule 'ssh' ({new}:1:9)\n" in told
    assert f"drop -> pass: 1 frame, 54 bytes\n  before: rule 'ssh' ({old}:1:9)\n  after:  the policy\n" in told
    assert "2 of 2 frames change" in told
    assert "1 of 2 frames change" not in tidegate("diff", old, new, capture).out.replace("2 of 2", "")


def test_wrong_inputs(tidegate: Tidegate, rules: Path, capture: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("rules: [{id: a, action: explode}]\n")
    assert f"{bad}:1:25: " in tidegate("diff", rules, bad, capture).refused()
    assert f"{bad}:1:25: " in tidegate("diff", bad, rules, capture).refused()
    assert "not a pcap or pcapng file" in tidegate("diff", rules, rules, rules, "--json").refused()
    assert "missing.yaml: " in tidegate("diff", rules, tmp_path / "missing.yaml", capture).refused()
    assert "Missing argument 'PCAP...'" in tidegate("diff", rules, rules).refused(2)


def test_help_has_examples(tidegate: Tidegate) -> None:
    assert "tidegate diff box.yaml new/box.yaml line.pcapng --inside" in tidegate("diff", "--help").out


def test_nobody_reads_it(rules: Path, new: Path, tmp_path: Path) -> None:
    capture = tmp_path / "many.pcap"
    capture.write_bytes(pcap(at_once([bytes(Ether(**MACS) / IP() / UDP(dport=9))] * 20000)))
    done = process("diff", rules, new, capture, "--json", shell="| head -1")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"{\n", b"")

"""`tidegate check --explain`: which rule decides a frame, and why no earlier one does."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from tests.appliance.cli.conftest import BOX, FRAMES, MACS, ROOT, Tidegate, process
from tests.captures import at_once, pcap

ALLOWED = "allowlist: [203.0.113.0/24]\n"


def test_a_frame_in_hex(tidegate: Tidegate, rules: Path) -> None:
    web = FRAMES[2].hex(" ")
    said = tidegate("check", rules, "--explain", web)
    assert (said.status, said.err) == (0, "")
    assert said.out == (
        f"frame 1: {len(FRAMES[2])} bytes from outside: pass, by the policy\n"
        f"  {rules}:3:5 nine: udp.dport is only in UDP datagrams (of one in fragments, the first)\n"
        f"  {rules}:4:5 web: it matches, and only counts\n"
    )
    assert tidegate("check", rules, "--explain", web.replace(" ", "").upper()).out == said.out


def test_a_capture(tidegate: Tidegate, box: Path, capture: Path) -> None:
    box.write_text(ALLOWED + box.read_text())
    allowed = bytes(Ether(**MACS) / IP(src="203.0.113.9") / UDP(dport=9))
    capture.write_bytes(pcap(at_once([*FRAMES, allowed])))
    said = tidegate("check", box, "--explain", capture)
    lines = said.out.splitlines()
    assert [line for line in lines if line.startswith("frame")] == [
        f"frame 1: {len(FRAMES[0])} bytes from outside: drop, by rule 'nine' ({box}:6:5)",
        f"frame 2: {len(FRAMES[1])} bytes from outside: pass, by the policy",
        f"frame 3: {len(FRAMES[2])} bytes from outside: pass, by the policy",
        f"frame 4: {len(FRAMES[3])} bytes from outside: drop, malformed (ipv4_version)",
        f"frame 5: {len(allowed)} bytes from outside: pass, on the allowlist (ip.src 203.0.113.9)",
    ]
    assert lines[1] == f"  {box}:6:5 nine: it matches, and drops"
    only = tidegate("check", box, "--explain", capture, "--frame", "4", "--frame", 2).out.splitlines()
    assert [line[:8] for line in only if not line.startswith(" ")] == ["frame 2:", "frame 4:"]


def test_in_json(tidegate: Tidegate, rules: Path, capture: Path) -> None:
    document = tidegate("check", rules, "--explain", capture, "--json").document
    nine, other, web, malformed = document["frames"]
    assert nine == {
        "frame": 1,
        "bytes": len(FRAMES[0]),
        "direction": "in",
        "verdict": "drop",
        "by": "nine",
        "malformed": None,
        "reason": f"by rule 'nine' ({rules}:3:5)",
        "counted": ["nine"],
        "rules": [
            {
                "rule": "nine",
                "file": str(rules),
                "line": 3,
                "column": 5,
                "outcome": "decided",
                "field": None,
                "reason": "it matches, and drops",
            }
        ],
    }
    assert [(step["rule"], step["outcome"], step["field"]) for step in other["rules"]] == [
        ("nine", "no match", "udp.dport"),
        ("web", "no layer", "tcp.dport"),
    ]
    assert web["counted"] == ["web", "policy"]
    assert (malformed["by"], malformed["malformed"], malformed["rules"]) == ("malformed", "ipv4_version", [])


def test_what_came_before_counts(tidegate: Tidegate, tmp_path: Path) -> None:
    """Of a capture's third frame, the rate remembers the first two."""
    rules, capture = tmp_path / "rules.yaml", tmp_path / "three.pcap"
    rules.write_text("rules: [{id: slow, rate: {pps: 1, burst: 2}, action: drop}]\n")
    capture.write_bytes(pcap(at_once([FRAMES[0]] * 3)))
    said = tidegate("check", rules, "--explain", capture, "--frame", 3).out
    assert "it matches, over its rate (1 pps, burst 2), and drops" in said
    assert "frame 2:" not in said


def test_a_frame_from_inside(tidegate: Tidegate, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults: {direction: in}\nrules: [{id: a, match: {tcp.dport: 1}, action: drop}]\n")
    frame = bytes(Ether(**MACS) / IP(src="192.0.2.1") / TCP(dport=2)).hex()
    assert "from outside: pass, by the policy" in tidegate("check", rules, "--explain", frame).out
    said = tidegate("check", rules, "--explain", frame, "--inside", "192.0.2.0/24")
    assert said.out.startswith("frame 1: 54 bytes from inside: pass, nothing judges what comes from inside\n")
    assert "a: it judges only frames from outside" in said.out


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("hello", "hello: neither a frame in hex nor a file\n  hint: give the bytes"),
        ("0200000", "0200000: neither a frame in hex nor a file"),
        ("missing.pcap", "missing.pcap: can't be read: No such file or directory"),
        ("", "neither a frame in hex nor a file"),
        (".", ".: can't be read: Is a directory"),
    ],
)
def test_what_is_no_frame(tidegate: Tidegate, rules: Path, what: str, message: str) -> None:
    assert message in tidegate("check", rules, "--explain", what, "--json").refused()


def test_frames_that_are_not_there(tidegate: Tidegate, rules: Path, capture: Path) -> None:
    for number in (0, 5, -1):
        said = tidegate("check", rules, "--explain", capture, "--frame", number).refused()
        assert said == f"tidegate: {capture}: there is no frame {number}\n  hint: it has 1 to 4\n"


def test_options_that_need_explain(tidegate: Tidegate, rules: Path) -> None:
    for options in (("--frame", 1), ("--inside", "192.0.2.0/24")):
        assert "--frame and --inside belong to --explain" in tidegate("check", rules, *options).refused(2)


def test_an_object_has_no_rules(tidegate: Tidegate, tmp_path: Path) -> None:
    config = tmp_path / "box.yaml"
    config.write_text(BOX + f"program: {{object: {ROOT / 'programs' / 'xdp_drop.bpf.o'}}}\n")
    assert "has no rules to explain" in tidegate("check", config, "--explain", FRAMES[0].hex()).refused()


def test_nobody_reads_it(rules: Path, tmp_path: Path) -> None:
    capture = tmp_path / "many.pcap"
    capture.write_bytes(pcap(at_once(FRAMES * 5000)))
    done = process("check", rules, "--explain", capture, shell="| head -1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"frame 1: ")


def test_who_is_blocked_is_told_with_the_rule_that_did_it(tidegate: Tidegate, tmp_path: Path) -> None:
    rules, capture = tmp_path / "r.yaml", tmp_path / "c.pcap"
    rules.write_text("rules:\n  - {id: probe, match: {udp.dport: 9}, action: block}\n")
    frames = [bytes(Ether(**MACS) / IP(src="203.0.113.9") / UDP(dport=port)) for port in (9, 10)]
    capture.write_bytes(pcap(at_once(frames)))
    assert tidegate("check", rules, "--explain", capture).out.splitlines() == [
        f"frame 1: 42 bytes from outside: drop, by rule 'probe' ({rules}:2:5)",
        f"  {rules}:2:5 probe: it matches, and blocks",
        f"frame 2: 42 bytes from outside: drop, blocked by rule 'probe' ({rules}:2:5)",
    ]

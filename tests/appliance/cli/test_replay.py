"""`tidegate replay`: rule sets, boxes and objects, over one capture or several, with either engine."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from appliance.datapath.captures.link_types import known_link_types
from tests.appliance.cli.conftest import FRAMES, MACS, ROOT, Tidegate, process
from tests.captures import ETHERNET, at_once, pcap

FIREWALL = ROOT / "programs" / "xdp_firewall.bpf.o"
KEYS = ["frames", "bytes", "verdicts", "verdict_bytes", "rules", "malformed", "captures"]
KEYS += ["seconds", "frames_per_second"]
VERDICTS = ["pass", "drop", "tx", "redirect", "aborted"]
both = pytest.mark.parametrize("engine", ["jit", "interpreter"])


def expected(*indices: int) -> dict[str, int]:
    return {"packets": len(indices), "bytes": sum(len(FRAMES[index]) for index in indices)}


@both
@pytest.mark.parametrize("source", ["rules", "box"])
def test_rules(tidegate: Tidegate, request: pytest.FixtureRequest, capture: Path, engine: str, source: str) -> None:
    said = tidegate("replay", request.getfixturevalue(source), capture, "--engine", engine, "--json")
    assert (said.status, said.err) == (0, "")
    document = said.document
    assert list(document) == KEYS
    assert (document["frames"], document["bytes"]) == (4, sum(map(len, FRAMES)))
    assert list(document["verdicts"]) == VERDICTS
    assert document["verdicts"] == {"pass": 2, "drop": 2, "tx": 0, "redirect": 0, "aborted": 0}
    assert document["rules"] == {
        "nine": expected(0),
        "web": expected(2),
        "allowlist": expected(),
        "malformed": expected(3),
        "policy": expected(1, 2),
    }
    assert document["verdict_bytes"] == {
        "pass": expected(1, 2)["bytes"],
        "drop": expected(0, 3)["bytes"],
        "tx": 0,
        "redirect": 0,
        "aborted": 0,
    }
    assert {reason: count for reason, count in document["malformed"].items() if count} == {"ipv4_version": 1}
    assert len(document["malformed"]) > 15
    assert document["captures"] == [
        {
            "file": str(capture),
            "frames": 4,
            "link_types": {"Ethernet": 4},
            "recorded_in_part": 0,
            "unread": {},
            "defect": None,
        }
    ]


@both
def test_several_captures_are_summed(tidegate: Tidegate, rules: Path, capture: Path, engine: str) -> None:
    document = tidegate("replay", rules, capture, capture, capture, "--engine", engine, "--json").document
    assert document["frames"] == 12
    assert document["verdicts"]["drop"] == 6
    assert document["rules"]["nine"]["packets"] == 3


@both
def test_every_capture_begins_with_empty_state(tidegate: Tidegate, tmp_path: Path, engine: str) -> None:
    """The second capture is older than the first; its sources begin with full buckets all the same."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules: [{id: slow, rate: {pps: 1, burst: 2, per: ip.src, sources: 2}, action: drop}]\n")
    captures = [tmp_path / "new.pcap", tmp_path / "old.pcap"]
    for path, seconds in zip(captures, (1_700_000_000, 7), strict=True):
        path.write_bytes(pcap(at_once([FRAMES[0]] * 5, seconds * 10**9)))
    document = tidegate("replay", rules, *captures, "--engine", engine, "--json").document
    assert document["verdicts"]["pass"] == 4
    assert document["rules"]["slow"]["packets"] == 6


@both
def test_an_object(tidegate: Tidegate, capture: Path, engine: str) -> None:
    document = tidegate("replay", FIREWALL, capture, "--engine", engine, "--json").document
    assert document["frames"] == 4
    assert document["rules"] == {}


def test_an_object_with_several_programs(tidegate: Tidegate, unsafe: Path, rules: Path, capture: Path) -> None:
    several = tidegate("replay", unsafe, capture).refused()
    assert "the object holds 2 programs\n  hint: name one (`inward` in a box, `--program` in a replay): good" in several
    assert tidegate("replay", unsafe, capture, "--program", "good", "--json").document["verdicts"]["pass"] == 4
    assert "no program 'ugly' in the object" in tidegate("replay", unsafe, capture, "--program", "ugly").refused()
    expected = f"tidegate: {rules}: only an object has several programs\n  hint: leave `--program` out\n"
    assert tidegate("replay", rules, capture, "--program", "good").refused() == expected


@both
def test_nothing_runs_that_was_not_accepted(tidegate: Tidegate, unsafe: Path, capture: Path, engine: str) -> None:
    said = tidegate("replay", unsafe, capture, "--program", "bad", "--engine", engine)
    assert "unsafe.bpf.c:5" in said.refused()


def test_in_words(tidegate: Tidegate, rules: Path, capture: Path) -> None:
    said = tidegate("replay", rules, capture)
    assert (said.status, said.err) == (0, "")
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[0][:4] == ["4", "frames,", str(sum(map(len, FRAMES))), "bytes,"]
    assert ["verdict", "frames", "bytes"] in lines
    assert ["drop", "2", str(len(FRAMES[0]) + len(FRAMES[3]))] in lines
    assert ["nine", "1", str(len(FRAMES[0]))] in lines
    assert not any(line[:1] == ["tx"] for line in lines), "what did not happen is not listed"


def test_an_empty_capture(tidegate: Tidegate, rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "none.pcap"
    path.write_bytes(pcap([]))
    document = tidegate("replay", rules, path, "--json").document
    assert (document["frames"], document["frames_per_second"]) == (0, document["frames_per_second"])
    assert "no rule counted a frame" in tidegate("replay", rules, path).out


def test_a_cut_capture_gives_the_frames_before_the_cut(tidegate: Tidegate, rules: Path, capture: Path) -> None:
    capture.write_bytes(capture.read_bytes()[:-1])
    said = tidegate("replay", rules, capture, "--json")
    assert said.status == 0
    assert said.document["frames"] == 3
    assert said.err.startswith(f"tidegate: {capture}: the capture is cut in the middle of a record (at byte ")


def test_frames_that_were_recorded_in_part_are_told_of(tidegate: Tidegate, rules: Path, capture: Path) -> None:
    data = bytearray(capture.read_bytes())
    data[24 + 12 : 24 + 16] = (1500).to_bytes(4, "little")  # the first frame's length on the wire
    capture.write_bytes(data)
    said = tidegate("replay", rules, capture, "--json")
    assert (said.document["frames"], said.document["bytes"]) == (4, 1500 + sum(map(len, FRAMES[1:])))
    assert said.document["captures"][0]["recorded_in_part"] == 1
    assert said.err == (
        f"tidegate: {capture}: 1 frames were recorded in part, and are judged by their true length; what is missing"
        " reads as zeros\n"
    )


@both
@pytest.mark.parametrize("snap", [34, 38, 42, 54])
def test_a_snap_length_changes_nothing_that_the_headers_say(
    tidegate: Tidegate, tmp_path: Path, engine: str, snap: int
) -> None:
    """Of TCP and UDP, addresses alone need 34 bytes, ports 38, and the whole of the header 42 and 54."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(SNAPPED)
    frames = [bytes(Ether(**MACS) / IP(src="192.0.2.1") / UDP(sport=11211) / bytes(1400))] * 3
    frames += [bytes(Ether(**MACS) / IP(src="192.0.2.2") / TCP(dport=80) / bytes(900))] * 2
    data, cut = pcap(at_once(frames)), pcap([])
    position = 24
    for frame in frames:
        cut += data[position : position + 8] + struct.pack("<II", snap, len(frame)) + frame[:snap]
        position += 16 + len(frame)
    documents = []
    for name, contents in (("whole", data), ("cut", cut)):
        (tmp_path / name).write_bytes(contents)
        documents.append(tidegate("replay", rules, tmp_path / name, "--engine", engine, "--json").document)
    whole, snapped = documents
    assert whole["rules"]["memcached"]["packets"] == 3
    assert snapped["bytes"] == whole["bytes"] == sum(map(len, frames))
    # of the transport header, what is missing reads as zeros: a UDP length of 0, a TCP header of 0 bytes
    seen = {34: ("malformed", 5), 38: ("malformed", 5), 42: ("malformed", 2), 54: ("malformed", 0)}[snap]
    assert (seen[0], snapped["rules"]["malformed"]["packets"]) == seen
    if snap >= 42:
        assert snapped["rules"]["long"] == whole["rules"]["long"]
    if snap == 54:
        assert (snapped["verdicts"], snapped["rules"]) == (whole["verdicts"], whole["rules"])


SNAPPED = """\
defaults: {malformed: pass}
rules:
  - {id: long, match: {frame.len: {gt: 1400}}, action: count}
  - {id: memcached, match: {udp.sport: 11211}, action: drop}
  - {id: web, match: {tcp.dport: 80, ip.src: 192.0.2.0/24}, rate: {bps: 8000, burst: 1514}, action: drop}
"""
RETRANSMIT = """\
defaults: {policy: pass, direction: in}
rules:
  - {id: real, match: {tcp.flags: {all: [syn], not: [ack]}}, retransmit: {}, action: drop}
  - {id: mine, match: {udp.dport: 53}, direction: out, action: drop}
"""


@both
def test_two_directions(tidegate: Tidegate, tmp_path: Path, engine: str) -> None:
    """The server's answer goes outward, where it is heard: the client is known, and its next SYN passes at once."""
    client, server = IP(src="198.51.100.7", dst="192.0.2.1"), IP(src="192.0.2.1", dst="198.51.100.7")
    talk = [
        (0.0, client / TCP(sport=1000, dport=80, flags="S", seq=7)),
        (1.0, client / TCP(sport=1000, dport=80, flags="S", seq=7)),
        (1.1, server / TCP(sport=80, dport=1000, flags="SA", seq=99, ack=8)),
        (1.2, client / TCP(sport=1000, dport=80, flags="A", seq=8, ack=100)),
        (1.3, client / TCP(sport=1001, dport=80, flags="S", seq=70)),
        (1.4, server / UDP(sport=9, dport=53)),
        (1.5, client / UDP(sport=9, dport=53)),
    ]
    rules, capture = tmp_path / "rules.yaml", tmp_path / "talk.pcap"
    rules.write_text(RETRANSMIT)
    capture.write_bytes(pcap([(int(1e9 + at * 1e9), bytes(Ether(**MACS) / frame)) for at, frame in talk]))
    line = ("replay", rules, capture, "--engine", engine)
    one_way = tidegate(*line, "--json").document
    assert "directions" not in one_way
    assert (one_way["rules"]["real"]["packets"], one_way["rules"]["mine"]["packets"]) == (2, 0)
    document = tidegate(*line, "--json", "--inside", "10.0.0.0/8", "--inside", "192.0.2.0/24").document
    assert (document["rules"]["real"]["packets"], document["rules"]["mine"]["packets"]) == (1, 1)
    ways = document["directions"]
    assert list(ways) == ["in", "out"]
    assert (ways["in"]["verdicts"]["drop"], ways["in"]["verdicts"]["pass"]) == (1, 4)
    assert (ways["out"]["verdicts"]["drop"], ways["out"]["verdicts"]["pass"]) == (1, 1)
    assert document["frames"] == ways["in"]["frames"] + ways["out"]["frames"] == 7
    words = tidegate(*line, "--inside", "192.0.2.0/24").out
    assert "from outside" in words
    assert "from inside" in words
    assert document["verdicts"] == {"pass": 5, "drop": 2, "tx": 0, "redirect": 0, "aborted": 0}


def test_what_is_inside_must_be_a_network(tidegate: Tidegate, rules: Path, capture: Path) -> None:
    said = tidegate("replay", rules, capture, "--inside", "192.0.2.1/24").refused()
    assert said == (
        "tidegate: --inside 192.0.2.1/24: 192.0.2.1/24 has bits set behind its prefix\n"
        "  hint: the network is 192.0.2.0/24, one host 192.0.2.1\n"
    )


def test_reasons_of_malformed_frames_in_words(tidegate: Tidegate, rules: Path, capture: Path) -> None:
    lines = [line.split() for line in tidegate("replay", rules, capture).out.splitlines()]
    assert lines[lines.index(["malformed", "frames"]) + 1] == ["ipv4_version", "1"]


def test_help_has_examples(tidegate: Tidegate) -> None:
    assert "tidegate replay box.yaml line.pcapng --inside 192.0.2.0/24" in tidegate("replay", "--help").out


def test_nobody_reads_the_result(rules: Path, capture: Path) -> None:
    done = process("replay", rules, capture, "--json", shell="| true")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\n", "not a pcap or pcapng file"),
        (bytes(4000), "not a pcap or pcapng file"),
        (b"#!/bin/sh\n", "not a pcap or pcapng file"),
        (pcap([])[:23], "the file ends within its header"),
        (
            pcap([], link=127),
            "link type 127 can't be replayed\n  hint: captures of these link types can be: " + known_link_types(),
        ),
    ],
    ids=["empty", "a line", "zeros", "a script", "half a header", "radiotap"],
)
def test_what_is_no_capture(tidegate: Tidegate, rules: Path, tmp_path: Path, data: bytes, message: str) -> None:
    assert ETHERNET == 1
    path = tmp_path / "capture"
    path.write_bytes(data)
    for engine in ("jit", "interpreter"):
        refused = tidegate("replay", rules, path, "--engine", engine, "--json").refused()
        assert refused == f"tidegate: {path}: {message}\n"


def test_one_bad_capture_among_good_ones_is_named(tidegate: Tidegate, rules: Path, capture: Path) -> None:
    assert f"tidegate: {rules}: not a pcap" in tidegate("replay", rules, capture, rules, "--json").refused()


def test_a_pipe_is_no_capture(rules: Path, capture: Path) -> None:
    done = process("replay", rules, shell=f"<(cat {capture})")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.endswith(b": not a regular file\n  hint: save the capture to a file first\n")


@both
def test_syns_are_answered_as_a_box_answers_them(tidegate: Tidegate, tmp_path: Path, engine: str) -> None:
    """Cookies need secrets, which a replay has of its own."""
    rules, file = tmp_path / "rules.yaml", tmp_path / "syns.pcap"
    rules.write_text("rules: [{id: syn, match: {tcp.flags: {all: [syn], not: [ack]}}, action: syn-proxy}]\n")
    syns = [bytes(Ether(**MACS) / IP(dst="192.0.2.1") / TCP(sport=port, dport=80, flags="S")) for port in (5, 6)]
    file.write_bytes(pcap(at_once(syns)))
    verdicts = tidegate("replay", rules, file, "--engine", engine, "--json").document["verdicts"]
    assert verdicts == {"pass": 0, "drop": 0, "tx": 2, "redirect": 0, "aborted": 0}


@both
def test_a_syn_proxy_is_switched_off_some_time_after_a_flood(tidegate: Tidegate, tmp_path: Path, engine: str) -> None:
    """Each prefix by its own rate: on above 10 a second, off once it was below 5 on the average for ten seconds."""
    behind = {  # what comes behind a flood of 30 SYNs, at which seconds
        "soon": [9.0],
        "later": [11.0],
        "slowly": [number / 3 for number in range(1, 121)],  # what is left of ten seconds shrinks by 2/5 of the time
        "no-slower": [number / 6 for number in range(1, 121)],  # never below 5 a second
    }
    match, rate = "tcp.flags: {all: [syn], not: [ack]}", "rate: {pps: 10, per: ip.dst/24}, action: syn-proxy"
    lines, talk = ["rules:"], []
    for number, (id_, moments) in enumerate(behind.items()):
        syn = bytes(Ether(**MACS) / IP(src="198.51.100.7", dst=f"192.0.{number}.1") / TCP(dport=80, flags="S"))
        lines.append(f"  - {{id: {id_}, match: {{{match}, ip.dst: 192.0.{number}.0/24}}, {rate}}}")
        talk += [(at, syn) for at in [0.0] * 30 + moments]
    rules, file = tmp_path / "rules.yaml", tmp_path / "syns.pcap"
    rules.write_text("\n".join(lines) + "\n")
    file.write_bytes(pcap([(int((1 + at) * 1e9), frame) for at, frame in sorted(talk)]))
    counted = tidegate("replay", rules, file, "--engine", engine, "--json").document["rules"]
    answered = {id_: counted[id_]["packets"] - 20 for id_ in behind}
    assert answered == {"soon": 1, "later": 0, "slowly": 73, "no-slower": 120}

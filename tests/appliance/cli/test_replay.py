"""`tidegate replay`: rule sets, boxes and objects, over one capture or several, with either engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.appliance.cli.conftest import FRAMES, ROOT, Tidegate, process
from tests.captures import ETHERNET, at_once, pcap

FIREWALL = ROOT / "programs" / "xdp_firewall.bpf.o"
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
    assert list(document) == ["frames", "bytes", "verdicts", "rules", "seconds", "frames_per_second"]
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
    assert said.document["frames"] == 4
    assert said.err == f"tidegate: {capture}: 1 frames were recorded in part, and are judged as cut frames\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\n", "not a pcap or pcapng file"),
        (bytes(4000), "not a pcap or pcapng file"),
        (b"#!/bin/sh\n", "not a pcap or pcapng file"),
        (pcap([])[:23], "the file ends within its header"),
        (
            pcap([], link=113),
            "link type 113, but only Ethernet (1) can be replayed\n  hint: capture on an Ethernet interface",
        ),
    ],
    ids=["empty", "a line", "zeros", "a script", "half a header", "not Ethernet"],
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

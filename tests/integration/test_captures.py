"""Recorded attacks and malformed packets of many protocols: both engines give every frame the same verdict."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.box.filter_files import read_filter
from appliance.box.offline_replay import InterpretedReplay, NativeReplay
from appliance.datapath.captures import FRAME, Capture, CaptureRefused
from appliance.datapath.captures.link_types import LINK_TYPES
from appliance.datapath.captures.pcap import PCAP_MAGIC
from hooks.contracts.contract import Verdict
from tests.capabilities import requires
from tests.captures import SHARED
from tests.recordings.recorded_attacks import RECORDED_ATTACKS, share_of_the_attack

MOST = 100  # frames of one capture; the interpreter takes a millisecond for each
PATHS = sorted(SHARED.rglob("*.pcap*")) if SHARED.is_dir() else []
PROGRAMS = ("configs/rulesets/default.yaml", "tests/integration/everything.yaml", "programs/xdp_firewall.bpf.o")

pytestmark = requires("recordings")


def link_type(path: Path) -> int | None:
    """What the header says, read without our reader; None if it is no pcap file."""
    head = path.read_bytes()[:24]
    if head[:4] not in PCAP_MAGIC or len(head) < 24:
        return None
    (link,) = struct.unpack_from(PCAP_MAGIC[head[:4]][0] + "I", head, 20)
    return int(link) & 0xFFFF


@contextmanager
def beginning(path: Path) -> Iterator[Capture]:
    """A capture's first frames."""
    with Capture(path) as capture:
        del capture.table[MOST * FRAME.size :]
        yield capture


def readable() -> list[Path]:
    return [path for path in PATHS if link_type(path) in {None, *LINK_TYPES}]


@pytest.mark.parametrize("program", PROGRAMS)
def test_both_engines_agree_on_every_frame(program: str) -> None:
    filter_spec = read_filter(Path(program))
    frames = 0
    with NativeReplay(filter_spec) as native, InterpretedReplay(filter_spec) as interpreted:
        for path in readable():
            with beginning(path) as capture:
                ours, oracle = native.replay(capture), interpreted.replay(capture)
            assert ours.sequence == oracle.sequence, path.name
            assert (ours.frames, ours.verdicts) == (oracle.frames, oracle.verdicts), path.name
            assert ours.frames.packets == sum(count.packets for count in ours.verdicts.values())
            assert Verdict.ABORTED not in {verdict for verdict, count in ours.verdicts.items() if count.packets}
            frames += ours.frames.packets
        assert native.rule_counts() == interpreted.rule_counts()
    assert frames > 1000


def test_what_cant_be_replayed_is_refused_by_its_link_type() -> None:
    others = [path for path in PATHS if path not in readable()]
    assert len(others) > 20
    for path in others:
        with pytest.raises(CaptureRefused, match=f"link type {link_type(path)} can't be replayed"), Capture(path):
            pass


def test_whole_captures_natively() -> None:
    """Every frame of every capture, twice: the second time begins with empty state, and finds the same."""
    with NativeReplay(read_filter(Path(PROGRAMS[0]))) as native:
        for path in readable():
            with Capture(path) as capture:
                assert native.replay(capture).sequence == native.replay(capture).sequence, path.name
                assert capture.defect is None or path.parent.name == "tcpdump"


@pytest.mark.parametrize("name", RECORDED_ATTACKS)
def test_the_default_rule_set_holds_recorded_attacks_back(running: NativeReplay, name: str) -> None:
    share, frames = share_of_the_attack(running, SHARED / name, RECORDED_ATTACKS[name])
    assert frames > 500
    assert share >= 0.99


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeReplay]:
    """The default rules in a box that has run for a while."""
    rules = tmp_path_factory.mktemp("rules") / "running.yaml"
    rules.write_text(f"include: [{Path(PROGRAMS[0]).resolve()}]\nconnections: {{grace: 0}}\n")
    with NativeReplay(read_filter(rules)) as native:
        yield native

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


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("pkt.TCP.synflood.spoofed.pcap", 0.99),
        ("amp.TCP.reflection.SYNACK.pcap", 0.5),
        ("amp.UDP.isakmp.pcap", 0.5),
        ("amp.dns.RRSIG.fragmented.pcap", 0.8),  # the rest is other traffic
    ],
)
def test_the_default_rule_set_holds_recorded_attacks_back(default: NativeReplay, name: str, least: float) -> None:
    with Capture(SHARED / name) as capture:
        result = default.replay(capture)
    share = result.verdicts[Verdict.DROP].bytes / result.frames.bytes
    assert share >= least, f"{share:.1%} of the bytes dropped"


@pytest.fixture(scope="module")
def default() -> Iterator[NativeReplay]:
    with NativeReplay(read_filter(Path(PROGRAMS[0]))) as native:
        yield native

"""Replay: counts, the capture's own clock, frames that programs change, and the same answer every time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from appliance.box.filter_files import read_filter
from appliance.box.filter_spec import FilterSpec
from appliance.box.offline_replay import ENGINES, OfflineReplay
from appliance.box.proving.request import BuildRequest, ObjectFile
from appliance.datapath.captures import Capture
from appliance.datapath.layout import LONGEST_FRAME, VERDICTS
from appliance.datapath.replay import ReplayResult
from appliance.datapath.statistics import Count
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from hooks.contracts.contract import HookPoint, Verdict
from hooks.contracts.xdp import XDP_LINUX, XDP_WINDOWS
from tests.captures import TimedFrame, at_once, pcap

SWAP = Path("programs/xdp_swap.bpf.o")
SECOND = 10**9
MACS = {"dst": "02:00:00:00:00:02", "src": "02:00:00:00:00:01"}

both = pytest.mark.parametrize("engine", ENGINES)
Replay = Callable[[OfflineReplay, list[TimedFrame]], ReplayResult]


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    def run(offline_replay: OfflineReplay, frames: list[TimedFrame]) -> ReplayResult:
        path = tmp_path / "frames.pcap"
        path.write_bytes(pcap(frames))
        with Capture(path) as capture:
            result = offline_replay.replay(capture)
            assert [capture.frame(record) for record in capture.records()] == [frame for _, frame in frames]
        return result

    return run


@contextmanager
def program(engine: str, text: str, *maps: MapSpec, hook: HookPoint = XDP_LINUX) -> Iterator[OfflineReplay]:
    """A program in assembly, of an object like anybody's."""
    spec = ProgramSpec("test", "xdp", hook, assemble(dedent(text)))
    collection = CollectionSpec("test.o", hook.platform, {"test": spec}, {map_.name: map_ for map_ in maps})
    with ENGINES[engine](
        FilterSpec(collection, "test", "", BuildRequest(ObjectFile("test.o", b""), "test", None, 1))
    ) as offline_replay:
        yield offline_replay


@contextmanager
def rule_set(engine: str, folder: Path, text: str) -> Iterator[OfflineReplay]:
    path = folder / "rules.yaml"
    path.write_text(text)
    with ENGINES[engine](read_filter(path)) as offline_replay:
        yield offline_replay


def verdicts(result: ReplayResult) -> list[str]:
    return [VERDICTS[index].value for index in result.sequence]


FIRST_BYTE = """
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 1
    if r4 > r3 goto empty
    r0 = *(u8 *)(r2 + 0)
    if r0 > 4 goto unknown
    exit
unknown:
    r0 = 0
    exit
empty:
    r0 = 1
    exit
"""


@both
def test_each_verdict_is_counted(engine: str, replay: Replay) -> None:
    with program(engine, FIRST_BYTE) as offline_replay:
        frames = [b"\x02ab", b"\x01abcd", b"\x02a", b"\x03", b"\x04" * 60, b"\x00", b"\x63", b""]
        result = replay(offline_replay, at_once(frames))
    assert verdicts(result) == ["pass", "drop", "pass", "tx", "redirect", "aborted", "aborted", "drop"]
    assert result.frames == Count(8, 73)
    assert result.verdicts == {
        Verdict.ABORTED: Count(2, 2),
        Verdict.DROP: Count(2, 5),
        Verdict.PASS: Count(2, 5),
        Verdict.TX: Count(1, 1),
        Verdict.REDIRECT: Count(1, 60),
    }


@both
def test_verdicts_are_those_of_the_platform(engine: str, replay: Replay) -> None:
    text = "r0 = *(u32 *)(r1 + 24)\nr0 = 2\nexit"
    with program(engine, text, hook=XDP_WINDOWS) as offline_replay:
        assert verdicts(replay(offline_replay, at_once([b"a" * 14]))) == ["drop"]
    with program(engine, "r0 = 1\nexit", hook=XDP_WINDOWS) as offline_replay:
        assert verdicts(replay(offline_replay, at_once([b"a" * 14]))) == ["pass"]


@both
def test_no_frame_at_all(engine: str, replay: Replay) -> None:
    with program(engine, FIRST_BYTE) as offline_replay:
        result = replay(offline_replay, [])
    assert (result.frames, result.sequence) == (Count(), b"")
    assert set(result.verdicts.values()) == {Count()}


@both
def test_what_a_program_writes_stays_out_of_the_capture(engine: str, replay: Replay) -> None:
    """The swap turns addresses around and sends back; a second time finds the same frames (see `replay`)."""
    syn = bytes(Ether(**MACS) / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(dport=7) / b"echo")
    with ENGINES[engine](read_filter(SWAP)) as offline_replay:
        first, second = (replay(offline_replay, at_once([syn] * 3)) for _ in range(2))
    assert first.sequence == second.sequence
    assert first.verdicts[Verdict.TX].packets == 3


GROW = """
    r6 = r1
    r2 = -8
    call xdp_adjust_head
    if r0 != 0 goto fail
    r2 = *(u32 *)(r6 + 0)
    r3 = *(u32 *)(r6 + 4)
    r4 = r2
    r4 += 8
    if r4 > r3 goto fail
    r0 = 2
    r5 = *(u64 *)(r2 + 0)
    if r5 == 0 goto write
    r0 = 1
write:
    r5 = -1
    *(u64 *)(r2 + 0) = r5
    exit
fail:
    r0 = 0
    exit
"""


@both
def test_what_one_frame_left_in_the_headroom_the_next_does_not_find(engine: str, replay: Replay) -> None:
    with program(engine, GROW) as offline_replay:
        assert verdicts(replay(offline_replay, at_once([b"a" * 60] * 3))) == ["pass"] * 3


TAIL = """
    r6 = r1
    r2 = {distance}
    call xdp_adjust_tail
    r7 = r0
    r0 = 1
    if r7 != 0 goto out
    r2 = *(u32 *)(r6 + 0)
    r3 = *(u32 *)(r6 + 4)
    r3 -= r2
    r0 = 2
    if r3 == {size} goto out
    r0 = 0
out:
    exit
"""


@both
@pytest.mark.parametrize(
    ("size", "distance", "verdict"),
    [
        (60, 1024, "pass"),
        (60, 1025, "drop"),
        (60, -46, "pass"),
        (60, -47, "drop"),
        (LONGEST_FRAME, 1024, "pass"),
        (LONGEST_FRAME, 1025, "drop"),
        (13, 0, "drop"),
        (0, 14, "pass"),
    ],
)
def test_room_behind_a_frame(engine: str, replay: Replay, size: int, distance: int, verdict: str) -> None:
    """Both engines have the same tailroom, and know frames of more than 64 KiB as they are."""
    with program(engine, TAIL.format(distance=distance, size=size + distance)) as offline_replay:
        assert verdicts(replay(offline_replay, at_once([b"a" * size]))) == [verdict]


COUNT = """
    r6 = 0
    *(u32 *)(r10 - 4) = r6
    r2 = r10
    r2 += -4
    r1 = map[seen] ll
    call map_lookup_elem
    r1 = r0
    r0 = 0
    if r1 == 0 goto out
    r2 = *(u64 *)(r1 + 0)
    if r2 > 4 goto out
    r0 = r2
    r2 += 1
    *(u64 *)(r1 + 0) = r2
out:
    exit
"""


@both
@pytest.mark.parametrize("kind", [MapType.ARRAY, MapType.PERCPU_ARRAY])
def test_maps_of_an_object_begin_anew_with_what_was_declared(engine: str, replay: Replay, kind: MapType) -> None:
    seen = MapSpec("seen", kind, 4, 8, 1, contents=(((0).to_bytes(4, "little"), (1).to_bytes(8, "little")),))
    with program(engine, COUNT, seen) as offline_replay:
        for _ in range(3):
            assert verdicts(replay(offline_replay, at_once([b"a" * 14] * 3))) == ["drop", "pass", "tx"]


# rules

RATE = "rules: [{id: slow, match: {ip.proto: udp}, rate: {pps: 2, burst: 2}, action: drop}]\n"
DATAGRAM = bytes(Ether(**MACS) / IP(src="192.0.2.1") / UDP())


@both
def test_the_clock_is_that_of_the_capture(engine: str, replay: Replay, tmp_path: Path) -> None:
    """Two at once, then two a second; a pause of an hour fills the bucket, and no further."""
    moments = [0, 0, 0, 0.5, 0.5, 1.2, 1.4, 3600, 3600, 3600]
    with rule_set(engine, tmp_path, RATE) as offline_replay:
        result = replay(offline_replay, [(5 * SECOND + int(at * SECOND), DATAGRAM) for at in moments])
        assert verdicts(result) == [
            "pass", "pass", "drop", "pass", "drop", "pass", "drop", "pass", "pass", "drop",
        ]  # fmt: skip
        assert offline_replay.rule_counts()["slow"] == Count(4, 4 * len(DATAGRAM))


@both
def test_a_clock_that_goes_back_starves_nobody(engine: str, replay: Replay, tmp_path: Path) -> None:
    with rule_set(engine, tmp_path, RATE) as offline_replay:
        frames = [(at * SECOND, DATAGRAM) for at in (1_700_000_000, 1_700_000_000, 1_700_000_000, 1000, 1000, 0, 0)]
        assert verdicts(replay(offline_replay, frames))[:5] == ["pass", "pass", "drop", "pass", "pass"]


@both
def test_counters_go_on_over_captures(engine: str, replay: Replay, tmp_path: Path) -> None:
    with rule_set(engine, tmp_path, RATE) as offline_replay:
        for runs in range(1, 4):
            assert verdicts(replay(offline_replay, at_once([DATAGRAM] * 3))) == ["pass", "pass", "drop"]
            assert offline_replay.rule_counts()["slow"].packets == runs
            assert offline_replay.rule_counts()["policy"] == Count(2 * runs, 2 * runs * len(DATAGRAM))


def test_sources_are_forgotten_alike(replay: Replay, tmp_path: Path) -> None:
    """More sources than fit, over several captures: both engines give up the same ones, and do so every time."""
    text = "rules: [{id: each, rate: {pps: 1, burst: 1, per: ip.src, sources: 4}, action: drop}]\n"
    dice = random.Random(7)
    frames = [(5 * SECOND, bytes(Ether(**MACS) / IP(src=f"192.0.2.{dice.randrange(9)}") / TCP())) for _ in range(300)]
    found = []
    for engine in ENGINES:
        with rule_set(engine, tmp_path, text) as offline_replay:
            found += [replay(offline_replay, part).sequence for part in (frames[:200], frames[200:], frames[:200])]
    native, interpreted = found[:3], found[3:]
    assert native == interpreted
    assert native[0] == native[2]
    assert {VERDICTS.index(Verdict.PASS), VERDICTS.index(Verdict.DROP)} == set(native[0])


RANDOM = "call get_prandom_u32\nr0 &= 1\nr0 += 1\nexit"


def test_chance_is_the_same_every_time(replay: Replay) -> None:
    frames = at_once([b"a" * 14] * 64)
    found = set()
    for engine in ENGINES:
        with program(engine, RANDOM) as offline_replay:
            found |= {replay(offline_replay, frames).sequence for _ in range(2)}
    assert len(found) == 1
    assert len(set(found.pop())) == 2

"""What the default rules cost honest users: recordings of real programs, both ways, of which every loss has a reason.

At most one frame of a thousand may fall. The recordings are made anew (tests/recordings), on a machine that has the
programs; each is replayed with what is inside told apart, as a box in the line would see it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.box.filter_files import read_filter
from appliance.box.offline_replay import NativeReplay
from appliance.cli.inside import read_networks
from appliance.datapath.captures import Capture, tell_directions
from hooks.contracts.contract import Verdict
from tests.capabilities import Capability, require, requires
from tests.recordings.line import NETWORKS
from tests.recordings.registry import RECORDINGS

DEFAULT = Path(__file__).parents[2] / "configs" / "rulesets" / "default.yaml"
MOST = 0.001  # of all frames
PASSING = frozenset(
    {"policy", "allowlist", "established", "established-icmp-fragments"}
)  # what counts and drops nothing
PACKAGES = Path(__file__).parents[1] / "recordings" / "packages.txt"

# By recording, and by the rule that drops: how many frames at most, and why that must be.
FIRST_SYNS = (2, "the first SYN of the only client outside, in each family: it is sent again, and never again held up")
EXPLAINED: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "web": {"syn-first": FIRST_SYNS},
    "dns": {"syn-first": FIRST_SYNS},
    "mail": {"syn-first": FIRST_SYNS},
    "ftp": {"syn-first": FIRST_SYNS},
    "path-mtu": {"syn-first": FIRST_SYNS},
}

pytestmark = [requires("root"), pytest.mark.timeout(120)]


@dataclass(frozen=True)
class Judged:
    """A recording's frames, and those that each rule dropped."""

    frames: int
    outward: int
    dropped: Mapping[str, int]


@pytest.fixture(scope="module")
def replay() -> Iterator[NativeReplay]:
    with NativeReplay(read_filter(DEFAULT), two_ways=True) as native:
        yield native


@pytest.fixture(scope="module")
def judged() -> dict[str, Judged]:
    return {}


@pytest.mark.parametrize("name", RECORDINGS)
def test_good_traffic_passes(name: str, replay: NativeReplay, judged: dict[str, Judged], tmp_path: Path) -> None:
    for program in RECORDINGS[name].needs:
        require(_program(program))
    path = tmp_path / f"{name}.pcap"
    RECORDINGS[name].write(path)
    judged[name] = found = _judge(replay, path)
    assert 0 < found.outward < found.frames, "both directions are there"
    explained = {rule: most for rule, (most, _why) in EXPLAINED.get(name, {}).items()}
    unexplained = {rule: count for rule, count in found.dropped.items() if count > explained.get(rule, 0)}
    assert unexplained == {}, f"of {found.frames} frames"


def test_at_most_one_frame_of_a_thousand_falls(judged: Mapping[str, Judged]) -> None:
    """Of all that was recorded in this run."""
    assert judged
    dropped = sum(sum(each.dropped.values()) for each in judged.values())
    assert dropped <= MOST * sum(each.frames for each in judged.values())


def _judge(replay: NativeReplay, path: Path) -> Judged:
    before = replay.rule_counts()
    with Capture(path) as capture:
        tell_directions(capture, read_networks(NETWORKS))
        result = replay.replay(capture)
    counts = {rule: count.packets - before[rule].packets for rule, count in replay.rule_counts().items()}
    dropped = {rule: count for rule, count in counts.items() if count and rule not in PASSING}
    assert sum(dropped.values()) == result.verdicts[Verdict.DROP].packets
    outward = sum(count.packets for count in result.outward.values())
    return Judged(result.frames.packets, outward, dropped)


def _program(name: str) -> Capability:
    lack = f"there is no {name} in PATH; `.ci/debian {PACKAGES}` installs it"
    return Capability(name, lambda: None if shutil.which(name) else lack)

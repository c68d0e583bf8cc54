"""What the default rules drop of attacks and of good traffic: a line for each recording, with the rules that did it.

Recorded attacks are those of the shared captures; of what else was on the line then, only the whole is told. Attacks
made here are tests/attacks.py, good traffic is recorded anew (tests/recordings). Each is replayed as in a box that has
run for a while, attacks as from outside, good traffic both ways.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.box.filter_files import read_filter
from appliance.box.offline_replay import NativeReplay
from appliance.cli.inside import read_networks
from appliance.datapath.captures import Capture, tell_directions
from hooks.contracts.contract import Verdict
from tests.attacks import BEYOND, attack_capture, attacks
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.captures import SHARED
from tests.recordings.line import NETWORKS
from tests.recordings.recorded_attacks import RECORDED_ATTACKS, share_of_the_attack
from tests.recordings.registry import RECORDINGS

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "configs" / "rulesets" / "default.yaml"
ATTACKS, GOOD = Target(Compared.VALUE, at_least=99), Target(Compared.VALUE, at_most=0.1)
PASSING = {"established", "established-icmp-fragments", "policy", "allowlist"}


def main(bench: Bench) -> Iterator[Figure]:
    rules = bench.folder / "running.yaml"
    rules.write_text(f"include: [{DEFAULT}]\nconnections: {{grace: 0}}\n")
    capture = bench.folder / "defence.pcap"
    spec = read_filter(rules)
    with NativeReplay(spec) as from_outside:
        for name, attack in RECORDED_ATTACKS.items():
            if not (SHARED / name).is_file():
                yield Figure(f"attack, {name}", None, "%", remark=f"there is none in {SHARED.resolve()}")
                continue
            share, frames = share_of_the_attack(from_outside, SHARED / name, attack)
            whole = _judged(from_outside, SHARED / name, f"of all frames of {name}", None, lambda _: None)
            yield Figure(f"attack, {name}", 100 * share, "%", target=ATTACKS, remark=f"{frames} frames")
            yield whole
        for name in attacks():
            attack_capture(name, capture)
            target = None if name in BEYOND else ATTACKS
            yield _judged(from_outside, capture, f"attack, {name}", target, lambda _: None)
    with NativeReplay(spec, two_ways=True) as in_line:
        for name, recording in RECORDINGS.items():
            if missing := [each for each in recording.needs if not shutil.which(each)]:
                yield Figure(f"good, {name}", None, "%", remark=f"there is no {', '.join(missing)}")
                continue
            recording.write(capture)
            yield _judged(in_line, capture, f"good, {name}", None, _both_ways)
    capture.unlink(missing_ok=True)


def _both_ways(capture: Capture) -> None:
    tell_directions(capture, read_networks(NETWORKS))


def _judged(
    replay: NativeReplay, path: Path, name: str, target: Target | None, prepare: Callable[[Capture], None]
) -> Figure:
    """The share of a recording's frames that fell, and by which rules."""
    before = replay.rule_counts()
    with Capture(path) as capture:
        prepare(capture)
        result = replay.replay(capture)
    counts = {rule: count.packets - before[rule].packets for rule, count in replay.rule_counts().items()}
    by_rule = ", ".join(f"{rule} {count}" for rule, count in counts.items() if count and rule not in PASSING)
    share = 100 * result.verdicts[Verdict.DROP].packets / max(result.frames.packets, 1)
    return Figure(name, share, "%", target=target, remark=f"{result.frames.packets} frames; {by_rule or 'none fell'}")

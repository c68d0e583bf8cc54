"""Random rule sets over random frames: what the compiled program decides and counts, and what a plain walk through the
rules does (`appliance.rules.walk`).

Run: python -m tests.fuzz rules [--seconds S] [--seed N]

Frames come from both directions, at moments that rates and retransmission tests make something of. A find is printed
with its seed, the frame and the rules.
"""

from __future__ import annotations

import random
import struct
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain

from appliance.box.decisions import DecisionReplay
from appliance.box.dissection import Dissection
from appliance.box.filter_spec import FilterSpec
from appliance.box.offline_replay import ENGINES
from appliance.closeable import Closeable
from appliance.datapath.captures import FRAME, Capture
from appliance.datapath.layout import VERDICTS, ReplayFrame
from appliance.errors import TidegateError
from appliance.rules import RuleSet, compile_rule_set
from appliance.rules.analysis import find_unreached
from appliance.rules.model import Direction
from appliance.rules.tunnels import Tunnels
from appliance.rules.walk import Judgement, Outcome, Walk
from appliance.rules.walk.words import reason
from tests.fuzz.rule_sets import FILE, TUNNELS, random_frame, random_rule_set

FRAMES = 5000  # of one rule set
EXPLAINED = 100  # of them
LOGGED = 4  # of so many rule sets one, whose log of decisions is tried as well
SETS = 2  # in one process, between two looks at the clock
WAYS = (Direction.IN, Direction.OUT)


class Dissections(Closeable):
    """A dissection for each way to open tunnels, loaded when it is first asked for. For one thread."""

    def __init__(self) -> None:
        self._known: dict[Tunnels | None, Dissection] = {}

    def of(self, tunnels: Tunnels | None) -> Dissection:
        if tunnels not in self._known:
            self._known[tunnels] = Dissection((), tunnels)
        return self._known[tunnels]

    def close(self) -> None:
        for dissection in self._known.values():
            dissection.close()


def random_capture(chance: random.Random, frames: int) -> Capture:
    """Frames of both directions, at growing times; some come again soon."""
    made: list[bytes] = []
    for _ in range(frames):
        made.append(chance.choice(made[-20:]) if made and chance.random() < 0.3 else random_frame(chance))
    capture, now = Capture.of(made, "random"), 10**9
    for number in range(frames):
        now += chance.choice((0, 1, 10**5, 10**6, 6 * 10**8))
        start = number * FRAME.size
        struct.pack_into("=I", capture.table, start + ReplayFrame.program.offset, chance.randrange(2))
        struct.pack_into("=Q", capture.table, start + ReplayFrame.time_ns.offset, now)
    return capture


def judged(chance: random.Random, capture: Capture, dissections: Dissections) -> tuple[RuleSet, list[Judgement]]:
    """A random rule set about the frames of a capture, and what the walk says of them."""
    tunnels = chance.choice(TUNNELS)
    dissection = dissections.of(tunnels)
    rules = random_rule_set(chance, list(dissection.frames(capture)), tunnels)
    return rules, walked(rules, capture, dissection)


def walked(rules: RuleSet, capture: Capture, dissection: Dissection) -> list[Judgement]:
    """What the walk says of every frame."""
    walk, judgements = Walk(rules), list[Judgement]()
    for number, (record, frame) in enumerate(zip(capture.records(), dissection.frames(capture), strict=True)):
        judgements.append(walk.judge(frame, WAYS[record.program], record.time_ns))
        if number < EXPLAINED:
            assert all(reason(step, frame) for step in judgements[-1].steps)
    return judgements


def disagreements(seed: int, dissections: Dissections, frames: int = FRAMES, engine: str = "jit") -> Iterator[str]:
    """What a compiled random rule set does otherwise than the walk."""
    chance = random.Random(seed)
    with random_capture(chance, frames) as capture:
        rules, judgements = judged(chance, capture, dissections)
        yield from unfounded(seed, rules, judgements)
        if seed % LOGGED == 0:
            yield from decided_otherwise(seed, rules, capture, judgements)
        spec = FilterSpec.of_rules(compile_rule_set(rules), FILE)
        with ENGINES[engine](spec, two_ways=True) as offline_replay:
            sequence = offline_replay.replay(capture).sequence
            counts = {id_: count.packets for id_, count in offline_replay.rule_counts().items() if count.packets}
        for number, (record, judgement) in enumerate(zip(capture.records(), judgements, strict=True)):
            if VERDICTS[sequence[number]].value != judgement.verdict.value:
                frame = capture.frame(record).hex()
                yield f"seed {seed}: frame {number} {frame}: {VERDICTS[sequence[number]]}, walk {judgement}\n{rules}"
                return
        expected = Counter(id_ for judgement in judgements for id_ in judgement.counted)
        if dict(expected) != counts:
            yield f"seed {seed}: counted {counts}, the walk {dict(expected)}\n{rules}"


def decided_otherwise(seed: int, rules: RuleSet, capture: Capture, judgements: list[Judgement]) -> Iterator[str]:
    """Frames of which the program's log names another rule than the walk."""
    spec = FilterSpec.of_rules(compile_rule_set(rules, with_log=True), FILE)
    with DecisionReplay(spec, two_ways=True) as logged:
        decisions = logged.decisions(capture)
    for number, (decision, judgement) in enumerate(zip(decisions, judgements, strict=True)):
        if (decision.by, decision.verdict.value) != (judgement.by, judgement.verdict.value):
            yield f"seed {seed}: frame {number}: the log says {decision}, the walk {judgement}\n{rules}"
            return


def unfounded(seed: int, rules: RuleSet, judgements: list[Judgement]) -> Iterator[str]:
    """Rules that `find_unreached` says decide nothing, and that decided."""
    findings = {finding.rule.id: finding for finding in find_unreached(rules, most_seconds=60).findings}
    done = (Outcome.DECIDED, Outcome.MONITORED, Outcome.COUNTED)
    for judgement in judgements:
        for step in judgement.steps:
            if step.outcome in done and step.rule.id in findings:
                yield f"seed {seed}: {findings[step.rule.id]}; it did\n{rules}"
                return


def _finds_from(seed: int) -> list[str]:
    with Dissections() as dissections:
        return [find for number in range(seed, seed + SETS) for find in _finds_of(number, dissections)]


def _finds_of(seed: int, dissections: Dissections) -> list[str]:
    """What is wrong with one rule set; that it isn't accepted is, too."""
    try:
        return list(disagreements(seed, dissections))
    except TidegateError as error:
        return [f"seed {seed}: {error}"]


def main(seconds: float, seed: int, least: int = 0) -> int:
    """Compare for that long, and at least so many frames; the number of finds."""
    first, finds, end = seed, 0, time.monotonic() + seconds
    with ProcessPoolExecutor() as processes:
        while time.monotonic() < end or (seed - first) * FRAMES < least:
            wave = range(seed, seed + 4 * SETS, SETS)
            for find in chain.from_iterable(processes.map(_finds_from, wave)):
                finds += 1
                print(find, flush=True)
            seed = wave.stop
    print(f"rules: {(seed - first) * FRAMES} frames through {seed - first} rule sets, {finds} finds", flush=True)
    return finds

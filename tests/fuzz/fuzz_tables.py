"""Random rules as tables in native code, against a plain walk through the list (`tables`): the verdict of every packet,
and the counts of every rule.

Run: python -m tests.fuzz tables [--seconds S] [--seed N]

Half of the sets make tables of as few rules as there are, so that a set has many.
"""

from __future__ import annotations

import random
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from unittest import mock

from appliance.box.filter_spec import FilterSpec
from appliance.box.offline_replay import ENGINES
from appliance.datapath.captures import Capture
from appliance.datapath.layout import VERDICTS
from appliance.rules import CompiledRules, RuleSet, compile_rule_set
from appliance.rules.classifier import plan
from appliance.rules.code.compile import PROGRAMS
from appliance.rules.model import Direction
from tests.fuzz.tables import FILE, random_packet, random_rule_set
from tests.rule_walk import Judgement, Packet, judged

PACKETS = 5000  # for each set, half of them in each direction
WAVE = 8  # sets between two looks at the clock
_PCAP = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)


def finds_of(seed: int, packets: int = PACKETS, size: int | None = None, engine: str = "jit") -> list[str]:
    """What is wrong with the set of that seed."""
    rules, chance = random_rule_set(seed, size), random.Random(~seed)
    with mock.patch.object(plan, "FEWEST", chance.choice((1, plan.FEWEST))):
        compiled = compile_rule_set(rules)
    found: list[str] = []
    for way in PROGRAMS:
        sent = [random_packet(chance, rules) for _ in range(packets // len(PROGRAMS))]
        verdicts, counts = replayed(compiled, [packet.frame() for packet in sent], way, engine)
        found += (f"seed {seed}, {way.value}: {each}" for each in differences(rules, way, sent, verdicts, counts))
    return found


def differences(
    rules: RuleSet, way: Direction, sent: Sequence[Packet], verdicts: Sequence[str], counts: Mapping[str, int]
) -> Iterator[str]:
    """What did not become of packets as the walk has it: the first of them, or counts if all verdicts are right."""
    expected = judged(rules, sent, way)
    for packet, wanted, verdict in zip(sent, expected, verdicts, strict=True):
        if verdict != wanted.verdict.value:
            yield f"{packet} is to {wanted.verdict.value}, counted by {wanted.counted}; it is {verdict}"
            return
    wanted_counts = _counts(expected)
    wrong = {name: (wanted_counts[name], count) for name, count in counts.items() if wanted_counts[name] != count}
    if wrong:
        yield f"counts that differ, wanted and found: {wrong}"


def _counts(judgements: Sequence[Judgement]) -> Counter[str]:
    return Counter(chain.from_iterable(each.counted for each in judgements))


def replayed(
    compiled: CompiledRules, frames: Sequence[bytes], way: Direction, engine: str
) -> tuple[list[str], Mapping[str, int]]:
    """Every frame once: its verdict, and what everything that counts has counted, by id."""
    filter_spec = replace(FilterSpec.of_rules(compiled, FILE), inward=PROGRAMS[way])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "packets.pcap"
        records = (struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame for frame in frames)
        path.write_bytes(b"".join((_PCAP, *records)))
        with Capture(path) as capture, closing(ENGINES[engine](filter_spec)) as replay:
            result = replay.replay(capture)
            counts = {name: count.packets for name, count in replay.rule_counts().items()}
    return [VERDICTS[verdict].value for verdict in result.sequence], counts


def main(seconds: float, seed: int, least: int = 0) -> int:
    """Compare for so long, and at least so many packets; the number of finds."""
    first, finds, end = seed, 0, time.monotonic() + seconds
    with ProcessPoolExecutor() as processes:
        while time.monotonic() < end or (seed - first) * PACKETS < least:
            for find in chain.from_iterable(processes.map(finds_of, range(seed, seed + WAVE))):
                finds += 1
                print(find, flush=True)
            seed += WAVE
    print(f"tables: {(seed - first) * PACKETS} packets through {seed - first} sets, {finds} finds", flush=True)
    return finds

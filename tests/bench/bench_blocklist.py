"""A blocklist of a million prefixes beside an empty one: loading it, what a frame costs, and changing it under traffic.

The prefixes are as hard as can be: spread evenly over the addresses, and so are the sources of the frames, so that each
lookup reads memory that nothing else has read of late.
"""

from __future__ import annotations

import ipaddress
import json
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench.bench_forwarding import flooded
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.joins import tidegate
from tests.bench.measuring import alternate, medians

PREFIXES = 1_000_000
LENGTHS = (24, 28, 29, 32, 32, 32)
LENGTHS_OF_IPV6 = (32, 48, 48, 56, 64, 64, 128)
FULL, IPV6, EMPTY = "a million", "a million of IPv6", "empty list"
ROUNDS, SECONDS = 5, 1.0
LOADS = 3
ROOT = Path(__file__).resolve().parents[2]
RULES = """\
sets: {blocklist: {type: prefix, file: %s}}
rules: [{id: blocklist, match: {ip.src: "@blocklist"}, action: count}]
"""


def main(bench: Bench) -> Iterator[Figure]:
    full, empty = _rules(bench.folder, "full", _prefixes()), _rules(bench.folder, "empty", "")
    ipv6 = _rules(bench.folder, "ipv6", _ipv6_prefixes())
    loads = alternate(LOADS, {FULL: lambda: _child(full), IPV6: lambda: _child(ipv6), EMPTY: lambda: _child(empty)})
    for who, what in ((FULL, "a million prefixes"), (IPV6, "a million IPv6 prefixes")):
        yield from _loading(what, loads[who], loads[EMPTY])
    yield _forwarding(bench, full, empty)
    figures = _child(full, empty)
    yield from _program(figures["frames"])
    yield from _changes(figures)


def _prefixes() -> str:
    choice, found = random.Random(7), set[tuple[int, int]]()
    while len(found) < PREFIXES:
        length = choice.choice(LENGTHS)
        found.add((choice.randrange(1 << 24, 223 << 24) >> (32 - length) << (32 - length), length))
    return "".join(f"{'.'.join(map(str, address.to_bytes(4, 'big')))}/{length}\n" for address, length in sorted(found))


def _ipv6_prefixes() -> str:
    choice, found = random.Random(8), set[tuple[int, int]]()
    while len(found) < PREFIXES:
        length = choice.choice(LENGTHS_OF_IPV6)
        address = 0b001 << 125 | choice.getrandbits(125)  # global unicast
        found.add((address >> (128 - length) << (128 - length), length))
    return "".join(f"{ipaddress.IPv6Address(address)}/{length}\n" for address, length in sorted(found))


def _rules(folder: Path, name: str, text: str) -> Path:
    (folder / f"{name}.txt").write_text(text)
    path = folder / f"{name}.yaml"
    path.write_text(RULES % f"{name}.txt")
    return path


def _child(*rules: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.blocklist", *map(str, rules)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    return dict(json.loads(done.stdout))


def _loading(what: str, full: list[dict[str, Any]], empty: list[dict[str, Any]]) -> Iterator[Figure]:
    seconds = {FULL: [each["seconds"] for each in full], EMPTY: [each["seconds"] for each in empty]}
    yield Figure(
        name=f"blocklist of {what}, read, compiled, loaded",
        value=statistics.median(seconds[FULL]),
        unit="s",
        peer=EMPTY,
        peer_value=statistics.median(seconds[EMPTY]),
        target=Target(Compared.VALUE, at_most=3),
        samples=seconds,
    )
    most = {who: [each["memory"]["most"] / 1e6 for each in loads] for who, loads in ((FULL, full), (EMPTY, empty))}
    yield Figure(
        name="the same, resident memory at most",
        value=statistics.median(most[FULL]),
        unit="MB",
        peer=EMPTY,
        peer_value=statistics.median(most[EMPTY]),
        target=Target(Compared.DIFFERENCE, at_most=200),
        samples=most,
    )


def _forwarding(bench: Bench, full: Path, empty: Path) -> Figure:
    """A frame through a whole box, which is flooded with small frames from ever other sources."""
    with ExitStack() as open_:
        boxes = {who: open_.enter_context(tidegate(bench, rules)) for who, rules in ((FULL, full), (EMPTY, empty))}
        rates = alternate(
            ROUNDS, {who: lambda box=box: flooded(bench, box, bench.window(SECONDS)) for who, box in boxes.items()}
        )
    samples = {who: [1e9 / rate for rate in found] for who, found in rates.items()}
    middle = medians(samples)
    return Figure(
        name="blocklist of a million prefixes, a frame through the box",
        value=middle[FULL],
        unit="ns",
        peer=EMPTY,
        peer_value=middle[EMPTY],
        target=Target(Compared.RATIO, at_most=1.5),
        samples=samples,
    )


def _program(frames: dict[str, dict[str, list[float]]]) -> Iterator[Figure]:
    """What the program alone takes, which does nothing but look the source up."""
    for name, samples in frames.items():
        yield Figure(
            name=f"the same, the program alone, sources {name}",
            value=statistics.median(samples["full"]),
            unit="ns",
            peer=EMPTY,
            peer_value=statistics.median(samples["empty"]),
            samples=samples,
        )


def _changes(figures: dict[str, Any]) -> Iterator[Figure]:
    one = figures["one"]
    yield Figure(
        name="blocklist of a million prefixes, one entry in or out under traffic",
        value=one["median"] * 1e3,
        unit="ms",
        target=Target(Compared.VALUE, at_most=1),
        remark=f"99 of 100 in {one['p99'] * 1e3:.3f} ms",
    )
    difference = figures["difference"]
    yield Figure(
        name="the same, another list in its place, by difference, under traffic",
        value=difference["seconds"],
        unit="s",
        remark=f"{difference['removed']:,} entries out",
    )

"""What connection tracking costs a frame, and what ten million strangers do to a thousand honest connections.

The default rules with and without it, and with tracking alone: the same rules, no `ct.state` in them. One process, one
capture in memory, in turns. The connections are there before: how they begin, and the pages of a map's memory that are
made then, is paid once and not measured. Then the strangers: every frame of an address of its own, through the maps as
the default set has them; afterwards each honest connection goes on, or is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from appliance.box.filter_files import read_filter
from appliance.box.offline_replay import NativeReplay
from appliance.datapath.captures import Capture
from appliance.datapath.layout import INWARD
from appliance.datapath.replay import replay
from hooks.contracts.contract import Verdict
from tests.bench.connections import HONEST, Strangers, capture, honest, tcp, udp, write_rules_without
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.measuring import alternate, medians

DEFAULT = Path(__file__).resolve().parents[2] / "configs" / "rulesets" / "default.yaml"
PARTS = frozenset({"connections", "unasked"})
ROUNDS, OPENING, TURNS = 9, 2, 100
STRANGERS, CHUNK = 10_000_000, 200_000
WITH, WITHOUT, TRACKED = "with connections", "without", "tracked, not asked"


def main(bench: Bench) -> Iterator[Figure]:
    without = write_rules_without(bench.folder / "without.yaml", DEFAULT, PARTS)
    tracked = bench.folder / "tracked.yaml"
    tracked.write_text(without.read_text() + "\nconnections: {}\n")
    with ExitStack() as stack:
        opening = stack.enter_context(capture(honest(OPENING), "opening"))
        traffic = stack.enter_context(capture(honest(TURNS, OPENING), "honest"))
        sources = {WITH: DEFAULT, WITHOUT: without, TRACKED: tracked}
        loaded = {name: stack.enter_context(_load(path)) for name, path in sources.items()}
        samples = alternate(
            ROUNDS, {name: lambda each=each: _cost(each, opening, traffic) for name, each in loaded.items()}
        )
        costs = medians(samples)
        for name, what in ((TRACKED, "tracking alone"), (WITH, "default rules with connections")):
            yield Figure(
                name=f"{what}, time of a frame",
                value=costs[name],
                unit="ns",
                peer=WITHOUT,
                peer_value=costs[WITHOUT],
                target=Target(Compared.DIFFERENCE, at_most=25),
                samples={name: samples[name], WITHOUT: samples[WITHOUT]},
            )
        yield from _strangers(loaded[WITH])


def _load(path: Path) -> NativeReplay:
    return NativeReplay(read_filter(path), two_ways=True)


def _cost(loaded: NativeReplay, opening: Capture, traffic: Capture) -> float:
    """Nanoseconds of a frame of the connections that have been opened."""
    loaded.replay(opening)
    return 1e9 * replay(loaded._collection.engine, traffic).seconds / len(traffic)


def _strangers(loaded: NativeReplay) -> Iterator[Figure]:
    engine, maps = loaded._collection.engine, loaded._collection.maps
    with capture(honest(2), "honest") as begin, capture(_go_on(), "later") as later:
        loaded.replay(begin)
        strangers = Strangers(CHUNK)
        seconds = sum(replay(engine, strangers.change()).seconds for _ in range(STRANGERS // CHUNK))
        kept = replay(engine, later).verdicts[Verdict.PASS].packets
    held = {name: (len(maps[name]), maps[name].spec.max_entries) for name in ("flows", "openings")}
    assert all(count <= most for count, most in held.values())
    yield Figure(
        name="honest connections behind 10 million strangers",
        value=kept,
        unit=f"of {HONEST}",
        target=Target(Compared.VALUE, at_least=HONEST),
        remark=", ".join(f"{name} {count:,} of {most:,}" for name, (count, most) in held.items()),
    )
    yield Figure(name="a stranger's frame", value=1e9 * seconds / STRANGERS, unit="ns")


def _go_on() -> Iterator[tuple[int, bytes]]:
    """The next frame of each honest connection, from outside."""
    for number in range(HONEST):
        yield INWARD, udp(number, INWARD) if number % 10 == 0 else tcp(number, INWARD, 1200, 500, 0x10)

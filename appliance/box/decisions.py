"""Who decides each frame of a capture: a filter tried natively, with a log of what each frame counted last."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from appliance.box.filter_files import read_filter, read_rules
from appliance.box.filter_spec import FilterSpec
from appliance.box.state import begin_anew
from appliance.closeable import Closeable
from appliance.datapath.captures import Capture
from appliance.datapath.layout import VERDICTS
from appliance.datapath.replay import ReplayLoop, replay
from appliance.errors import SourceLine
from appliance.helpers.native.call import Clock
from appliance.jit.collection import Collection
from appliance.rules.actions import ends
from appliance.rules.code.compile import compile_rule_set
from appliance.rules.code.decision_log import BATCH, COUNTED, SEEN, STATES
from appliance.rules.code.layout import Counted
from appliance.rules.code.stages.flows import CLOCK
from appliance.rules.model import VERDICT_COUNTERS, Mode, RuleSet
from hooks.contracts.contract import Verdict

_ENTRY = struct.Struct("=Q")


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, and the id of the rule that decided, or one of VERDICT_COUNTERS; None for what nothing judges, and for
    an object's program. `where` is the rule's place."""

    verdict: Verdict
    by: str | None
    where: SourceLine | None = None


class DecisionReplay(Closeable):
    """A filter, loaded. For one thread."""

    def __init__(self, spec: FilterSpec, *, two_ways: bool) -> None:
        """Verify and compile; a rule set must have been compiled with its log. Raises InputRefused."""
        self._spec = spec
        outward = spec.outward if two_ways else None
        self._collection = Collection.load(
            spec.spec,
            programs=dict.fromkeys(filter(None, (spec.inward, outward))),
            clock=Clock.FRAME,
            loops=ReplayLoop(spec.hook, spec.inward, outward),
        )

    @classmethod
    def of_file(cls, path: Path, *, two_ways: bool) -> Self:
        """A rule set, a box or an object. Raises InputRefused."""
        rules = read_rules(path)
        if rules is None:
            return cls(read_filter(path), two_ways=two_ways)
        return cls.of_rules(rules, two_ways=two_ways)

    @classmethod
    def of_rules(cls, rules: RuleSet, *, two_ways: bool) -> Self:
        """A rule set, compiled with its log. Raises InputRefused."""
        return cls(FilterSpec.of_rules(compile_rule_set(rules, with_log=True), rules.file), two_ways=two_ways)

    def decisions(self, capture: Capture) -> list[Decision]:
        """Of every frame, in order. Begins with empty state."""
        begin_anew(self._collection.maps, self._spec.state_maps)
        if self._spec.rules is None:
            sequence = replay(self._collection.engine, capture).sequence
            return [Decision(VERDICTS[verdict], None) for verdict in sequence]
        counted = self._spec.rules.counted
        found: list[Decision] = []
        for start in range(0, len(capture), BATCH):
            stop = min(start + BATCH, len(capture))
            for name in (SEEN, COUNTED):
                self._collection.maps[name].reset()
            sequence = replay(self._collection.engine, capture, start, stop).sequence
            entries, _ = self._collection.maps[COUNTED].lookup_batch(stop - start)
            for verdict, (_, value) in zip(sequence, entries, strict=True):
                (index,) = _ENTRY.unpack(value)
                found.append(_decision(VERDICTS[verdict], counted[index - 1] if index else None))
        return found

    def states(self, capture: Capture, *, learns: bool) -> list[int]:
        """What connection tracking says of every frame, in order (values.CT_STATE). Begins with empty state; a box that
        `learns` has just started, and has its grace."""
        begin_anew(self._collection.maps, self._spec.state_maps)
        if learns:
            self._collection.maps[CLOCK].reset()
        found: list[int] = []
        for start in range(0, len(capture), BATCH):
            stop = min(start + BATCH, len(capture))
            for name in (SEEN, STATES):
                self._collection.maps[name].reset()
            replay(self._collection.engine, capture, start, stop)
            entries, _ = self._collection.maps[STATES].lookup_batch(stop - start)
            found += (_ENTRY.unpack(value)[0] for _, value in entries)
        return found

    def close(self) -> None:
        self._collection.close()


def _decision(verdict: Verdict, last: Counted | None) -> Decision:
    """What a frame counted last decided it, unless it is a rule that only counts."""
    if last is None or (last.id not in VERDICT_COUNTERS and (not ends(last.action) or last.mode is Mode.MONITOR)):
        return Decision(verdict, None)
    return Decision(verdict, last.id, last.where)


def connection_states(rules: RuleSet, capture: Capture, *, learns: bool = False) -> list[int]:
    """What connection tracking says of every frame; 0, untracked, where a rule set tracks none."""
    if rules.connections is None:
        return [0] * len(capture)
    with DecisionReplay.of_rules(rules, two_ways=True) as replayed:
        return replayed.states(capture, learns=learns)

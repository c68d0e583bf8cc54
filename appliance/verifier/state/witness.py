"""Who sees an exploration, for those that want to look at it: the states before every instruction.

    block at 7   trace 0   7: state   8: state   9: state          what came first
                 trace 1   7: state   8: state                     … and was refused at 8
                 trace 2   7: state   8: state   9: state          the join of all that came later

Nothing of it has a part in the proof, and `Verifier.verify` has no witness.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from appliance.verifier.state.inclusion import includes
from appliance.verifier.state.join import join
from appliance.verifier.state.state import State

# States of one kind that are kept by themselves at the start of a block; when more come, all are joined.
MOST_TRACES = 4


@dataclass(slots=True)
class Trace:
    """One path through a block: by instruction, the state before it. So many states, `joined`, have gone it.
    For one thread, that of the proof."""

    kind: Hashable
    states: dict[int, State] = field(default_factory=dict)
    joined: int = 1

    def see(self, index: int, state: State, fresh: Callable[[], int]) -> None:
        """The state goes the same path."""
        known = self.states.get(index)
        if known is None:
            seen = state.copy()
            seen.past = None
            self.states[index] = seen
        elif known.held_references() == state.held_references():
            self.states[index] = join(known, state, fresh)


@dataclass(slots=True)
class Sight:
    """What one exploration showed: by the first instruction of a block, its traces, and how many states came there.
    For one thread, that of the proof."""

    traces: dict[int, list[Trace]] = field(default_factory=dict)
    arrived: dict[int, int] = field(default_factory=dict)

    def walk(self, state: State, start: int, end: int, fresh: Callable[[], int]) -> Iterator[int]:
        """The instructions [start, end), while the state goes through them."""
        trace = self._trace(state, start, fresh)
        for index in range(start, end):
            if trace is not None:
                trace.see(index, state, fresh)
            yield index

    def copy(self) -> Sight:
        traces = {
            start: [Trace(trace.kind, trace.states.copy(), trace.joined) for trace in traces]
            for start, traces in self.traces.items()
        }
        return Sight(traces, self.arrived.copy())

    def take_back(self, before: Sight) -> None:
        """Whatever was seen since that copy was made."""
        self.traces, self.arrived = before.traces, before.arrived

    def _trace(self, state: State, start: int, fresh: Callable[[], int]) -> Trace | None:
        """The trace that the state follows; None if all that can be seen there is seen already."""
        self.arrived[start] = self.arrived.get(start, 0) + 1
        kind = (state.depth, state.held_references())
        traces = self.traces.setdefault(start, [])
        alike = [trace for trace in traces if trace.kind == kind]
        if any(includes(trace.states[start], state) for trace in alike):
            return None
        if len(alike) < MOST_TRACES and all(trace.joined == 1 for trace in alike):
            traces.append(Trace(kind))
            return traces[-1]
        first = alike[0]
        for other in alike[1:]:
            for index, seen in other.states.items():
                first.see(index, seen, fresh)
            first.joined += other.joined
            traces.remove(other)
        first.joined += 1
        return first


class Witness:
    """Keeps the sight of the exploration that the verdict is of: a program may be explored several times.
    For one thread, that of the proof."""

    def __init__(self) -> None:
        self._now = Sight()
        self.kept = Sight()

    def begin(self) -> Sight:
        """Another exploration."""
        self._now = Sight()
        return self._now

    def keep(self) -> None:
        """The last exploration decides, as far as is known yet."""
        self.kept = self._now

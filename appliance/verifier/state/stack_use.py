"""Who touches which bytes of the stack: every access that was allowed on any path, instruction or helper's argument.

function at 0   r10 - 64 … - 1  ┌───────────┬───────┬────────┬─────────┐
                                │ own: [64] │ own   │ shared │ own     │
                                └───────────┴───────┴────────┴─────────┘
own      touched through pointers into the frame of the function that runs, on every path: the JIT knows where it is
shared   touched by a callee or a callback too, or through a pointer that on another path points elsewhere
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from appliance.verifier.program import Extent, StackFacts


class StackRecorder:
    """Extents by (instruction, register with the pointer) and function, functions by their first instruction.
    For one thread, that of the proof."""

    def __init__(self) -> None:
        self._touched: dict[tuple[int, int], dict[int, Extent]] = {}
        self._foreign: set[tuple[int, int]] = set()

    def touch(self, place: tuple[int, int], function: int, own: bool, low: int, high: int) -> None:
        """Bytes [low, high) from r10 of a frame of `function`, which is that of the instruction if it is its `own`."""
        if not own:
            self._foreign.add(place)
        extents = self._touched.setdefault(place, {})
        known = extents.get(function, (low, high))
        extents[function] = min(known[0], low), max(known[1], high)

    def copy(self) -> StackRecorder:
        copy = StackRecorder()
        copy._touched = {place: extents.copy() for place, extents in self._touched.items()}
        copy._foreign = self._foreign.copy()
        return copy

    def touched(self, index: int, register: int, function: int) -> Iterator[Extent]:
        """What the instruction touched of the frames of that function, through the pointer in that register."""
        extents = self._touched.get((index, register), {})
        if function in extents:
            yield extents[function]

    def foreign(self, function: int) -> Iterator[Extent]:
        """What was touched of the frames of that function by what it called."""
        for place in self._foreign:
            yield from self.touched(*place, function)

    def facts(self, always_stack: Callable[[int, int], bool]) -> StackFacts:
        """What holds of all paths; `always_stack(instruction, register)`: no path has another pointer there."""
        own: dict[tuple[int, int], Extent] = {}
        shared: dict[int, list[Extent]] = {}
        for place, extents in self._touched.items():
            if place in self._foreign or not always_stack(*place):
                for function, extent in extents.items():
                    shared.setdefault(function, []).append(extent)
            else:
                own[place] = min(low for low, _ in extents.values()), max(high for _, high in extents.values())
        return StackFacts(own, {function: tuple(sorted(extents)) for function, extents in shared.items()})

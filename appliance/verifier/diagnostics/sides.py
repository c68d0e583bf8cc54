"""The sides of branches that our path did not take: which of their instructions set a place that is wanted where they
come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from appliance.ebpf.isa.instructions import FRAME_POINTER, Branch, CallHelper, Instruction, Register, Store
from appliance.ebpf.isa.opcodes import Condition
from appliance.helpers.kernel.prototypes import EVERY_PROTOTYPE
from appliance.helpers.prototypes import ArgumentKind
from appliance.verifier.budget import Budget
from appliance.verifier.control_flow import cfg
from appliance.verifier.control_flow.calls import runs_other_code
from appliance.verifier.control_flow.cfg import ControlFlowGraph
from appliance.verifier.domains.values import FRAME_DISTANCE
from appliance.verifier.exploration.origins import writes
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.partitions import Part, Place

MOST_BLOCKS = 64  # of a side that are looked at

_GIVE_BACK = frozenset({ArgumentKind.RECORD, ArgumentKind.HELD_SOCKET, ArgumentKind.RING_DYNPTR})
_ORDERS = frozenset({Condition.GT, Condition.GE, Condition.LT, Condition.LE})


class Later(NamedTuple):
    """What was wanted at the start of a block further on our path; `order` is when the walk back came there."""

    places: frozenset[Place]
    order: int


@dataclass(slots=True)
class Sides:
    """The graphs of the functions on the path, made when they are asked for. For one thread, that of the proof."""

    environment: Environment
    budget: Budget
    _graphs: dict[int, ControlFlowGraph] = field(default_factory=dict)

    def other(self, function: int, block: int, *, taken: bool) -> int:
        """The block on the side that a branch, the last of a block, did not take."""
        return self._graph(function).blocks[block].successors[0 if taken else 1]

    def setter(
        self, function: int, side: int, later: Mapping[int, Later], ranged: frozenset[Place]
    ) -> tuple[int, Place] | None:
        """The first instruction on the side that begins with block `side` which sets a place that is wanted where the
        side comes back to our path, or gives back what is held; and the place. `ranged` are the places that are
        pointers into memory of unknown length."""
        blocks, meets = self._explored(function, side, later)
        graph = self._graph(function)
        wanted = frozenset[Place]().union(*(later[meet].places for meet in meets))
        held = next((place for at in later.values() for place in at.places if place.part is Part.HELD), None)
        back = self._leading_back(graph, blocks, meets)
        for number in sorted(blocks):
            block = graph.blocks[number]
            for index in range(block.start, block.end):
                instruction = self.environment.spec.instructions[index]
                if held is not None and self._gives_back(instruction):
                    return index, held
                if number not in back:
                    continue
                for place in sorted(wanted):
                    if _sets(instruction, place, ranged=place in ranged):
                        return index, place
        return None

    def meets(self, function: int, side: int, later: Mapping[int, Later]) -> frozenset[int]:
        """Where the side comes back to our path."""
        return self._explored(function, side, later)[1]

    def _explored(self, function: int, side: int, later: Mapping[int, Later]) -> tuple[frozenset[int], frozenset[int]]:
        """The side's blocks, and where they come back."""
        graph = self._graph(function)
        blocks: set[int] = set()
        meets: set[int] = set()
        pending = [side]
        while pending and len(blocks) < MOST_BLOCKS:
            number = pending.pop()
            if number in later:
                meets.add(number)
            elif number not in blocks:
                blocks.add(number)
                pending += graph.blocks[number].successors
        return frozenset(blocks), frozenset(meets)

    def _leading_back(self, graph: ControlFlowGraph, blocks: frozenset[int], meets: frozenset[int]) -> frozenset[int]:
        """Those of the side's blocks from which our path is reached again."""
        back = set(meets)
        while more := {n for n in blocks - back if not back.isdisjoint(graph.blocks[n].successors)}:
            back |= more
        return frozenset(back)

    def _graph(self, function: int) -> ControlFlowGraph:
        graph = self._graphs.get(function)
        if graph is None:
            ends = partial(runs_other_code, self.environment.platform.helpers)
            graph = self._graphs[function] = cfg.build(self.environment.spec.instructions, self.budget, function, ends)
        return graph

    def _gives_back(self, instruction: Instruction) -> bool:
        if not isinstance(instruction, CallHelper):
            return False
        prototype = EVERY_PROTOTYPE.get(self.environment.platform.helpers.get(instruction.helper, ""))
        if prototype is None:
            return False
        return prototype.name == "spin_unlock" or not _GIVE_BACK.isdisjoint(prototype.arguments)


def _sets(instruction: Instruction, place: Place, *, ranged: bool) -> bool:
    """Whether it sets the place or, for what is ranged, shows how much of the memory there is."""
    if (place.part is Part.RANGE or ranged) and isinstance(instruction, Branch):
        return isinstance(instruction.source, Register) and instruction.condition in _ORDERS
    if place.part is Part.REGISTER:
        return writes(instruction, place.at) and not isinstance(instruction, CallHelper)
    if place.part is Part.STACK and isinstance(instruction, Store) and instruction.base == FRAME_POINTER:
        low = place.at + -place.at // FRAME_DISTANCE * FRAME_DISTANCE
        return instruction.offset < low + place.size and low < instruction.offset + instruction.size
    return False

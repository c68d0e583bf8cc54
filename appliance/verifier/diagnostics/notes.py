"""What is found on the path back from a rejection: causes, each told once, with the words for what they did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from appliance.ebpf.isa.instructions import CallHelper, Instruction, slot_numbers
from appliance.helpers.kernel.prototypes import EVERY_PROTOTYPE
from appliance.verifier.diagnostics.words import name_of, said_of
from appliance.verifier.reports.path import Role
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.partitions import Part, Place
from appliance.verifier.state.state import State


class Cause(NamedTuple):
    """What the instruction at `place` did, an index."""

    place: int
    role: Role
    effect: str


class Notes:
    """Causes in the order in which they are met: the last one on the path first. `order` is how many visits were gone
    through; `written` remembers which instruction wrote a place, and when. For one thread, that of the proof."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.instructions: Sequence[Instruction] = environment.spec.instructions
        self.slots = slot_numbers(self.instructions)
        self.order = 0
        self.written: list[tuple[int, int, Place]] = []
        self._causes: dict[tuple[int, Role], Cause] = {}

    def note(self, index: int, role: Role, effect: str) -> None:
        """Told once, for the last time that it happened on the path."""
        self._causes.setdefault((index, role), Cause(index, role, effect))

    def causes(self) -> tuple[Cause, ...]:
        """In the order of the path."""
        return tuple(reversed(self._causes.values()))

    def write(self, index: int, place: Place) -> None:
        """The instruction wrote the place."""
        self.written.append((self.order, index, place))

    def said(self, place: Place, state: State) -> str:
        """The place and what it holds."""
        return said_of(self.environment, place, state)

    def dead(self, place: Place, before: State) -> str:
        """What was there, and is no more."""
        held = "held" if place.part is Part.STACK else "was"
        return f"{name_of(place, before)}, which {held} {place.value(before)}, {are(place)} dead"

    def destroyed(self, place: Place, before: State) -> str:
        """The same of a register that a call does not keep."""
        old = place.value(before)
        was = f", which was {old}," if old is not None else ""
        return f"{name_of(place, before)}{was} is lost: a call destroys r1 to r5"

    def unset(self, place: Place, state: State) -> str:
        """Why nothing is there at the start."""
        it = "them" if is_plural(place) else "it"
        return f"{name_of(place, state)} {are(place)} not set yet, and nothing sets {it} on this path"

    def helper(self, call: Instruction) -> str:
        """The name of a helper that is called."""
        number = call.helper if isinstance(call, CallHelper) else 0
        prototype = EVERY_PROTOTYPE.get(self.environment.platform.helpers.get(number, ""))
        return prototype.name if prototype is not None else str(number)

    def function(self, entry: int) -> str:
        """The name of a function of the program."""
        return self.environment.spec.functions.get(entry, f"the function at slot {self.slots[entry]}")

    def at(self, index: int) -> str:
        """Another instruction: its slot, and its line if there is one."""
        line = self.environment.spec.line_of(index)
        return f"slot {self.slots[index]}" + (f" ({line})" if line is not None else "")


def is_plural(place: Place) -> bool:
    """Whether a person would speak of several things."""
    return place.part is Part.STACK and place.size > 1


def are(place: Place) -> str:
    """The verb."""
    return "are" if is_plural(place) else "is"

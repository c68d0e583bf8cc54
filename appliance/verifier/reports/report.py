"""How a rejection is told: fields first, words at the edge.

Violation     raised where a demand is not met: the demand and a hint, in words
Report        the same with its place: program, instruction, source line, state
Rejected      what the user gets; Unsupported if the program may be honest, but needs what is not there yet
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.errors import InputRefused, SourceLine
from appliance.verifier.reports.path import Step, told
from appliance.verifier.reports.rejections import Rejection


class Violation(Exception):
    """A demand that the state at hand does not meet. Stays inside this room. `registers` are those that it is about, if
    the instruction reads others, too."""

    def __init__(
        self,
        kind: Rejection,
        demand: str,
        hint: str | None = None,
        *,
        unsupported: bool = False,
        registers: tuple[int, ...] = (),
    ) -> None:
        super().__init__(demand)
        self.kind = kind
        self.demand = demand
        self.hint = hint
        self.unsupported = unsupported
        self.registers = registers


@dataclass(frozen=True, slots=True)
class Report:
    """One rejection of that `kind`. `index` counts instructions, `slot` counts 8-byte slots: listings show slots.

    `known` says what is in the registers that the instruction reads, as (name, words). `path` is one path from the
    program's start to the instruction, as indices of instructions; empty if there was no exploration. `steps` are those
    instructions on the path that have a part in what is wrong, in their order: where the value at fault was made,
    changed, bounded or lost. If a budget was spent, they are the branches that the states came from, wherever they are.
    """

    kind: Rejection
    program: str
    section: str
    index: int
    slot: int
    text: str
    source: SourceLine | None
    demand: str
    known: tuple[tuple[str, str], ...] = ()
    hint: str | None = None
    path: tuple[int, ...] = ()
    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        """The message: place and demand, the instruction, what is known, the path there, the hint, the page."""
        place = str(self.source) if self.source is not None else f"program `{self.program}`"
        lines = [f"{place}: {self.demand}"]
        if self.text:
            lines.append(f"  at slot {self.slot} of `{self.program}`: {self.text}")
        if self.source is not None and self.source.text:
            lines.append(f"  source: {self.source.text.strip()}")
        if self.known:
            lines.append("  known: " + "; ".join(f"{name} is {words}" for name, words in self.known))
        if self.steps:
            lines.append("  how it came to that:")
            lines.extend(f"    {line}" for line in told(self.steps))
        if self.hint is not None:
            lines.append(f"  hint: {self.hint}")
        lines.append(f"  see: {self.kind.page}, or: {self.kind.command}")
        return "\n".join(lines)


class Rejected(InputRefused):
    """The program is not proved safe. `report` says why."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.demand, where=report.source, hint=report.hint)
        self.report = report

    def __str__(self) -> str:
        return str(self.report)


class Unsupported(Rejected):
    """The program may well be honest, but it uses something that this verifier does not prove yet."""

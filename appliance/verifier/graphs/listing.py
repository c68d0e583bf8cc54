"""The listing of a program with what is known before every instruction.

block at slot 4, from 1 and 3; 2 states came here
           r1: a pointer to the packet; packet: 14 bytes are inside        the whole state
; f.c:12: if (eth->h_proto == …)
     4: r2 = *(u16 *)(r1 + 12)
           r2: 0 to 65535                                                   what changed
-->  5: r3 = *(u8 *)(r1 + 14)
rejected: reads byte 14 past `data`, but …
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from appliance.ebpf.isa.instructions import slot_numbers
from appliance.verifier.control_flow import cfg
from appliance.verifier.explanation import Explanation
from appliance.verifier.graphs.facts import changes, facts
from appliance.verifier.graphs.layout import DrawnBlock, DrawnFunction, functions, text_of
from appliance.verifier.state.witness import Trace

MARK = "-->"
WIDTH = 120
INDENT = " " * 12
MOST_STATES = 8  # shown at one point


def lines(explanation: Explanation) -> Iterator[str]:
    """The lines of the listing, one after the other: a long program is shown while it is written."""
    yield from _Listing(explanation).lines()


class _Listing:
    def __init__(self, explanation: Explanation) -> None:
        self._explanation = explanation
        self._spec = explanation.spec
        self._slots = slot_numbers(explanation.spec.instructions)
        self._sight = explanation.sight
        self._quoted: tuple[str, int] | None = None
        self._outside = cfg.outside_target(explanation.spec.instructions) is not None

    def lines(self) -> Iterator[str]:
        drawn = functions(self._explanation)
        for function in drawn:
            if len(drawn) > 1:
                yield f"\nfunction {function.name}"
            came_from = _predecessors(function)
            for block in function.blocks:
                yield from self._block(block, came_from.get(block.start, []))
        rejected = self._explanation.rejected
        if rejected is not None and rejected.report.index >= len(self._spec.instructions):
            yield self._explanation.complaint

    def _block(self, block: DrawnBlock, came_from: list[int]) -> Iterator[str]:
        traces = self._sight.traces.get(block.start, [])
        yield f"\n{self._heading(block, came_from)}"
        known: dict[int, Mapping[str, str]] = {}
        for index in range(block.start, block.end):
            yield from self._states(traces[:MOST_STATES], index, known)
            yield from self._instruction(index)

    def _heading(self, block: DrawnBlock, came_from: list[int]) -> str:
        words = f"block at slot {self._slots[block.start] if self._slots else 0}"
        if came_from:
            words += f", from {' and '.join(str(self._slots[index]) for index in came_from)}"
        arrived = self._sight.arrived.get(block.start, 0)
        if not arrived:
            if not block.led_to and not self._outside:
                return f"{words}: nothing leads here"
            return f"{words}: {'not explored' if self._explanation.rejected is not None else 'never reached'}"
        if arrived > 1:
            words += f"; {arrived} states came here"
        more = len(self._sight.traces[block.start]) - MOST_STATES
        return words + (f", {more} kinds of them are not shown" if more > 0 else "")

    def _states(self, traces: list[Trace], index: int, known: dict[int, Mapping[str, str]]) -> Iterator[str]:
        """What each trace has before the instruction: all of it, or how it differs from before the last one."""
        for number, trace in enumerate(traces):
            state = trace.states.get(index)
            if state is None:
                continue
            now = facts(state)
            first = number not in known
            said = [f"{place}: {words}" for place, words in now.items()] if first else changes(known[number], now)
            known[number] = now
            name = f"state {number + 1}: " if len(traces) > 1 else ""
            if name and first and trace.joined > 1:
                name = f"state {number + 1}, of {trace.joined} joined: "
            if said:
                yield from _wrapped(name, said)

    def _instruction(self, index: int) -> Iterator[str]:
        line = self._spec.lines.get(index)
        if line is not None and (line.file, line.line) != self._quoted:
            yield f"; {line}: {line.text.strip()}" if line.text else f"; {line}"
            self._quoted = line.file, line.line
        rejected = self._explanation.rejected
        failing = rejected is not None and rejected.report.index == index
        text = text_of(self._explanation, index, self._slots)
        yield f"{MARK if failing else '':3}{self._slots[index]:6}: {text}"
        if failing:
            yield self._explanation.complaint


def _predecessors(function: DrawnFunction) -> dict[int, list[int]]:
    """By first instruction of a block, those of the blocks that lead to it."""
    came_from: dict[int, list[int]] = {}
    for block in function.blocks:
        for following in block.successors:
            came_from.setdefault(following, []).append(block.start)
    return came_from


def _wrapped(name: str, said: list[str]) -> Iterator[str]:
    """Facts, one behind the other while they fit into a line."""
    line = INDENT + name
    for number, fact in enumerate(said):
        text = fact if number == len(said) - 1 else f"{fact}; "
        if number and len(line) + len(text) > WIDTH:
            yield line.rstrip()
            line = f"{INDENT}  "
        line += text
    yield line

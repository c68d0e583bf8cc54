"""The control-flow graph in Graphviz's language: `tidegate verify --dot OBJ | dot -Tsvg > graph.svg`.

A node is a basic block with its listing, an edge a step from one to the next, with the branch's condition; a function
is a cluster, a call a dashed edge. Red is the path to a rejection, grey what is never reached.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from appliance.ebpf.isa.instructions import Branch, CallFunction, LoadFunction, slot_numbers
from appliance.verifier.explanation import Explanation
from appliance.verifier.graphs.layout import DrawnBlock, DrawnFunction, functions, text_of
from appliance.verifier.graphs.listing import MARK

_RED = 'color="red", penwidth=2'
_GREY = 'color="grey", fontcolor="grey"'
_FAILING = 'color="red", penwidth=2, style="filled", fillcolor="mistyrose"'


def draw(explanation: Explanation) -> str:
    """One `digraph`, named after the program."""
    return "\n".join(_Drawing(explanation).lines())


class _Drawing:
    def __init__(self, explanation: Explanation) -> None:
        self._explanation = explanation
        self._spec = explanation.spec
        self._slots = slot_numbers(explanation.spec.instructions)
        self._functions = functions(explanation)
        self._quoted: tuple[str, int] | None = None
        starts = [(block.start, block.end) for function in self._functions for block in function.blocks]
        self._block_of = {index: start for start, end in starts for index in range(start, end)}
        report = explanation.rejected.report if explanation.rejected is not None else None
        self._failing = report.index if report is not None else None
        path = report.path if report is not None else ()
        self._path = {(self._block_of[a], self._block_of[b]) for a, b in itertools.pairwise(path)}
        self._on_path = {self._block_of[index] for index in path}

    def lines(self) -> Iterator[str]:
        yield f"digraph {_quoted(self._spec.name)} {{"
        yield '  node [shape="box", fontname="monospace", fontsize=10];'
        yield '  edge [fontname="monospace", fontsize=10];'
        for number, function in enumerate(self._functions):
            yield f"  subgraph cluster_{number} {{"
            yield f"    label={_quoted(function.name)};"
            for block in function.blocks:
                yield f"    {self._name(block.start)} [label={self._listing(block)}{self._look(block)}];"
            yield "  }"
        for function in self._functions:
            yield from self._edges(function)
        yield "}"

    def _name(self, start: int) -> str:
        return f"slot_{self._slots[start]}" if self._slots else "slot_0"

    def _look(self, block: DrawnBlock) -> str:
        if self._failing is not None and block.start <= self._failing < block.end:
            return f", {_FAILING}"
        if block.start in self._on_path:
            return f", {_RED}"
        return "" if block.start in self._explanation.sight.arrived else f", {_GREY}"

    def _listing(self, block: DrawnBlock) -> str:
        """The node's text, its lines ended as Graphviz aligns them to the left."""
        lines = []
        for index in range(block.start, block.end):
            line = self._spec.lines.get(index)
            if line is not None and (line.file, line.line) != self._quoted:
                lines.append(f"; {line}: {line.text.strip()}" if line.text else f"; {line}")
                self._quoted = line.file, line.line
            failing = index == self._failing
            text = text_of(self._explanation, index, self._slots)
            lines.append(f"{MARK if failing else '':3}{self._slots[index]:6}: {text}")
            if failing:
                lines.append(self._explanation.complaint)
        return '"' + "".join(f"{_escaped(line)}\\l" for line in lines) + '"'

    def _edges(self, function: DrawnFunction) -> Iterator[str]:
        for block in function.blocks:
            last = block.end - 1
            for number, following in enumerate(block.successors):
                looks = []
                if len(block.successors) == 2:
                    looks.append(f"label={_quoted(self._condition(last, taken=number == 1))}")
                if (block.start, following) in self._path:
                    looks.append(_RED)
                elif not {block.start, following} <= self._explanation.sight.arrived.keys():
                    looks.append(_GREY)
                yield self._edge(block.start, following, looks)
            for index in range(block.start, block.end):
                called = self._spec.instructions[index]
                if isinstance(called, CallFunction | LoadFunction) and called.target in self._block_of:
                    words = "calls" if isinstance(called, CallFunction) else "takes its address"
                    red = [_RED] if (block.start, called.target) in self._path else []
                    yield self._edge(block.start, called.target, [f'label="{words}", style="dashed"', *red])

    def _edge(self, start: int, following: int, looks: list[str]) -> str:
        attributes = f" [{', '.join(looks)}]" if looks else ""
        return f"  {self._name(start)} -> {self._name(following)}{attributes};"

    def _condition(self, index: int, *, taken: bool) -> str:
        assert isinstance(self._spec.instructions[index], Branch)
        condition = text_of(self._explanation, index, self._slots).removeprefix("if ").partition(" goto ")[0]
        return condition if taken else f"not ({condition})"


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """What Graphviz would take for something else: quotes and backslashes, and characters that are no text."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')

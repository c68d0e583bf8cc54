"""Random programs that look a little like honest ones: packet, stack, map values, bounds, branches.

Each begins by loading the packet's ends (r7, r8), two unknown numbers (r2, r3) and a map value (r9); what follows is
drawn from the statements below and from `idioms`, so that about a third of the programs is safe.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.appliance.verifier.idioms import IDIOMS

_NUMBERS = ("r2", "r3", "r4")
_POINTERS = ("r5", "r7", "r9", "r1")
_CONSTANTS = (0, 1, 2, 3, 4, 7, 8, 13, 14, 15, 16, 20, 31, 32, 63, 64, 255, 256, 0xFFFF, -1, -8, 0x7FFFFFFF)
_IDIOMS = 0.12  # of the statements
_PROLOGUE = """
    r6 = r1
    r7 = *(u32 *)(r1 + 0)
    r8 = *(u32 *)(r1 + 4)
    r2 = *(u32 *)(r6 + 12)
    r3 = *(u32 *)(r6 + 16)
    r5 = r7
    *(u64 *)(r10 - 8) = r2
    *(u64 *)(r10 - 16) = 5
    r9 = map[globals][0] + 0 ll
    r4 = 3
"""


class _Generator:
    """Writes one program. Labels of branches and names of functions are counted, so that none is there twice."""

    def __init__(self, seed: int) -> None:
        self.pick = random.Random(seed)
        self._labels: dict[str, int] = {}
        self._count = 0
        self._out = "out"
        self._functions: list[str] = []
        self._inside = 0  # bodies and functions that are open

    def program(self) -> str:
        lines = [_PROLOGUE]
        if self.pick.random() < 0.7:
            lines.append(f"r5 += {self.pick.choice((8, 14, 20, 34))}; if r5 > r8 goto out")
        lines += self._statements(self.pick.randint(4, 22))
        return "\n".join([*lines, "out:", "r0 = 1", "exit", *self._functions])

    def label(self) -> str:
        self._count += 1
        return f"M{self._count}"

    def body(self, most: int) -> str:
        """Statements that have no idioms among them."""
        outer, self._labels = self._labels, {}
        self._inside += 1
        lines = self._statements(self.pick.randint(1, most))
        self._inside -= 1
        self._labels = outer
        return "; ".join(lines)

    def function(self, prologue: str, end: str) -> str:
        """Its statements have no idioms among them; where they leave early, the end is what they come to."""
        name, outer = self.label(), self._out
        self._out = f"{name}_out"
        self._functions += [f"{name}:", prologue, self.body(6), f"{self._out}:", end]
        self._out = outer
        return name

    def _statements(self, count: int) -> list[str]:
        lines = []
        for position in range(count):
            if not self._inside and self.pick.random() < _IDIOMS:
                lines.append(self.pick.choice(IDIOMS)(self))
            else:
                lines.append(self.pick.choices(self._STATEMENTS, self._WEIGHTS)[0](self, position))
            lines += [f"{label}:" for label, place in self._labels.items() if place == position]
            self._labels = {label: place for label, place in self._labels.items() if place > position}
        return [*lines, *(f"{label}:" for label in self._labels)]

    def _number(self) -> str:
        return self.pick.choice(_NUMBERS)

    def _pointer(self) -> str:
        return self.pick.choice(_POINTERS)

    def _halves(self, *words: str) -> list[str]:
        """Sometimes the 32-bit registers instead."""
        half = self.pick.random() < 0.4
        return [word.replace("r", "w") if half else word for word in words]

    def _operand(self, chance: float) -> str:
        return self._number() if self.pick.random() < chance else str(self.pick.choice(_CONSTANTS))

    def _arithmetic(self, position: int) -> str:
        op = self.pick.choice(("+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "s>>="))
        source = str(self.pick.randint(1, 31)) if op.endswith(("<<=", ">>=")) else self._operand(0.4)
        dst, source = self._halves(self._number(), "1" if source == "0" else source)
        return f"{dst} {op} {source}"

    def _mask(self, position: int) -> str:
        return f"{self._number()} &= {self.pick.choice((1, 3, 7, 8, 15, 16, 31))}"

    def _copy(self, position: int) -> str:
        dst, source = self._halves(self._number(), self._number())
        return f"{dst} = {source}"

    def _branch(self, position: int) -> str:
        condition = self.pick.choice(("==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&"))
        dst, source = self._halves(self._number(), self._operand(0.3))
        target = self._out
        if self.pick.random() < 0.5:
            target = self.label()
            self._labels[target] = position + self.pick.randint(1, 5)
        return f"if {dst} {condition} {source} goto {target}"

    def _move(self, position: int) -> str:
        return f"{self._pointer()} {self.pick.choice(('+=', '+=', '-='))} {self._operand(0.6)}"

    def _point(self, position: int) -> str:
        pointer = self._pointer()
        return self.pick.choice((f"{pointer} = r7", "r1 = r10; r1 += -16", f"{pointer} = {self._pointer()}"))

    def _compare(self, position: int) -> str:
        left, right = self.pick.choice((("r5", "r8"), ("r8", "r5"), ("r7", "r8"), ("r1", "r8")))
        return f"if {left} {self.pick.choice(('>', '>=', '<', '<=', '=='))} {right} goto {self._out}"

    def _place(self) -> str:
        return f"{self._pointer()} {self.pick.choice(('+ 0', '+ 1', '+ 4', '+ 8', '- 4', '+ 12'))}"

    def _load(self, position: int) -> str:
        return f"{self._number()} = *(u{self.pick.choice((8, 16, 32, 64))} *)({self._place()})"

    def _store(self, position: int) -> str:
        return f"*(u{self.pick.choice((8, 16, 32, 64))} *)({self._place()}) = {self._number()}"

    def _spill(self, position: int) -> str:
        number, pointer = self._number(), self._pointer()
        return self.pick.choice(
            (
                f"*(u64 *)(r10 - 16) = {number}",
                f"{number} = *(u64 *)(r10 - 8)",
                f"{number} = *(u{self.pick.choice((8, 16, 32))} *)(r10 - 14)",
                f"*(u32 *)(r10 - 12) = {number}",
                f"*(u64 *)(r10 - 16) = {pointer}; {pointer} = *(u64 *)(r10 - 16)",
            )
        )

    _STATEMENTS: tuple[Callable[[_Generator, int], str], ...] = (
        _arithmetic,
        _mask,
        _copy,
        _branch,
        _move,
        _point,
        _compare,
        _load,
        _store,
        _spill,
    )
    _WEIGHTS = (22, 12, 6, 20, 10, 5, 8, 10, 5, 5)


def random_program(seed: int) -> str:
    """The assembly of the program of that seed: always the same one."""
    return _Generator(seed).program()

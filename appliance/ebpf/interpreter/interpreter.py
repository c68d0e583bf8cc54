"""A program run step by step, with every access checked: the oracle of the tests, and an engine of its own."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.ebpf.interpreter.context import Context
from appliance.ebpf.interpreter.machine import ELSEWHERE, Code, Helper, Machine
from appliance.ebpf.interpreter.maps import InterpreterMap
from appliance.ebpf.interpreter.regions import Pointer, Region, describe
from appliance.ebpf.interpreter.steps import make_steps
from appliance.ebpf.interpreter.violation import Violation
from appliance.ebpf.isa.disassembler import statement
from appliance.ebpf.isa.instructions import slot_numbers
from appliance.ebpf.platform import PLATFORMS
from appliance.ebpf.spec import ProgramSpec
from appliance.errors import InputRefused, SourceLine

BUDGET = 1_000_000


class Fault(InputRefused):
    """A program did what no verified program does. `region` and `offset` are where, if it was an access."""

    def __init__(
        self, what: str, *, index: int, slot: int, statement: str, line: SourceLine | None, violation: Violation
    ) -> None:
        place = f"slot {slot} ({statement})"
        super().__init__(what, where=f"{line}: {place}" if line else place)
        self.index = index
        self.slot = slot
        self.statement = statement
        self.line = line
        self.region = violation.region
        self.offset = violation.offset


class Interpreter:
    """One program with its maps and helpers, to be run as often as wanted.

    `programs` are those that arrays of programs name: tail calls lead to them. For one thread at a time.
    """

    def __init__(
        self,
        program: ProgramSpec,
        maps: Mapping[str, InterpreterMap] | None = None,
        helpers: Mapping[str, Helper] | None = None,
        *,
        programs: Mapping[str, ProgramSpec] | None = None,
        budget: int = BUDGET,
    ) -> None:
        """`helpers` go by name; the program's hook says which platform numbers them. `budget` limits the instructions
        of one run."""
        self.program = program
        self._maps = maps or {}
        given, numbers = helpers or {}, PLATFORMS[program.hook.platform].at(program.hook).helpers
        self._helpers = {number: (name, given[name]) for number, name in numbers.items() if name in given}
        self._budget = budget
        self._code = Code(program, make_steps(program.instructions))
        self._programs = programs or {}
        self._codes: dict[str, Code] = {}

    def run(self, context: Context) -> int:
        """Run with r1 pointing to the hook's context. r0 at the end, 0 to 2**64 - 1. Raises Fault."""
        machine = self._machine(context)
        machine.registers[1] = Pointer(context, 0)
        return self._run(machine)

    def run_memory(self, memory: bytearray) -> int:
        """Run without a hook: r1 points to `memory`, which is writable, and r2 is its length. Raises Fault."""
        machine = self._machine(None)
        machine.registers[1] = Pointer(Region("the memory", memory), 0)
        machine.registers[2] = len(memory)
        return self._run(machine)

    def _machine(self, context: Context | None) -> Machine:
        return Machine(self._code, self._maps, self._helpers, context, self._find)

    def _find(self, name: str) -> Code:
        """A program that a tail call leads to."""
        if name not in self._programs:
            raise Violation(f"there is no program {name!r} here")
        if name not in self._codes:
            program = self._programs[name]
            self._codes[name] = Code(program, make_steps(program.instructions))
        return self._codes[name]

    def _run(self, machine: Machine) -> int:
        steps, index = self._code.steps, 0
        try:
            for _ in range(self._budget):
                following = steps[index](machine)
                if following >= 0:
                    index = following
                elif following == ELSEWHERE:
                    steps, index = machine.code.steps, machine.resume
                else:
                    return self._answer(machine)
            raise Violation(f"no end after {self._budget} instructions")
        except Violation as violation:
            raise _fault(machine.code.program, index, violation) from None

    @staticmethod
    def _answer(machine: Machine) -> int:
        answer = machine.registers[0]
        if not isinstance(answer, int):
            raise Violation(f"the program returns r0, which holds {describe(answer)}")
        return answer


def _fault(program: ProgramSpec, index: int, violation: Violation) -> Fault:
    instructions = program.instructions
    slots = slot_numbers(instructions)
    inside = index < len(instructions)
    return Fault(
        violation.what,
        index=index,
        slot=slots[index] if inside else sum(i.slots for i in instructions),
        statement=statement(instructions[index], slots, PLATFORMS[program.hook.platform].at(program.hook))
        if inside
        else "the end",
        line=program.line_of(index) if inside else None,
        violation=violation,
    )

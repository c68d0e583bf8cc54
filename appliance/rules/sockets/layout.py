"""Which maps a compiled guard has, and what their entries mean.

    guard_counters  per-CPU array   program × (rules + 2) + rule ── calls; then DEFAULT and UNKNOWN
    decided         LRU hash        thread (bpf_get_current_pid_tgid) ── which rule denied or redirected its last call
    callers         LRU hash        thread ── bits: which of the facts are true of it
    set4_… bits_…   sets too large for compares (rules.code.layout)

`callers` is there only if rules match `exe` or `cgroup`: whoever asks a program says before each call which facts are
true. Of a thread that nothing was said about, a program that needs to know denies the call (UNKNOWN).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.ebpf.map_types import MapType
from appliance.rules.code.bpf_module import MapShape
from appliance.rules.model import Mode
from appliance.rules.sockets.model import DEFAULT, UNKNOWN, Fact, GuardAction, GuardRules, Op

COUNTERS, DECIDED, CALLERS = "guard_counters", "decided", "callers"
MOST_THREADS = 4096  # whose calls wait at once
VERSIONS = (4, 6)
DECIDED_SHAPE = MapShape(MapType.LRU_HASH, 8, 4, MOST_THREADS)
CALLERS_SHAPE = MapShape(MapType.LRU_HASH, 8, 8, MOST_THREADS)


@dataclass(frozen=True, slots=True)
class Program:
    """One program: the calls of one kind about addresses of one family."""

    op: Op
    version: int

    @property
    def name(self) -> str:
        return f"{self.op.value}{self.version}"

    @property
    def section(self) -> str:
        return f"cgroup/{self.name}"


PROGRAMS = tuple(Program(op, version) for op in Op for version in VERSIONS)


@dataclass(frozen=True, slots=True)
class GuardCount:
    """A counter: of which rule, for which call, and what became of what it counts (`verdict`: the rule's action, or
    `monitored`). `indices` are its keys in `guard_counters`."""

    rule: str
    op: Op
    verdict: str
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CompiledGuard:
    """A guard as an object, and what an object can't say of itself.

    `object` is an ELF file with programs in sections cgroup/bind4 and so on. `rules` are the ids by the numbers in
    `decided`. `facts` are what the bits in `callers` mean: an engine that can't tell them can't run it. `contents` are
    the entries that its set maps must be given before a program runs.
    """

    object: bytes
    source: str
    programs: tuple[Program, ...]
    rules: tuple[str, ...]
    counts: tuple[GuardCount, ...]
    facts: tuple[Fact, ...]
    contents: Mapping[str, Sequence[tuple[bytes, bytes]]]

    @property
    def rule_count(self) -> int:
        """How many rules the document has."""
        return len(self.rules) - len((DEFAULT, UNKNOWN))


def programs_of(rules: GuardRules) -> tuple[Program, ...]:
    """The programs that the rules need."""
    return tuple(program for program in PROGRAMS if program.op in rules.ops)


def numbered(rules: GuardRules) -> tuple[str, ...]:
    """Ids in the order of their numbers."""
    return (*(rule.id for rule in rules.rules), DEFAULT, UNKNOWN)


def counter_index(rules: GuardRules, program: Program, number: int) -> int:
    """The key of a rule's counter in that program. Each has its own, as they run side by side."""
    return programs_of(rules).index(program) * (len(rules.rules) + 2) + number


def counts(rules: GuardRules) -> tuple[GuardCount, ...]:
    """Every counter that can count."""
    known = numbered(rules)
    ends = {rule.index: "monitored" if rule.mode is Mode.MONITOR else rule.action.value for rule in rules.rules}
    ends |= {len(rules.rules): rules.default.value, len(rules.rules) + 1: GuardAction.DENY.value}
    found = []
    for op in rules.ops:
        programs = [program for program in programs_of(rules) if program.op is op]
        here = {rule.index for rule in rules.rules if op in rule.ops} | {len(rules.rules)}
        for number in sorted(here | ({len(rules.rules) + 1} if rules.facts else set())):
            indices = tuple(counter_index(rules, program, number) for program in programs)
            found.append(GuardCount(known[number], op, ends[number], indices))
    return tuple(found)

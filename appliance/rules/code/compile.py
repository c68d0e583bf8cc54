"""A rule set to a portable eBPF object: two XDP programs that share their maps.

    tidegate_in    judges frames from outside: rules with direction in or both
    tidegate_out   judges frames from inside: rules with direction out or both

Neither has a loop. A direction without rules and policy passes everything, and reads only what the rules of the other
direction want to know of answers:

    parse ── addresses known ── allowlist? ─────────────────────────────────────> PASS
      │                                                                            ^
      ├── malformed ── count the reason ── PASS or DROP                            |
      v                                                                            |
    rule 0 ── matches? ── within its rate? ── monitored? count, go on ── action ───┤
      v                                                                            v
    rule n … ── policy ─────────────────────────────────────────────────────────> DROP

Registers and memory: the context is read once, at the start; behind the parser only numbers are alive. A decided frame
goes to a shared tail, with the index of its counter in `counter`. A map's key is written to the stack just before the
helper is called. The only memory that is written is the stack and map values.

A small set is one function. A large one is cut (`chain.cut`): the fields lie in a record on the stack, runs of rules
are functions that take its address, and what they answer is 0, to go on, or `counter << 8 | verdict`.
"""

from __future__ import annotations

import ctypes
import time

from llvmlite import ir

from appliance.errors import SourceLine
from appliance.ir import I32, I64, PTR
from appliance.rules.code import layout
from appliance.rules.code.bpf_module import BpfModule
from appliance.rules.code.chain import Chain, Shared
from appliance.rules.code.fields import Fields, FrameRecord
from appliance.rules.code.layout import CompiledRules
from appliance.rules.code.match import Matching
from appliance.rules.code.memory import write_keys
from appliance.rules.code.parser.cursor import Cursor
from appliance.rules.code.parser.parser import parse_frame
from appliance.rules.model import ALLOWLIST, MALFORMED, POLICY, Action, Direction, Mode, Rule, RuleSet
from hooks.contracts.contract import Verdict
from hooks.contracts.xdp import XDP_LINUX

SECTION = "xdp"
INWARD_PROGRAM, OUTWARD_PROGRAM = "tidegate_in", "tidegate_out"
PROGRAMS = {Direction.IN: INWARD_PROGRAM, Direction.OUT: OUTWARD_PROGRAM}
_VERDICTS = {Action.PASS: XDP_LINUX.number(Verdict.PASS), Action.DROP: XDP_LINUX.number(Verdict.DROP)}


def compile_rule_set(rules: RuleSet) -> CompiledRules:
    """Compile. Every rule set that `load_rule_set` gives has an object, the same bytes for the same set."""
    began = time.perf_counter()
    module = BpfModule(rules.texts)
    shared = Shared(module, rules)
    for way in PROGRAMS:
        _Program(shared, way).write()
    return CompiledRules(
        object=module.emit(),
        source=rules.file,
        counted=layout.counted(rules),
        contents=dict(shared.sets.contents),
        state_maps=dict(shared.states),
        seconds=time.perf_counter() - began,
    )


class _Program:
    """One direction's program being written."""

    def __init__(self, shared: Shared, way: Direction) -> None:
        self.shared = shared
        self.module = shared.module
        self.way = way
        defaults = shared.rules
        self.parts = [[rule for rule in part if rule.direction.covers(way)] for part in shared.parts]
        self.has_policy = way is Direction.IN or defaults.direction is not Direction.IN
        self.policy = defaults.policy if self.has_policy else Action.PASS
        self.is_monitored = defaults.mode is Mode.MONITOR
        self.judges = any(self.parts) or self.has_policy
        rules = defaults.rules
        self.watches = any(rule.retransmit and rule.direction.covers(way.opposite) for rule in rules)

    def write(self) -> None:
        functions = [self._part(number, part) for number, part in enumerate(self.parts) if part and self.shared.is_cut]
        code = self.module.program(PROGRAMS[self.way], SECTION)
        self.code = code
        if not self.judges and not self.watches:
            code.ret(_VERDICTS[Action.PASS])
            return
        self.counter = code.variable(I32, 0)
        block = code.function.append_basic_block
        self.tails = {Action.PASS: block("pass"), Action.DROP: block("drop")}
        self.malformed = block("malformed")
        record = code.buffer(ctypes.sizeof(FrameRecord)) if self.shared.is_cut else None
        self.fields = Fields.local(code) if record is None else Fields.inside(code, record)
        self.cursor = Cursor(code, self.fields, self._allowlist, self.malformed)
        parse_frame(self.cursor)
        write_keys(code, self.fields, [rule for part in self.parts for rule in part])
        chain = Chain(self.shared, code, self.fields, self._decide)
        chain.handshakes(self.way)
        if record is None:
            for rule in self.parts[0]:
                chain.rule(rule)
        for function in functions:
            self._call(function, record)
        self._policy()
        self._malformed()
        self._tails()

    def _part(self, number: int, rules: list[Rule]) -> ir.Function:
        """A run of rules as a function of its own: `rules_way_n(record) -> answer`."""
        code = self.module.subprogram(f"rules_{self.way.value}_{number}", inline=False, record=PTR)
        fields = Fields.inside(code, code["record"])
        chain = Chain(self.shared, code, fields, lambda action, index: code.ret(index << 8 | _VERDICTS[action]))
        for rule in rules:
            chain.rule(rule)
        code.ret(0)
        return code.function

    def _call(self, function: ir.Function, record: ir.Value) -> None:
        code = self.code
        answer = code.call(function, record)
        with code.if_(code.compare(answer, "!=", 0)):
            code.call(self.shared.count, code.resize(code.shr(answer, 8), I32), self.fields["length"])
            code.ret(code.resize(code.and_(answer, 0xFF), I32))

    def _allowlist(self, family: int) -> None:
        """Written where the addresses become known: what is on the list passes, whatever else is wrong with it."""
        allowed = self.shared.rules.allowlist
        ranges = allowed.v4 if family == 4 else allowed.v6
        if not ranges or not self.judges:
            return
        matching = Matching(self.module, self.code, self.fields, self.shared.sets)
        found, otherwise = matching.block("allowed"), matching.block("judged")
        matching.family("source" if self.way is Direction.IN else "destination", family, ranges, found, otherwise)
        self.code.builder.position_at_end(found)
        self._decide(Action.PASS, layout.verdict_index(self.shared.rules, ALLOWLIST))
        self.code.builder.position_at_end(otherwise)

    def _decide(self, verdict: Action, counter: int) -> None:
        self.counter.set(counter)
        self.code.builder.branch(self.tails[verdict])

    def _policy(self) -> None:
        code = self.code
        self.module.at(code, SourceLine(self.shared.rules.file, 1, 1))
        if not self.has_policy:
            code.ret(_VERDICTS[Action.PASS])
            return
        counter = layout.verdict_index(self.shared.rules, POLICY)
        if not self.is_monitored:
            self._decide(self.policy, counter)
            return
        with code.if_(code.compare(self.fields["monitored"], "!=", 0)):
            code.ret(_VERDICTS[Action.PASS])
        self._decide(Action.PASS, counter)

    def _malformed(self) -> None:
        code = self.code
        code.builder.position_at_end(self.malformed)
        if not self.has_policy:
            code.ret(_VERDICTS[Action.PASS])
            return
        key = code.buffer(4, align=4)
        code.store(self.cursor.reason.get(), key, align=4)
        value = self.module.helper(code, "map_lookup_elem", self.shared.errors, key)
        with code.if_(code.compare(code.integer(value), "!=", 0)):
            code.store(code.add(code.load(value, I64, align=8), 1), value, align=8)
        verdict = Action.PASS if self.is_monitored else self.shared.rules.malformed
        self._decide(verdict, layout.verdict_index(self.shared.rules, MALFORMED))

    def _tails(self) -> None:
        code = self.code
        for verdict, tail in self.tails.items():
            code.builder.position_at_end(tail)
            code.call(self.shared.count, self.counter.get(), self.fields["length"])
            code.ret(_VERDICTS[verdict])

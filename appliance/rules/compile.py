"""A rule set to a portable eBPF object: two XDP programs that share their maps.

    tidegate_in    judges frames from outside: rules with direction in or both
    tidegate_out   judges frames from inside: rules with direction out or both

Each is one function without loops:

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
"""

from __future__ import annotations

import time

from llvmlite import ir

from appliance.errors import InputRefused
from appliance.ir.code import I32, I64, Value
from appliance.rules import layout
from appliance.rules.bpf_module import BpfModule, MapShape
from appliance.rules.branching import Branching, Sets
from appliance.rules.frame import Frame
from appliance.rules.gates import Gates
from appliance.rules.layout import CompiledRules
from appliance.rules.limits import define_conforms
from appliance.rules.model import Action, Direction, Mode, Rule, RuleSet
from hooks.contract import Verdict
from hooks.xdp import XDP_LINUX

SECTION = "xdp"
INWARD_PROGRAM, OUTWARD_PROGRAM = "tidegate_in", "tidegate_out"
PROGRAMS = {Direction.IN: INWARD_PROGRAM, Direction.OUT: OUTWARD_PROGRAM}
MOST_INLINED = 64  # rules; a larger set calls what it would repeat, for BPF's jumps reach 32767 instructions far

_VERDICTS = {Action.PASS: XDP_LINUX.number(Verdict.PASS), Action.DROP: XDP_LINUX.number(Verdict.DROP)}


def compile_rule_set(rules: RuleSet) -> CompiledRules:
    """Compile. Raises RuleSetRefused if the set is too large for one program."""
    began = time.perf_counter()
    module = BpfModule(rules.texts)
    shared = _Shared(module, rules)
    for way in PROGRAMS:
        _Program(shared, way).write()
    try:
        data = module.emit()
    except RuntimeError as error:
        hint = "put addresses and ports into sets, or join rules"
        raise InputRefused(f"the rule set can't become one program: {error}", where=rules.file, hint=hint) from error
    return CompiledRules(
        object=data,
        source=rules.file,
        counted=layout.counted(rules),
        contents=dict(shared.sets.contents),
        state_maps=tuple(shared.states),
        seconds=time.perf_counter() - began,
    )


class _Shared:
    """What both programs use: maps and functions."""

    def __init__(self, module: BpfModule, rules: RuleSet) -> None:
        self.module = module
        self.rules = rules
        self.sets = Sets(module)
        self.states: dict[str, None] = {}  # names, in order
        self.counters = module.declare_map(layout.COUNTERS, layout.counters_shape(rules))
        self.errors = module.declare_map(layout.ERRORS, layout.errors_shape())
        inline = len(rules.rules) <= MOST_INLINED
        self.count = self._define_count(inline=inline)
        self.conforms = define_conforms(module, inline=inline)

    def state(self, kind: str, rule: Rule, shape: MapShape) -> Value:
        """A map of the rule's own, which a reload hands over."""
        name = layout.state_name(kind, rule)
        self.states[name] = None
        return self.module.declare_map(name, shape)

    def _define_count(self, *, inline: bool) -> ir.Function:
        """`count(index, bytes)` adds a frame to a counter."""
        code = self.module.subprogram("count", inline=inline, index=I32, bytes=I64)
        key = code.buffer(4, align=4)
        code.store(code["index"], key, align=4)
        value = self.module.helper(code, "map_lookup_elem", self.counters, key)
        with code.if_(code.compare(code.integer(value), "!=", 0)):
            code.field(value, layout.CounterValue, "packets").add(1)
            code.field(value, layout.CounterValue, "bytes").add(code["bytes"])
        code.ret(0)
        return code.function


class _Program:
    """One direction's program being written."""

    def __init__(self, shared: _Shared, way: Direction) -> None:
        self.shared = shared
        self.module = shared.module
        self.way = way
        self.rules = [rule for rule in shared.rules.rules if rule.direction.covers(way)]
        defaults = shared.rules
        self.has_policy = way is Direction.IN or defaults.direction is not Direction.IN
        self.policy = defaults.policy if self.has_policy else Action.PASS
        self.is_monitored = defaults.mode is Mode.MONITOR

    def write(self) -> None:
        code = self.module.program(PROGRAMS[self.way], SECTION)
        self.code = code
        if not self.rules and not self.has_policy:
            code.ret(_VERDICTS[Action.PASS])
            return
        self.counter = code.variable(I32, 0)
        self.monitored = code.variable(I32, 0)
        block = code.function.append_basic_block
        self.tails = {Action.PASS: block("pass"), Action.DROP: block("drop")}
        self.malformed = block("malformed")
        self.frame = Frame(code, self._allowlist, self.malformed)
        self.branching = Branching(self.module, code, self.frame, self.shared.sets)
        shared = self.shared
        self.gates = Gates(self.module, code, self.frame, self.branching, shared.state, shared.conforms)
        self.frame.parse()
        self.gates.prepare(self.rules)
        for rule in self.rules:
            self._rule(rule)
        self._policy()
        self._malformed()
        self._tails()

    # before the rules

    def _allowlist(self, frame: Frame, family: int) -> None:
        """Written where the addresses become known: what is on the list passes, whatever else is wrong with it."""
        allowed = self.shared.rules.allowlist
        ranges = allowed.v4 if family == 4 else allowed.v6
        if not ranges:
            return
        found, otherwise = self.branching.block("allowed"), self.branching.block("judged")
        side = "source" if self.way is Direction.IN else "destination"
        Branching(self.module, self.code, frame, self.shared.sets).family(side, family, ranges, found, otherwise)
        self.code.builder.position_at_end(found)
        self._decide(Action.PASS, layout.verdict_index(self.shared.rules, layout.ALLOWLIST))
        self.code.builder.position_at_end(otherwise)

    # rules

    def _rule(self, rule: Rule) -> None:
        code = self.code
        self.module.at(code, rule.where)
        following = self.branching.block("following")
        self.branching.conditions(rule.conditions, following)
        if rule.mode is Mode.MONITOR:
            self.branching.unless(code.compare(self.monitored.get(), "==", 0), following)
        self.gates.pass_through(rule, following)
        self._act(rule, following)
        code.builder.position_at_end(following)

    def _act(self, rule: Rule, following: ir.Block) -> None:
        if rule.action is not Action.COUNT and rule.mode is Mode.ENFORCE:
            self._decide(rule.action, rule.index)
            return
        self.code.call(self.shared.count, rule.index, self.frame["length"])
        if rule.action is not Action.COUNT:
            self.monitored.set(1)
        self.code.builder.branch(following)

    def _decide(self, verdict: Action, counter: int) -> None:
        self.counter.set(counter)
        self.code.builder.branch(self.tails[verdict])

    # the ends

    def _policy(self) -> None:
        code = self.code
        if not self.has_policy:
            code.ret(_VERDICTS[Action.PASS])
            return
        counter = layout.verdict_index(self.shared.rules, layout.POLICY)
        if not self.is_monitored:
            self._decide(self.policy, counter)
            return
        with code.if_(code.compare(self.monitored.get(), "!=", 0)):
            code.ret(_VERDICTS[Action.PASS])
        self._decide(Action.PASS, counter)

    def _malformed(self) -> None:
        code = self.code
        code.builder.position_at_end(self.malformed)
        if not self.has_policy:
            code.ret(_VERDICTS[Action.PASS])
            return
        key = code.buffer(4, align=4)
        code.store(self.frame.reason.get(), key, align=4)
        value = self.module.helper(code, "map_lookup_elem", self.shared.errors, key)
        with code.if_(code.compare(code.integer(value), "!=", 0)):
            code.store(code.add(code.load(value, I64, align=8), 1), value, align=8)
        verdict = Action.PASS if self.is_monitored else self.shared.rules.malformed
        self._decide(verdict, layout.verdict_index(self.shared.rules, layout.MALFORMED))

    def _tails(self) -> None:
        code = self.code
        for verdict, tail in self.tails.items():
            code.builder.position_at_end(tail)
            code.call(self.shared.count, self.counter.get(), self.frame["length"])
            code.ret(_VERDICTS[verdict])

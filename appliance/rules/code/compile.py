"""A rule set to a portable eBPF object: two XDP programs that share their maps.

    tidegate_in    judges frames from outside: rules with direction in or both
    tidegate_out   judges frames from inside: rules with direction out or both

Neither has a loop. A direction without rules and policy passes everything, and reads only what the rules of the other
direction want to know of answers:

    parse ── addresses known ── allowlist? ─────────────────────────────────────> PASS
      │                                                                            ^
      ├── malformed ── count the reason ── PASS or DROP                            |
      ├── blocked ─────────────────────────────────────────────────────────────────┤
      v                                                                            |
    rule 0 ── matches? ── within its rate? ── monitored? count, go on ── action ───┤
      v                                                                            v
    rule n … ── policy ─────────────────────────────────────────────────────────> DROP

Registers and memory: the context is read once, at the start; behind the parser only numbers are alive. A decided frame
goes to a shared tail, with the index of its counter in `counter`. A map's key is written to the stack just before the
helper is called. The only memory that is written is the stack and map values.

A small set is one function. A large one, or one that reads many fields, is cut (`chain.cut`): the fields lie in a
record, the one entry of a map of each processor's own; runs of rules are functions that take its address, and what they
answer is 0, to go on, or `counter << 8 | verdict`. On the stack the record would cost what is scarce there, and Linux
would follow the number in each of its words along every path: of a thousand rules it saw a million states.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.errors import SourceLine
from appliance.ir import I32, I64, PTR, U32, U64, Pointer, Variable
from appliance.rules.code import layout
from appliance.rules.code.acting import VERDICTS
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.chain import Chain, Shared, Step, cut
from appliance.rules.code.fields import Fields
from appliance.rules.code.layout import CompiledRules
from appliance.rules.code.match import Matching
from appliance.rules.code.parser.cursor import Cursor
from appliance.rules.code.parser.levels import parse_levels
from appliance.rules.code.parser.parser import parse_frame
from appliance.rules.code.stages.endings import LEAVING
from appliance.rules.code.state.keys import write_hosts
from appliance.rules.model import ALLOWLIST, MALFORMED, POLICY, Action, Direction, Mode, Place, RuleSet

SECTION = "xdp"
INWARD_PROGRAM, OUTWARD_PROGRAM = "tidegate_in", "tidegate_out"
PROGRAMS = {Direction.IN: INWARD_PROGRAM, Direction.OUT: OUTWARD_PROGRAM}


def compile_rule_set(rules: RuleSet, *, with_tables: bool = True, with_log: bool = False) -> CompiledRules:
    """Compile. Every rule set that `load_rule_set` gives has an object, the same bytes for the same set. Without tables
    every rule becomes code, which says the same: it is what tables are tried against. With a log, the object also
    writes down which rule decides which frame (`decision_log`)."""
    began = time.perf_counter()
    module = BpfModule(rules.texts)
    shared = Shared(module, rules, with_tables=with_tables, with_log=with_log)
    for way in PROGRAMS:
        _Program(shared, way).write()
    return CompiledRules(
        object=module.emit(),
        source=rules.file,
        counted=layout.counted(rules),
        rule_count=len(rules.rules),
        called={number: stage for number, stage in enumerate(rules.stages) if stage.is_called},
        contents=dict(shared.sets.contents),
        sets=shared.sets.used,
        state_maps=dict(shared.states),
        exits=dict(shared.redirects.exits),
        seconds=time.perf_counter() - began,
    )


class _Program:
    """One direction's program being written."""

    def __init__(self, shared: Shared, way: Direction) -> None:
        self.shared = shared
        self.module = shared.module
        self.way = way
        self.cursor: Cursor | None = None
        defaults = shared.rules
        self.plan = shared.plans[way]
        self.has_policy = way is Direction.IN or defaults.direction is not Direction.IN
        self.policy = defaults.policy if self.has_policy else Action.PASS
        self.is_monitored = defaults.mode is Mode.MONITOR
        self.has_stages = any(stage.direction.covers(way) for stage in defaults.stages)
        self.flows = shared.flows
        self.judges = bool(self.plan.steps) or self.has_policy or self.has_stages
        rules = defaults.rules
        self.watches = any(rule.retransmit and rule.direction.covers(way.opposite) for rule in rules)

    def write(self) -> None:
        functions = self._functions() if self.shared.is_cut else ()
        for table in (*self.plan.deciding, *self.plan.monitored):
            self.shared.tables.walk(table)
        code = self.module.program(PROGRAMS[self.way], SECTION)
        self.code = code
        if self.shared.log:
            self.shared.log.begin(code)
        if not (self.judges or self.watches or self.flows):
            code.ret(VERDICTS[Action.PASS])
            return
        self.verdict, self.counter = code.variable(I32, 0), code.variable(I32, 0)
        self.decided, self.malformed, self.leaving = map(
            code.function.append_basic_block, ("decided", "malformed", "leaving")
        )
        self.record = record = self._record() if self.shared.is_cut else None
        self.fields = (
            Fields.local(code, self.shared.frame)
            if record is None
            else Fields.parsed_into(code, self.shared.frame, record)
        )
        self.reason = self._parse(record)
        write_hosts(code, self.fields, self.plan.rules)
        chain = Chain(self.shared, code, self.fields, self._decide, record)
        chain.blocked(self.way)
        if record is not None and self.shared.has_stages:
            self.shared.stages.prepare(self.fields, self.cursor, self.way)
            self._stages(record, Place.FIRST)
            if self.flows:
                self.flows.track(code, record)
                if self.shared.log:
                    self.shared.log.note_state(code, self.fields["ct.state"])
            self._stages(record, Place.BEFORE_RULES)
        chain.handshakes(self.way)
        chain.ask(self.plan)
        if record is None:
            chain.steps(self.plan.steps)
        else:
            for function in functions:
                self._call(function, record)
            self._stages(record, Place.AFTER_RULES)
        self._policy()
        self._malformed()
        self._tail()
        self._leaving()

    def _parse(self, record: Pointer | None) -> Variable[U32]:
        """Every field of the frame. Gives the index of the reason, for a frame that is malformed."""
        code, frame = self.code, self.shared.frame
        if frame.tunnels:
            assert record is not None
            return parse_levels(self.module, code, frame, record, self._allowlist, self.malformed)
        self.cursor = Cursor(self.module, code, self.fields, self._allowlist, self.malformed)
        parse_frame(self.cursor)
        return self.cursor.reason

    def _record(self) -> Pointer:
        """Where the fields of the frame lie."""
        code, size = self.code, ctypes.sizeof(self.shared.frame.record)
        frame = self.module.declare_map(layout.FRAME, MapShape(MapType.PERCPU_ARRAY, 4, size, 1))
        key = code.buffer(4, align=4)
        code.store(ir.Constant(I32, 0), key, align=4)
        record: Pointer = self.module.helper(code, "map_lookup_elem", frame, key)
        with code.if_(code.compare(code.integer(record), "==", 0)):
            code.ret(VERDICTS[Action.DROP])  # an array has its entry; verifiers want to see it tested
        return record

    def _functions(self) -> tuple[ir.Function, ...]:
        """The steps in functions; both directions call the same ones if they have the same plan."""
        known = self.shared.functions
        if id(self.plan) not in known:
            parts = enumerate(cut(self.plan.steps))
            known[id(self.plan)] = tuple(self._function(number, steps) for number, steps in parts if steps)
        return known[id(self.plan)]

    def _function(self, number: int, steps: Sequence[Step]) -> ir.Function:
        """Steps as a function of their own: `rules_way_n(context, record) -> answer`, of the first direction that
        has them."""
        code = self.module.subprogram(f"rules_{self.way.value}_{number}", inline=False, context=PTR, record=PTR)
        fields = Fields.inside(code, self.shared.frame, code["record"])

        def answer(verdict: U64 | int, index: U64 | int) -> None:
            code.ret(code.or_(code.shl(code.value(index, I64), 8), verdict))

        Chain(self.shared, code, fields, answer, code["record"]).steps(steps)
        code.ret(0)
        return code.function

    def _call(self, function: ir.Function, record: Pointer) -> None:
        code = self.code
        answer = code.call(function, code["context"], record)
        with code.if_(code.compare(answer, "!=", 0)):
            code.call(self.shared.count, code.resize(code.shr(answer, 8), I32), self.fields["length"])
            self._leave(code.resize(code.and_(answer, 0xFF), I32))

    def _stages(self, record: Pointer, place: Place) -> None:
        self.shared.stages.ask(self.code, self.fields, record, self.way, place, self._leave)

    def _leave(self, verdict: U32) -> None:
        """The end of every frame that was parsed to its end, counted by now."""
        self.verdict.set(verdict)
        self.code.builder.branch(self.leaving)

    def _leaving(self) -> None:
        """What rules have chosen is carried out, and a connection hears of what leaves, wherever to."""
        code = self.code
        code.builder.position_at_end(self.leaving)
        verdict: U32 = self.verdict.get()
        if self.record is not None:
            verdict = self.shared.endings.write(code, self.fields, self.record, verdict)
            if self.flows:
                passes, redirected = (code.compare(verdict, "==", number) for number in LEAVING)
                with code.if_(code.or_(passes, redirected)):
                    self.flows.commit(code, self.fields, self.record)
        code.ret(self.shared.redirects.mirror(code, self.fields, verdict, self.way))

    def _allowlist(self, family: int) -> None:
        """Written where the addresses become known: what is on the list passes, whatever else is wrong with it."""
        allowed = self.shared.rules.allowlist
        ranges = allowed.v4 if family == 4 else allowed.v6
        sets = self.shared.rules.allowlist_sets
        if not (ranges or sets) or not self.judges:
            return
        matching = Matching(self.module, self.code, self.fields, self.shared.sets)
        found, otherwise = matching.block("allowed"), matching.block("judged")
        side = "source" if self.way is Direction.IN else "destination"
        unlisted = matching.block("unlisted")
        matching.family(side, family, ranges, found, unlisted)
        self.code.builder.position_at_end(unlisted)
        for name in sets:
            matching.live.ask(name, (side,), family, found)
        self.code.builder.branch(otherwise)
        self.code.builder.position_at_end(found)
        self._decide(VERDICTS[Action.PASS], layout.verdict_index(self.shared.rules, ALLOWLIST))
        self.code.builder.position_at_end(otherwise)

    def _decide(self, verdict: U64 | int, counter: U64 | int) -> None:
        for variable, number in ((self.verdict, verdict), (self.counter, counter)):
            variable.set(self.code.resize(self.code.value(number, I64), I32))
        self.code.builder.branch(self.decided)

    def _policy(self) -> None:
        code = self.code
        self.module.at(code, SourceLine(self.shared.rules.file, 1, 1))
        passed: U32 = ir.Constant(I32, VERDICTS[Action.PASS])
        if not self.has_policy:
            self._leave(passed)
            return
        counter = layout.verdict_index(self.shared.rules, POLICY)
        if not self.is_monitored:
            self._decide(VERDICTS[self.policy], counter)
            return
        with code.if_(code.compare(self.fields["monitored"], "!=", 0)):
            if self.shared.log:
                self.shared.log.note(code, ir.Constant(I32, counter))
            self._leave(passed)
        self._decide(VERDICTS[Action.PASS], counter)

    def _malformed(self) -> None:
        code = self.code
        code.builder.position_at_end(self.malformed)
        if not self.has_policy:
            code.ret(VERDICTS[Action.PASS])
            return
        key = code.buffer(4, align=4)
        code.store(self.reason.get(), key, align=4)
        value = self.module.helper(code, "map_lookup_elem", self.shared.errors, key)
        with code.if_(code.compare(code.integer(value), "!=", 0)):
            code.store(code.add(code.load(value, I64, align=8), 1), value, align=8)
        verdict = Action.PASS if self.is_monitored else self.shared.rules.malformed
        self._decide(VERDICTS[verdict], layout.verdict_index(self.shared.rules, MALFORMED))

    def _tail(self) -> None:
        code = self.code
        code.builder.position_at_end(self.decided)
        code.call(self.shared.count, self.counter.get(), self.fields["length"])
        self._leave(self.verdict.get())

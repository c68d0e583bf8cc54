"""A guard's rules to a portable eBPF object: a program for each call and family that they judge.

    caller known? ── rule 0 ── matches? ── monitored or counting? count, go on ── decided ──> permit, deny, redirect
         │             v
         │           rule n … ── default
         └── no: denied

Registers and memory: context and helpers are read at the start, and only numbers are alive behind that. Keys of maps
lie on the stack. What is written is the stack, map values, and, by a rule that redirects, the context.
"""

from __future__ import annotations

import errno

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.errors import SourceLine
from appliance.ir import I32, I64, U64, Pointer
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.lookups.set_maps import SetMaps
from appliance.rules.code.match import Matching
from appliance.rules.conditions import InAddresses
from appliance.rules.sockets import layout
from appliance.rules.sockets.call import CallFields
from appliance.rules.sockets.families import seen_by
from appliance.rules.sockets.layout import CompiledGuard, Program
from appliance.rules.sockets.model import GuardAction, GuardRule, GuardRules, HasFact, SocketCondition

DENIED, PERMITTED = 0, 1


def compile_guard_rules(rules: GuardRules) -> CompiledGuard:
    """Compile; the same bytes for the same rules. Raises StackExceeded."""
    module = BpfModule(rules.texts)
    shared = _Shared(module, rules)
    programs = layout.programs_of(rules)
    for program in programs:
        _Writer(shared, program).write()
    return CompiledGuard(
        object=module.emit(),
        source=rules.file,
        programs=programs,
        rules=layout.numbered(rules),
        counts=layout.counts(rules),
        facts=rules.facts,
        contents=dict(shared.sets.contents),
    )


class _Shared:
    """What all programs of an object use. For one thread."""

    def __init__(self, module: BpfModule, rules: GuardRules) -> None:
        self.module = module
        self.rules = rules
        self.sets = SetMaps(module, {})
        size = len(layout.programs_of(rules)) * len(layout.numbered(rules))
        self.counters = module.declare_map(layout.COUNTERS, MapShape(MapType.PERCPU_ARRAY, 4, 8, size))
        self.decided = module.declare_map(layout.DECIDED, layout.DECIDED_SHAPE)
        self.callers = module.declare_map(layout.CALLERS, layout.CALLERS_SHAPE) if rules.facts else None
        self.bits = {fact: 1 << number for number, fact in enumerate(rules.facts)}
        self.count = self._define_count()
        self.note = self._define_note()

    def _define_count(self) -> ir.Function:
        """`count(index)` adds a call to a counter."""
        code = self.module.subprogram("count", inline=False, index=I32)
        key = code.buffer(4, align=4)
        code.store(code["index"], key, align=4)
        value = self.module.helper(code, "map_lookup_elem", self.counters, key)
        with code.if_(code.compare(code.integer(value), "!=", 0)):
            code.store(code.add(code.load(value, I64, align=8), 1), value, align=8)
        code.ret(0)
        return code.function

    def _define_note(self) -> ir.Function:
        """`note(rule)` writes down which rule decided the thread's call."""
        code = self.module.subprogram("note", inline=False, rule=I32)
        key, value = code.buffer(8), code.buffer(4, align=4)
        code.store(self.module.helper(code, "get_current_pid_tgid"), key, align=8)
        code.store(code["rule"], value, align=4)
        self.module.helper(code, "map_update_elem", self.decided, key, value, 0)
        code.ret(0)
        return code.function


class _Writer:
    """One program being written."""

    def __init__(self, shared: _Shared, program: Program) -> None:
        self.shared = shared
        self.module = shared.module
        self.program = program
        self.rules = [rule for rule in shared.rules.rules if meets(rule, program)]
        self.code = self.module.program(program.name, program.section)

    def write(self) -> None:
        code, conditions = self.code, [each for rule in self.rules for each in rule.conditions]
        compared = [each for each in conditions if not isinstance(each, HasFact)]
        self.fields = CallFields(
            self.module, code, self.program, {name for each in compared for name in each.matcher.fields}
        )
        self.matching = Matching(self.module, code, self.fields, self.shared.sets)
        self.facts = self._facts() if len(compared) < len(conditions) else None
        for rule in self.rules:
            self._rule(rule)
        self.module.at(code, SourceLine(self.shared.rules.file, 1, 1))
        self._decide(len(self.shared.rules.rules), self.shared.rules.default)

    def _facts(self) -> U64:
        """The bits that the engine has said of the caller."""
        code, callers = self.code, self.shared.callers
        assert callers is not None
        key = code.buffer(8)
        code.store(self.module.helper(code, "get_current_pid_tgid"), key, align=8)
        value: Pointer = self.module.helper(code, "map_lookup_elem", callers, key)
        with code.if_(code.is_null(value)):
            self._count(len(self.shared.rules.rules) + 1)
            self._note(len(self.shared.rules.rules) + 1)
            code.ret(DENIED)
        bits: U64 = code.load(value, I64, align=8)
        return bits

    def _rule(self, rule: GuardRule) -> None:
        """What is written next is reached by the calls that the rule leaves undecided."""
        self.module.at(self.code, rule.where)
        following = self.matching.block("following")
        for condition in rule.conditions:
            self._condition(condition, following)
        if rule.decides:
            self._decide(rule.index, rule.action, rule)
        else:
            self._count(rule.index)
            self.code.builder.branch(following)
        self.code.builder.position_at_end(following)

    def _condition(self, condition: SocketCondition, otherwise: ir.Block) -> None:
        if isinstance(condition, HasFact):
            assert self.facts is not None
            wanted = sum(self.shared.bits[fact] for fact in condition.facts)
            found = self.code.and_(self.facts, wanted)
            self.matching.unless(self.code.compare(found, "==" if condition.negated else "!=", 0), otherwise)
            return
        (field,), holds = condition.matcher.fields, self.matching.block("holds")
        if isinstance(condition, InAddresses):
            version = self.program.version
            self.matching.family(field, version, seen_by(condition.addresses, version), holds, otherwise)
        else:
            self.matching.tree(self.fields[field], condition.ranges, holds, otherwise)
        self.code.builder.position_at_end(holds)

    def _decide(self, number: int, action: GuardAction, rule: GuardRule | None = None) -> None:
        """The end of the program."""
        code = self.code
        self._count(number)
        if action is not GuardAction.PERMIT:
            self._note(number)
        if rule and action is GuardAction.REDIRECT:
            self.fields.send_to(rule.targets[self.program.version])
        if rule and action is GuardAction.DENY and rule.errno != errno.EPERM:
            self.module.helper(code, "set_retval", ir.Constant(I64, -rule.errno))
        code.ret(DENIED if action is GuardAction.DENY else PERMITTED)

    def _count(self, number: int) -> None:
        index = layout.counter_index(self.shared.rules, self.program, number)
        self.code.call(self.shared.count, ir.Constant(I32, index))

    def _note(self, number: int) -> None:
        self.code.call(self.shared.note, ir.Constant(I32, number))


def meets(rule: GuardRule, program: Program) -> bool:
    """Whether a call that the program judges can match the rule."""
    addresses = (each.addresses for each in rule.conditions if isinstance(each, InAddresses))
    return program.op in rule.ops and all(seen_by(each, program.version) for each in addresses)

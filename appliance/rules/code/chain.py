"""The rules as they stand in one function: each matches, passes its gate, and decides or counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from llvmlite import ir

from appliance.ir import I32, I64, Code, Pointer
from appliance.rules.classifier.runs import CodeRun, Run, split
from appliance.rules.code import layout, newcomers
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.decision_log import DecisionLog
from appliance.rules.code.fields import Fields, FrameLayout
from appliance.rules.code.match import Matching, cost
from appliance.rules.code.memory import Memory
from appliance.rules.code.newcomers import Newcomers
from appliance.rules.code.retransmit import RetransmitTest
from appliance.rules.code.set_maps import SetMaps
from appliance.rules.code.tables import Tables
from appliance.rules.code.token_bucket import TokenBucket, define_conforms
from appliance.rules.model import Action, Direction, Mode, Rule, RuleSet
from hooks.contracts.contract import Verdict
from hooks.contracts.xdp import XDP_LINUX

# How much is written into one function, in compares or so. A larger set is cut into functions, none larger than this:
# BPF's jumps reach 32767 instructions far, its stack holds 512 bytes, and LLVM's work grows faster than its input.
LARGEST_FUNCTION = 600
_EACH_RULE, _GATE = 4, 20
# Fields of a frame; what finds no register costs 8 bytes of stack. Slices always lie in the record: if one is compared
# as it is read, verifiers follow both outcomes through all that is read behind it.
MOST_VARIABLES = 32

VERDICTS = {Action.PASS: XDP_LINUX.number(Verdict.PASS), Action.DROP: XDP_LINUX.number(Verdict.DROP)}

Decide = Callable[[Action, int], None]


class Shared:
    """What all functions of an object use: maps, and what they call. For one thread."""

    def __init__(self, module: BpfModule, rules: RuleSet, *, with_tables: bool, with_log: bool = False) -> None:
        self.module = module
        self.log = DecisionLog(module) if with_log else None
        self.rules = rules
        self._split: dict[tuple[int, ...], list[Run]] = {}
        self.sets = SetMaps(module, rules.sets)
        self.frame = FrameLayout(rules.rules)
        self.states: dict[str, str] = {}  # name → use, in order
        self.counters = module.declare_map(layout.COUNTERS, layout.counters_shape(rules))
        self.errors = module.declare_map(layout.ERRORS, layout.errors_shape())
        self.tables = Tables(module, self.sets)
        self.runs = {way: self._runs(way, with_tables=with_tables) for way in (Direction.IN, Direction.OUT)}
        self.is_cut = any(len(cut(_coded(runs))) > 1 for runs in self.runs.values()) or (
            len(self.frame.names) > MOST_VARIABLES or bool(self.frame.slices)
        )
        self.count = self._define_count()
        self.conforms = define_conforms(module)
        self.newcomers = self._newcomers()

    def _runs(self, way: Direction, *, with_tables: bool) -> list[Run]:
        """The rules of one direction; both have the same tables if they have the same rules."""
        rules = tuple(rule for rule in self.rules.rules if rule.direction.covers(way))
        if not with_tables:
            return [CodeRun(rules)] if rules else []
        indices = tuple(rule.index for rule in rules)
        if indices not in self._split:
            self._split[indices] = split(rules, VERDICTS)
        return self._split[indices]

    def state(self, kind: str, rule: Rule, shape: MapShape) -> Pointer:
        """A map of the rule's own, which a reload hands over."""
        name = layout.state_name(kind, rule)
        self.states[name] = layout.state_use(kind, rule)
        return self.module.declare_map(name, shape)

    def _newcomers(self) -> Newcomers | None:
        rates = [rule.rate for rule in self.rules.rules if rule.rate and rule.rate.per]
        if not rates:
            return None
        self.states[newcomers.NAME] = newcomers.NAME
        return Newcomers(self.module, rates)

    def _define_count(self) -> ir.Function:
        """`count(index, bytes)` adds a frame to a counter."""
        code = self.module.subprogram("count", inline=not self.is_cut, index=I32, bytes=I64)
        key = code.buffer(4, align=4)
        code.store(code["index"], key, align=4)
        value = self.module.helper(code, "map_lookup_elem", self.counters, key)
        with code.if_(code.compare(code.integer(value), "!=", 0)):
            code.field(value, layout.CounterValue, "packets").add(1)
            code.field(value, layout.CounterValue, "bytes").add(code["bytes"])
        if self.log:
            self.log.note(code, code["index"])
        code.ret(0)
        return code.function


def _coded(runs: Iterable[Run]) -> list[Rule]:
    return [rule for run in runs if isinstance(run, CodeRun) for rule in run.rules]


def cut(rules: Iterable[Rule]) -> list[list[Rule]]:
    """The rules in runs that are small enough for one function each."""
    parts: list[list[Rule]] = [[]]
    size = 0
    for rule in rules:
        weight = _EACH_RULE + sum(map(cost, rule.conditions)) + _GATE * bool(rule.rate or rule.retransmit)
        if parts[-1] and size + weight > LARGEST_FUNCTION:
            parts.append([])
            size = 0
        parts[-1].append(rule)
        size += weight
    return parts


class Chain:
    """Writes rules into one function. `decide(action, index)` writes what ends the judgement. For one thread."""

    def __init__(self, shared: Shared, code: Code, fields: Fields, decide: Decide) -> None:
        self.shared = shared
        self.code = code
        self.fields = fields
        self.decide = decide
        self.matching = Matching(shared.module, code, fields, shared.sets)
        memory = Memory(shared.module, code, fields, self.matching, shared.state)
        self.bucket = TokenBucket(memory, shared.conforms, shared.newcomers)
        self.test = RetransmitTest(memory)

    def rule(self, rule: Rule) -> None:
        """One rule; what is written next is reached by the frames that it leaves undecided."""
        self.shared.module.at(self.code, rule.where)
        following = self.matching.block("following")
        self.matching.conditions(rule.conditions, following)
        if rule.mode is Mode.MONITOR:
            self.matching.unless(self.code.compare(self.fields["monitored"], "==", 0), following)
        if rule.rate is not None:
            self.bucket.gate(rule, rule.rate, following)
        if rule.retransmit is not None:
            self.test.gate(rule, rule.retransmit, following)
        self._act(rule, following)
        self.code.builder.position_at_end(following)

    def handshakes(self, way: Direction) -> None:
        """Before the rules: what the frame says of sources that some rule tests, in this direction or the other."""
        for rule in self.shared.rules.rules:
            if rule.retransmit is None:
                continue
            self.shared.module.at(self.code, rule.where)
            if rule.direction.covers(way):
                self.test.note_acknowledgement(rule, rule.retransmit)
            if rule.direction.covers(way.opposite):
                self.test.note_answer(rule, rule.retransmit)

    def _act(self, rule: Rule, following: ir.Block) -> None:
        if rule.action is not Action.COUNT and rule.mode is Mode.ENFORCE:
            self.decide(rule.action, rule.index)
            return
        self.code.call(self.shared.count, rule.index, self.fields["length"])
        if rule.action is not Action.COUNT:
            self.fields.set(monitored=1)
        self.code.builder.branch(following)

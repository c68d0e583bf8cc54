"""The rules as they stand in one function: each matches, passes its gate, and decides or counts."""

from __future__ import annotations

from collections.abc import Iterable

from llvmlite import ir

from appliance.ir import I32, I64, Code, Pointer
from appliance.rules.classifier.layout import VERDICT_BITS
from appliance.rules.classifier.plan import Checkpoint, Plan, plan, without_tables
from appliance.rules.code import layout
from appliance.rules.code.acting import VERDICTS, Acting, Decide
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.decision_log import DecisionLog
from appliance.rules.code.fields import Fields, FrameLayout
from appliance.rules.code.lookups.set_maps import SetMaps
from appliance.rules.code.lookups.tables import Tables
from appliance.rules.code.match import Matching, cost
from appliance.rules.code.redirects import Redirects
from appliance.rules.code.stages import flows, syn_proxy
from appliance.rules.code.stages.calls import Stages, state_maps
from appliance.rules.code.stages.endings import Endings
from appliance.rules.code.stages.flows import Flows
from appliance.rules.code.stages.syn_proxy import Cookies
from appliance.rules.code.state import newcomers
from appliance.rules.code.state.blocks import BlockMaps, Blocks
from appliance.rules.code.state.memory import Memory
from appliance.rules.code.state.newcomers import Newcomers
from appliance.rules.code.state.retransmit import RetransmitTest
from appliance.rules.code.state.token_bucket import Conforming, TokenBucket
from appliance.rules.model import Action, Direction, Mode, Rule, RuleSet

# How much is written into one function, in compares or so. A larger set is cut into functions, none larger than this:
# BPF's jumps reach 32767 instructions far, its stack holds 512 bytes, and LLVM's work grows faster than its input.
LARGEST_FUNCTION = 600
_EACH_RULE, _GATE, _CHECKPOINT = 4, 20, 8
# Fields of a frame; what finds no register costs 8 bytes of stack: half of it is theirs, the other half for maps' keys.
# Sets of 49 fields with rates by several keys were compiled, and of 62 not (tests/appliance/rules/code/test_stack.py);
# one that finds no room is refused (stack.StackExceeded). Slices always lie in the record: if one is compared
# as it is read, verifiers follow both outcomes through all that is read behind it.
MOST_VARIABLES = 32

Step = Rule | Checkpoint


class Shared:
    """What all functions of an object use: maps, and what they call. For one thread."""

    def __init__(self, module: BpfModule, rules: RuleSet, *, with_tables: bool, with_log: bool = False) -> None:
        self.module = module
        self.log = DecisionLog(module) if with_log else None
        self.rules = rules
        self._plans: dict[tuple[int, ...], Plan] = {}
        self.functions: dict[int, tuple[ir.Function, ...]] = {}  # by the plan, which is kept in `plans`
        self.sets = SetMaps(module, rules.sets)
        self.endings = Endings(module, rules)
        self.redirects = Redirects(module, rules)
        self.has_stages = bool(rules.stages or rules.connections or self.endings.in_c)
        self.frame = FrameLayout(rules.rules, tunnels=rules.tunnels, for_stages=self.has_stages)
        self.states: dict[str, str] = {}  # name → use, in order
        self.counters = module.declare_map(layout.COUNTERS, layout.counters_shape(rules))
        self.errors = module.declare_map(layout.ERRORS, layout.errors_shape())
        self.tables = Tables(module, self.sets)
        self.plans = {way: self._plan(way, with_tables=with_tables) for way in (Direction.IN, Direction.OUT)}
        self.is_cut = any(len(cut(each.steps)) > 1 for each in self.plans.values()) or (
            len(self.frame.names) > MOST_VARIABLES
            or bool(self.frame.slices)
            or self.has_stages
            or rules.tunnels is not None
        )
        # In a variable, verifiers would follow both outcomes of a monitored check through all that stands behind it.
        self.is_cut |= any(rule.block and rule.mode is Mode.MONITOR for rule in rules.rules)
        self.count = self._define_count()
        self.stages = Stages(module, rules, self.count)
        self.states.update(state_maps(rules.stages))
        self.flows = Flows(module, rules.connections) if rules.connections else None
        if self.flows:
            self.states.update(flows.STATE_MAPS)
        self.cookies = Cookies(module, rules.syn_proxy) if rules.syn_proxy else None
        if self.cookies:
            self.states.update(syn_proxy.STATE_MAPS)
        self.conforming = Conforming(module)
        self.blocks = BlockMaps(module, rules)
        self.states.update(self.blocks.states)
        self.newcomers = self._newcomers()

    def _plan(self, way: Direction, *, with_tables: bool) -> Plan:
        """The rules of one direction; both have the same tables if they have the same rules."""
        rules = tuple(rule for rule in self.rules.rules if rule.direction.covers(way))
        indices = tuple(rule.index for rule in rules)
        if indices not in self._plans:
            self._plans[indices] = plan(rules, VERDICTS) if with_tables else without_tables(rules)
        return self._plans[indices]

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


def cut(steps: Iterable[Step]) -> list[list[Step]]:
    """Rules and checkpoints in runs that are small enough for one function each."""
    parts: list[list[Step]] = [[]]
    size = 0
    for step in steps:
        weight = _CHECKPOINT if isinstance(step, Checkpoint) else _weight(step)
        if parts[-1] and size + weight > LARGEST_FUNCTION:
            parts.append([])
            size = 0
        parts[-1].append(step)
        size += weight
    return parts


def _weight(rule: Rule) -> int:
    remembers = sum(map(bool, (rule.rate, rule.retransmit, rule.block)))
    return _EACH_RULE + sum(map(cost, rule.conditions)) + _GATE * remembers


class Chain:
    """Writes rules into one function. `decide(verdict, index)` writes what ends the judgement; `record` is where the
    fields lie, if they aren't variables. For one thread."""

    def __init__(
        self, shared: Shared, code: Code, fields: Fields, decide: Decide, record: Pointer | None = None
    ) -> None:
        self.shared = shared
        self.code = code
        self.fields = fields
        self.decide = decide
        self.matching = Matching(shared.module, code, fields, shared.sets)
        memory = Memory(shared.module, code, fields, self.matching, shared.state)
        self.bucket = TokenBucket(memory, shared.conforming, shared.newcomers)
        self.test = RetransmitTest(memory)
        self.blocks = Blocks(memory, shared.blocks)
        self.acting = Acting(
            self.bucket, self.blocks, shared.count, decide, record, shared.cookies, shared.stages, shared.redirects
        )

    def steps(self, steps: Iterable[Step]) -> None:
        """Rules and checkpoints, one after the other."""
        for step in steps:
            if isinstance(step, Checkpoint):
                self.checkpoint(step)
            else:
                self.rule(step)

    def ask(self, asked: Plan) -> None:
        """Before the rules: what tables find goes into the fields `deciding` and `noted`, NOTHING if there are none."""
        self.fields.set(
            deciding=self.shared.tables.ask(self.code, self.fields, asked.deciding),
            noted=self.shared.tables.ask(self.code, self.fields, asked.monitored),
        )

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """The monitored rule that tables found counts, the other one decides, if they stand before here."""
        code = self.code
        end, deciding, noted = checkpoint.before << VERDICT_BITS, self.fields["deciding"], self.fields["noted"]
        is_here = code.and_(code.compare(noted, "<", end), code.compare(noted, "<", deciding))
        with code.if_(code.and_(is_here, code.compare(self.fields["monitored"], "==", 0))):
            code.call(self.shared.count, code.resize(code.shr(noted, VERDICT_BITS), I32), self.fields["length"])
            self.fields.set(monitored=1)
        following = self.matching.block("following")
        self.matching.unless(code.compare(deciding, "<", end), following)
        self.decide(code.and_(deciding, (1 << VERDICT_BITS) - 1), code.shr(deciding, VERDICT_BITS))
        code.builder.position_at_end(following)

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
        self.acting.act(rule, following)
        self.code.builder.position_at_end(following)

    def blocked(self, way: Direction) -> None:
        """Before the rules: who is blocked is dropped, or counted if the rule that blocked is monitored."""
        self.blocks.check(way, self._drop_blocked)

    def _drop_blocked(self, rule: Rule, free: ir.Block) -> None:
        index = layout.blocked_index(self.shared.rules, rule)
        self.shared.module.at(self.code, rule.where)
        if rule.mode is Mode.ENFORCE:
            self.decide(VERDICTS[Action.DROP], index)
            return
        self.matching.unless(self.code.compare(self.fields["monitored"], "==", 0), free)
        self.code.call(self.shared.count, index, self.fields["length"])
        self.fields.set(monitored=1)
        self.code.builder.branch(free)

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

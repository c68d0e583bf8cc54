"""First match wins, as a walk: every rule is asked in its place, and says why it doesn't decide.

This is what docs/rules.md says of how a frame is judged, written down a second time and without a compiler, so that it
can explain a judgement, and so that whatever the compiler makes can be compared to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from appliance.rules.actions import ACTIONS, ends
from appliance.rules.conditions import Condition
from appliance.rules.layers import OUTER
from appliance.rules.matchers import Matcher, version_of
from appliance.rules.model import ALLOWLIST, MALFORMED, POLICY, Action, Direction, Mode, Rule, RuleSet
from appliance.rules.sets.members import Members
from appliance.rules.walk import syns
from appliance.rules.walk.conditions import has_layer, holds, lies_in, matchers_of
from appliance.rules.walk.dissector import Dissected
from appliance.rules.walk.gates import Blocks, Bucket, Handshakes
from appliance.rules.walk.rejections import is_answered


class Outcome(Enum):
    """How a rule left a frame undecided, or decided it."""

    OTHER_DIRECTION = "other direction"  # it judges frames that go the other way
    NO_LAYER = "no layer"  # the frame has no such header
    NO_MATCH = "no match"  # a condition doesn't hold
    AFTER_MONITORED = "after monitored"  # another monitored rule would have decided before it
    WITHIN_RATE = "within rate"
    PASSED_TEST = "passed test"
    NO_SYN = "no SYN"  # a SYN proxy has no answer to it
    COUNTED = "counted"
    MONITORED = "monitored"  # it would have decided
    DECIDED = "decided"


COUNTING = (Outcome.COUNTED, Outcome.MONITORED, Outcome.DECIDED)


@dataclass(frozen=True, slots=True)
class Step:
    """One rule and what it did. `condition` is the first that didn't hold, or whose layer the frame hasn't, and
    `matcher` the field of it that the frame hasn't."""

    rule: Rule
    outcome: Outcome
    condition: Condition | None = None
    matcher: Matcher | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a frame. `by` is the id of the rule that decides, or ALLOWLIST, POLICY or MALFORMED; None where
    nothing judges this direction. `counted` are the counters that grow. `steps` are the rules that were asked."""

    verdict: Action
    by: str | None
    counted: tuple[str, ...]
    steps: tuple[Step, ...] = ()


class Walk:
    """A rule set with what its rules remember. For one thread."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.sets = {name: Members(found.type, found.contents) for name, found in rules.sets.items()}
        self.forget()

    def forget(self) -> None:
        """Begin with empty state."""
        self.buckets = {rule.index: Bucket(rule.rate) for rule in self.rules.rules if rule.rate}
        self.handshakes = {rule.index: Handshakes(rule.retransmit) for rule in self.rules.rules if rule.retransmit}
        self.blocks = Blocks(self.rules.rules)
        self.answers = {rule.index: Bucket(rule.reject.rate) for rule in self.rules.rules if rule.reject}

    def judge(self, frame: Dissected, way: Direction, time_ns: int) -> Judgement:
        """One frame that goes IN or OUT. What it leaves behind in the state is there for the next one."""
        rules = self.rules
        has_policy = way is Direction.IN or rules.direction is not Direction.IN
        judges = has_policy or any(rule.direction.covers(way) for rule in rules.rules)
        if judges and frame.is_addressed and self._is_allowed(frame, way):
            return Judgement(Action.PASS, ALLOWLIST, (ALLOWLIST,))
        is_monitored = rules.mode is Mode.MONITOR
        if frame.malformed:
            if not has_policy:
                return Judgement(Action.PASS, None, ())
            return Judgement(Action.PASS if is_monitored else rules.malformed, MALFORMED, (MALFORMED,))
        blocked = self._blocked(frame, way, time_ns)
        counted = tuple(rule.blocked_id for rule in blocked)
        if blocked and blocked[-1].mode is Mode.ENFORCE:
            return Judgement(Action.DROP, counted[-1], counted)
        self._note_handshakes(frame, way, time_ns)
        steps, decided = self._ask(frame, way, time_ns, is_hit=bool(blocked))
        counted += tuple(step.rule.id for step in steps if step.outcome in COUNTING)
        if decided is not None:
            return Judgement(self._verdict(decided, frame, time_ns), decided.id, counted, steps)
        if not has_policy:
            return Judgement(Action.PASS, None, counted, steps)
        if not is_monitored:
            return Judgement(rules.policy, POLICY, (*counted, POLICY), steps)
        hit = bool(blocked) or any(step.outcome is Outcome.MONITORED for step in steps)
        return Judgement(Action.PASS, POLICY, counted if hit else (*counted, POLICY), steps)

    def _verdict(self, rule: Rule, frame: Dissected, time_ns: int) -> Action:
        """What becomes of a frame that the rule decides."""
        if rule.reject:
            is_within = self.answers[rule.index].conforms(frame, time_ns)
            return Action.TX if is_within and is_answered(frame, rule.reject.by) else Action.DROP
        if rule.action is Action.SYN_PROXY:
            return syns.answer(frame)
        return ACTIONS[rule.action].verdict or Action.PASS

    def _is_allowed(self, frame: Dissected, way: Direction) -> bool:
        """By the outermost addresses: those inside of a tunnel are what its sender likes them to be."""
        allowed = self.rules.allowlist
        side = (OUTER if self.rules.tunnels else "") + ("source" if way is Direction.IN else "destination")
        version, address = frame[version_of(side)], frame.address(side)
        ranges = allowed.v4 if version == 4 else allowed.v6
        sets = (self.sets[name] for name in self.rules.allowlist_sets)
        return lies_in(ranges, address) or any(found.has((address,), version) for found in sets)

    def _blocked(self, frame: Dissected, way: Direction, time_ns: int) -> tuple[Rule, ...]:
        """The rules that count the frame for having blocked its source: the first monitored one, the first enforced."""
        found: list[Rule] = []
        for rule in self.blocks.holders(frame, way, time_ns):
            if rule.mode is Mode.ENFORCE:
                return (*found, rule)
            if not found:
                found.append(rule)
        return tuple(found)

    def _note_handshakes(self, frame: Dissected, way: Direction, time_ns: int) -> None:
        for index, handshakes in self.handshakes.items():
            direction = self.rules.rules[index].direction
            if direction.covers(way):
                handshakes.note_acknowledgement(frame, time_ns)
            if direction.covers(way.opposite):
                handshakes.note_answer(frame)

    def _ask(
        self, frame: Dissected, way: Direction, time_ns: int, *, is_hit: bool
    ) -> tuple[tuple[Step, ...], Rule | None]:
        """Every rule in order, until one decides. `is_hit`: a monitored rule would have decided already."""
        steps: list[Step] = []
        for rule in self.rules.rules:
            step = self._step(rule, frame, way, time_ns, is_hit=is_hit)
            steps.append(step)
            if rule.block and step.outcome in COUNTING:
                self.blocks.begin(rule, rule.block, frame, time_ns)
            is_hit |= step.outcome is Outcome.MONITORED
            if step.outcome is Outcome.DECIDED:
                return tuple(steps), rule
        return tuple(steps), None

    def _step(self, rule: Rule, frame: Dissected, way: Direction, time_ns: int, *, is_hit: bool) -> Step:
        if not rule.direction.covers(way):
            return Step(rule, Outcome.OTHER_DIRECTION)
        for condition in rule.conditions:
            for matcher in matchers_of(condition):
                if not has_layer(frame, matcher.layer):
                    return Step(rule, Outcome.NO_LAYER, condition, matcher)
            if not holds(condition, frame, self.sets):
                return Step(rule, Outcome.NO_MATCH, condition)
        if rule.mode is Mode.MONITOR and is_hit:
            return Step(rule, Outcome.AFTER_MONITORED)
        if rule.rate and self.buckets[rule.index].conforms(frame, time_ns):
            return Step(rule, Outcome.WITHIN_RATE)
        if rule.retransmit and self.handshakes[rule.index].passes(frame, time_ns):
            return Step(rule, Outcome.PASSED_TEST)
        if rule.action is Action.SYN_PROXY and rule.mode is Mode.ENFORCE and not syns.is_syn(frame):
            return Step(rule, Outcome.NO_SYN)
        if not ends(rule.action):
            return Step(rule, Outcome.COUNTED)
        return Step(rule, Outcome.MONITORED if rule.mode is Mode.MONITOR else Outcome.DECIDED)

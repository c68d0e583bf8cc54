"""What rules do with the frames that they match, as it is written into one function: a writer for each action.

A writer of an action that ends the judgement gives what the program answers, and may leave for the next rule before;
one of an action that doesn't gives nothing, and the frame goes on. Of a monitored rule nothing is written but that it
would have, and whom it would have blocked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llvmlite import ir

from appliance.ir import I64, U32, U64, Pointer
from appliance.rules.actions import ends
from appliance.rules.code.redirects import Redirects
from appliance.rules.code.stages.calls import Stages
from appliance.rules.code.stages.endings import REJECT
from appliance.rules.code.stages.syn_proxy import Cookies
from appliance.rules.code.state.blocks import Blocks
from appliance.rules.code.state.token_bucket import TokenBucket
from appliance.rules.model import Action, Mode, RejectBy, Rule
from appliance.rules.stages.contract import NEXT
from hooks.contracts.contract import Verdict
from hooks.contracts.xdp import XDP_LINUX

VERDICTS = {Action.PASS: XDP_LINUX.number(Verdict.PASS), Action.DROP: XDP_LINUX.number(Verdict.DROP)}

MARKED = 64  # a bit that no DSCP has: one of 0 is a mark, too

Decide = Callable[[U64 | int, U64 | int], None]  # the verdict, and the index of what counts it


class Acting:
    """Writes actions into one function. `decide(verdict, index)` writes what ends the judgement, `count` is the
    function that counts what doesn't. `record` is what stages get, and `cookies` what answers SYNs, if the rule set
    has any; `stages` are those that a rule may ask, `redirects` the interfaces that rules send to. For one
    thread."""

    def __init__(
        self,
        bucket: TokenBucket,
        blocks: Blocks,
        count: ir.Function,
        decide: Decide,
        record: Pointer | None,
        cookies: Cookies | None,
        stages: Stages,
        redirects: Redirects,
    ) -> None:
        self.bucket = bucket
        self.code = bucket.code
        self.fields = bucket.memory.fields
        self.blocks = blocks
        self.count = count
        self.decide = decide
        self.record = record
        self.cookies = cookies
        self.stages = stages
        self.redirects = redirects

    def act(self, rule: Rule, following: ir.Block) -> None:
        """What the rule does; frames that it leaves undecided leave for `following`."""
        is_monitored = rule.mode is Mode.MONITOR
        if rule.block is not None:
            self.blocks.begin(rule, rule.block)
        verdict = None if is_monitored else WRITERS[rule.action](self, rule, following)
        if verdict is not None:
            self.decide(verdict, rule.index)
            return
        self.code.call(self.count, rule.index, self.fields["length"])
        if ends(rule.action):
            self.fields.set(monitored=1)
        self.code.builder.branch(following)

    def drop(self, rule: Rule, following: ir.Block) -> int:
        """Whom to block is written down."""
        return VERDICTS[Action.DROP]

    def reject(self, rule: Rule, following: ir.Block) -> U64:
        """The program has it answered (endings), as often as the rule says."""
        assert rule.reject is not None, "a rule that rejects says how"
        self.fields.set(reject=1 + list(RejectBy).index(rule.reject.by))
        has_tokens = self.bucket.take("reject", rule, rule.reject.rate)
        verdict: U64 = self.code.select(has_tokens, ir.Constant(I64, REJECT), VERDICTS[Action.DROP])
        return verdict

    def redirect(self, rule: Rule, following: ir.Block) -> U64:
        """By the entry of its interface, if there is one."""
        return self.redirects.redirect(self.code, rule.to or "")

    def mirror(self, rule: Rule, following: ir.Block) -> None:
        """A copy is sent where the program ends (endings), to the interface of the last rule that says so."""
        self.fields.set(mirror=1 + self.redirects.mirrored.index(rule.to or ""))

    def mark(self, rule: Rule, following: ir.Block) -> None:
        """Where the frame leaves, it has that DSCP (endings); the last rule that marks it is right."""
        self.fields.set(dscp=MARKED | (rule.dscp or 0))

    def answer(self, rule: Rule, following: ir.Block) -> int:
        """The same for every frame."""
        return VERDICTS[rule.action]

    def nothing(self, rule: Rule, following: ir.Block) -> None:
        """To count is all."""

    def proxy(self, rule: Rule, following: ir.Block) -> U64:
        """What the stage answers to a SYN; what it has no answer to leaves for `following`."""
        assert self.cookies is not None and self.record is not None, "a rule set with that action has stages"
        return self._unless_next(self.cookies.answer(self.code, self.record, rule), following)

    def challenge(self, rule: Rule, following: ir.Block) -> U64:
        """What the stage answers that the rule names; what it leaves alone leaves for `following`."""
        assert rule.challenge is not None and self.record is not None, "a rule with that action names a stage"
        answer = self.stages.challenge(self.code, self.fields, self.record, rule.challenge)
        return self._unless_next(answer, following)

    def _unless_next(self, verdict: U32, following: ir.Block) -> U64:
        answered = self.bucket.matching.block("answered")
        self.code.builder.cbranch(self.code.compare(verdict, "==", NEXT), following, answered)
        self.code.builder.position_at_end(answered)
        return self.code.resize(verdict, I64)


WRITERS: Mapping[Action, Callable[[Acting, Rule, ir.Block], U64 | int | None]] = {
    Action.PASS: Acting.answer,
    Action.DROP: Acting.answer,
    Action.BLOCK: Acting.drop,
    Action.REJECT: Acting.reject,
    Action.REDIRECT: Acting.redirect,
    Action.MIRROR: Acting.mirror,
    Action.MARK: Acting.mark,
    Action.COUNT: Acting.nothing,
    Action.SYN_PROXY: Acting.proxy,
    Action.CHALLENGE: Acting.challenge,
}

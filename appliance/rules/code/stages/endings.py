"""What is left to do for rules once a frame is judged: a program has the frame itself, and functions of rules don't.

    a rule         fields          at the end, by C in programs/stages
    reject         reject = how    reject(context, frame), if the verdict is REJECT ── TX, or DROP
    mark           dscp = which    mark(context, frame), if the frame leaves: PASS or REDIRECT
    mirror         mirror = where  redirects.mirror, last of all, if the frame passes or is dropped

A verdict that is none of XDP's stands for an ending that has to be written yet; a stage that answers the same has not
said how.
"""

from __future__ import annotations

from typing import cast

from llvmlite import ir

from appliance.ir import I32, PTR, U32, Code, Pointer
from appliance.rules.code.bpf_module import BpfModule
from appliance.rules.code.fields import Fields
from appliance.rules.model import Action, RuleSet
from appliance.rules.stages.bitcode import shipped_bitcode
from hooks.contracts.contract import Verdict
from hooks.contracts.xdp import XDP_LINUX

REJECT = 8

# Actions whose C is given the frame as stages are.
WRITTEN_IN_C = {Action.REJECT: "reject", Action.MARK: "mark"}
LEAVING = tuple(XDP_LINUX.number(verdict) for verdict in (Verdict.PASS, Verdict.REDIRECT))
_SIGNATURE = ir.FunctionType(I32, [PTR, PTR])


class Endings:
    """Writes the ends of one object's programs. For one thread."""

    def __init__(self, module: BpfModule, rules: RuleSet) -> None:
        self.module = module
        self.actions = {rule.action for rule in rules.rules}
        self.in_c = self.actions & WRITTEN_IN_C.keys()

    def write(self, code: Code, fields: Fields, record: Pointer, verdict: U32) -> U32:
        """What the program answers where rules have decided on that verdict."""
        answer = code.variable(I32, verdict)
        if Action.REJECT in self.actions:
            is_rejected = code.and_(code.compare(verdict, "==", REJECT), code.compare(fields["reject"], "!=", 0))
            with code.if_(is_rejected):
                answer.set(self._call(code, Action.REJECT, record))
        if Action.MARK in self.actions:
            passes, redirected = (code.compare(answer.get(), "==", number) for number in LEAVING)
            with code.if_(code.and_(code.compare(fields["dscp"], "!=", 0), code.or_(passes, redirected))):
                self._call(code, Action.MARK, record)
        return answer.get()

    def _call(self, code: Code, action: Action, record: Pointer) -> U32:
        name = WRITTEN_IN_C[action]
        self.module.link(shipped_bitcode(name))
        return cast(U32, code.builder.call(self.module.external(name, _SIGNATURE), [code["context"], record]))

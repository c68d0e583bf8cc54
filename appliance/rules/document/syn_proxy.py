"""`syn_proxy:` of documents and of rules, and what they mean together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from appliance.errors import InputRefused
from appliance.rules.conditions import Condition, layers
from appliance.rules.document.document import Document
from appliance.rules.document.places import KeyPath
from appliance.rules.document.schema import RuleEntry, SynProxyEntry, SynProxyRuleEntry
from appliance.rules.layers import Layer
from appliance.rules.model import Action, Direction, Mode, Place, Rule, Stage, SynCookies, SynProxy
from appliance.rules.stages.bitcode import shipped_bitcode

ID = "syn-proxy"  # of the stage: the head of its counters' names
FILE, PROGRAM = "syn_proxy", "syn_proxy_flows"


def read_cookies(
    document: Document, entry: RuleEntry, conditions: tuple[Condition, ...], at: KeyPath, defects: list[InputRefused]
) -> SynCookies | None:
    """What a rule with that action says of it; None of every other rule."""
    if entry.action != Action.SYN_PROXY.value:
        return None
    if not any(Layer.TCP in layers(condition) for condition in conditions):
        hint = "add a field of TCP to `match:`, such as tcp.flags: {all: [syn], not: [ack]}"
        defects.append(document.refuse("only TCP has SYNs to answer", (*at, "action"), hint=hint))
    if entry.retransmit is not None:
        hint = "leave `retransmit` out: a cookie proves more"
        defects.append(document.refuse("a SYN proxy has no retransmit test", (*at, "retransmit"), hint=hint))
    said = entry.syn_proxy or SynProxyRuleEntry.model_validate({})
    return SynCookies(resets=said.mode == "reset", mss=said.mss, timestamps=said.timestamps)


def read_proxy(given: Iterable[SynProxyEntry], rules: Iterable[Rule]) -> SynProxy | None:
    """What the documents say of all flows, later ones over earlier ones; None if no rule has the action."""
    said: dict[str, Any] = {}
    for entry in given:
        said.update(entry.model_dump(exclude_unset=True))
    if not any(rule.syn_cookies for rule in rules):
        return None
    return SynProxy(**SynProxyEntry.model_validate(said).model_dump())


def stage(rule: Rule) -> Stage:
    """What stands before the rules, both ways, for the flows that were opened; `rule` is the first that opens any."""
    bitcode = shipped_bitcode(FILE)
    return Stage(ID, bitcode, PROGRAM, Place.FIRST, Mode.ENFORCE, Direction.BOTH, constants={}, where=rule.where)

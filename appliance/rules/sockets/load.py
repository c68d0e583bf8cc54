"""A guard's rules from their file: the document, and the lists that its sets name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.errors import InputRefused
from appliance.rules.code.match import cost
from appliance.rules.document.check import check
from appliance.rules.document.document import Document, read_document
from appliance.rules.document.salvage import salvage
from appliance.rules.document.sets import SetReader
from appliance.rules.errors import RuleSetRefused
from appliance.rules.model import LiveSet
from appliance.rules.sockets.model import MOST_FACTS, GuardAction, GuardRule, GuardRules, HasFact
from appliance.rules.sockets.rules import SocketRuleReader
from appliance.rules.sockets.schema import GuardDocument, GuardRuleEntry

# Each program holds all rules in one function, and a jump of BPF reaches 32767 instructions far: a rule is some six of
# them, a compare up to eleven (of an IPv6 address). LLVM ends the process at a jump that is too far.
MOST_RULES = 500
MOST_COMPARES = 1500


def is_guard(path: str | Path) -> bool:
    """Whether a YAML document has a guard's rules."""
    data = read_document(path).data
    return isinstance(data, dict) and "guard" in data


def load_guard_rules(path: str | Path) -> GuardRules:
    """Read a document and the lists that it names. Raises RuleSetRefused with every defect found."""
    document = read_document(path)
    instead: dict[str, Any] = {"guard": {}}
    salvaged = salvage(GuardDocument, document, document.data, instead=instead)
    defects = list(salvaged.defects)
    entry = salvaged.entry
    sets = SetReader(defects)
    sets.forget(salvaged.wrong)
    for name, each in entry.sets.items():
        sets.define(document, name, each)
        if isinstance(sets.sets.get(name), LiveSet):
            hint = "say `constant: true`, or list its elements; a combination or a database can't guard"
            defects.append(document.refuse("the sets of a guard are constant", ("sets", name), hint=hint))
            sets.sets[name] = None
    reader = SocketRuleReader(document, entry.defaults, sets.sets, defects)
    rules = []
    for number, data in enumerate(entry.guard.rules):
        found = _rule(document, data, number, reader, defects)
        if found:
            rules.append(found)
    if len(entry.guard.rules) > MOST_RULES:
        what, hint = f"{len(entry.guard.rules)} rules are more than {MOST_RULES}", "put addresses and ports into sets"
        defects.append(document.refuse(what, ("guard", "rules"), hint=hint))
    made = GuardRules(document.file, GuardAction(entry.guard.default), tuple(rules), {document.file: document.text})
    if len(made.facts) > MOST_FACTS:
        what = f"{len(made.facts)} different paths of `exe` and `cgroup` are more than {MOST_FACTS}"
        defects.append(document.refuse(what, ("guard", "rules"), hint="name cgroups that hold the others"))
    compares = sum(cost(each) for rule in rules for each in rule.conditions if not isinstance(each, HasFact))
    if compares > MOST_COMPARES:
        what = f"the rules together make {compares} compares, and there is room for {MOST_COMPARES}"
        hint = "let one rule name what several share; more than 64 values of a rule become a map, and cost less"
        defects.append(document.refuse(what, ("guard", "rules"), hint=hint))
    if not made.ops and not defects:
        hint = "give it a rule, or `default: deny`"
        defects.append(document.refuse("this guard would judge nothing", ("guard",), hint=hint))
    if defects:
        raise RuleSetRefused(defects)
    return made


def _rule(
    document: Document, data: Any, number: int, reader: SocketRuleReader, defects: list[InputRefused]
) -> GuardRule | None:
    at = ("guard", "rules", number)
    try:
        entry = check(GuardRuleEntry, document, data, at)
    except RuleSetRefused as refused:
        defects += refused.defects
        return None
    return reader.rule(entry, at, number)

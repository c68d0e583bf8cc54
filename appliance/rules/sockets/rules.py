"""`rules:` of a guard: each entry to a GuardRule, with what its keys mean together."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from appliance.errors import InputRefused, SourceLine
from appliance.rules.conditions import Condition, InAddresses, InRanges
from appliance.rules.document.combinations import COMBINED
from appliance.rules.document.conditions import Reader
from appliance.rules.document.document import Document
from appliance.rules.document.places import KeyPath
from appliance.rules.document.sets import AnySet
from appliance.rules.errors import did_you_mean
from appliance.rules.model import Mode
from appliance.rules.sockets.families import seen_by
from appliance.rules.sockets.fields import OP, SocketFields, ops_of
from appliance.rules.sockets.model import (
    DEFAULT,
    EVERY_OP,
    UNKNOWN,
    FactKind,
    GuardAction,
    GuardRule,
    Op,
    SocketCondition,
    Target,
)
from appliance.rules.sockets.schema import GuardDefaults, GuardRuleEntry
from appliance.rules.sockets.targets import read_target
from appliance.rules.sockets.words import WordReader
from appliance.rules.values import BadValue

_NUMBERS = {name: number for number, name in errno.errorcode.items()}


class SocketRuleReader:
    """Reads the rules of one document, and collects what is wrong with them. For one thread."""

    def __init__(
        self,
        document: Document,
        defaults: GuardDefaults,
        sets: Mapping[str, AnySet | None],
        defects: list[InputRefused],
    ) -> None:
        self.document = document
        self.defaults = defaults
        self.defects = defects
        self.reader = Reader(document, sets, SocketFields(), defects)
        self.words = WordReader(document, defects)
        self.places: dict[str, SourceLine] = {}

    def rule(self, entry: GuardRuleEntry, at: KeyPath, index: int) -> GuardRule:
        """One entry; `index` is its place in the order of evaluation."""
        self._claim(entry.id, (*at, "id"))
        match = entry.match or {}
        inside = (*at, "match")
        ops = self._ops(match, inside)
        conditions = self._conditions(match, inside)
        action = GuardAction(entry.action)
        return GuardRule(
            id=entry.id,
            index=index,
            ops=ops,
            conditions=conditions,
            action=action,
            mode=Mode(entry.mode or self.defaults.mode),
            where=self.document.place(at),
            errno=self._errno(entry, action, at),
            targets=self._targets(entry, action, conditions, at),
            description=entry.description,
        )

    def _refuse(self, what: str, at: KeyPath, hint: str | None = None, *, key: bool = False) -> None:
        self.defects.append(self.document.refuse(what, at, hint=hint, key=key))

    def _claim(self, id_: str, at: KeyPath) -> None:
        if id_ in (DEFAULT, UNKNOWN):
            self._refuse(f"the id {id_!r} is that of a counter of every guard", at, "choose another id")
        if id_ in self.places:
            self._refuse(f"the id {id_!r} is taken", at, f"its first rule is at {self.places[id_]}")
        self.places.setdefault(id_, self.document.place(at))

    def _ops(self, match: Mapping[str, object], at: KeyPath) -> frozenset[Op]:
        """The calls that are named; without a name, those in which all of the fields are there."""
        there = EVERY_OP.intersection(*(ops_of(name) for name in match))
        if OP not in match:
            if not there:
                self._refuse("no call has both a source and a destination", at, "make them two rules")
            return there
        before = len(self.defects)
        named = self.words.ops(match[OP], (*at, OP))
        for name in match:
            for op in sorted(named - ops_of(name), key=lambda op: op.value) if len(self.defects) == before else ():
                known = " and ".join(sorted(op.value for op in ops_of(name)))
                self._refuse(f"a call of {op.value} has no {name}", (*at, name), f"{name} belongs to {known}", key=True)
        return named & there

    def _conditions(self, match: Mapping[str, object], at: KeyPath) -> tuple[SocketCondition, ...]:
        words = {kind.value: kind for kind in FactKind}
        found: list[SocketCondition] = []
        numbers: dict[str, object] = {}
        for name, value in match.items():
            if name in words:
                found += self.words.facts(words[name], value, (*at, name))
            elif COMBINED in name:
                self._refuse("a rule about sockets combines no fields", (*at, name), "match them one by one", key=True)
            elif name != OP:
                numbers[name] = value
        compared: tuple[Condition, ...] = self.reader.match(numbers, at)
        for each in compared:
            assert isinstance(each, InRanges | InAddresses)  # one field each, and every set constant
            found.append(each)
        return tuple(found)

    def _errno(self, entry: GuardRuleEntry, action: GuardAction, at: KeyPath) -> int:
        if entry.errno is None:
            return errno.EPERM
        if action is not GuardAction.DENY:
            self._refuse("errno belongs to the action deny", (*at, "errno"), "leave it out", key=True)
        if entry.errno not in _NUMBERS:
            self._refuse(f"there is no errno {entry.errno!r}", (*at, "errno"), did_you_mean(entry.errno, _NUMBERS))
        return _NUMBERS.get(entry.errno, errno.EPERM)

    def _targets(
        self, entry: GuardRuleEntry, action: GuardAction, conditions: tuple[SocketCondition, ...], at: KeyPath
    ) -> dict[int, Target]:
        """Where calls of each family go. A call of IPv6 can go to an IPv4 address, and not the other way round."""
        inside = (*at, "to")
        if (entry.to is not None) is not (action is GuardAction.REDIRECT):
            hint = 'write `action: redirect, to: "127.0.0.1:8080"`, or `to: ":8080"` for the port alone'
            self._refuse("`to` and the action redirect belong together", inside if entry.to else at, hint)
        targets: dict[int | None, Target] = {}
        for text in entry.to or []:
            try:
                target = read_target(text)
            except BadValue as bad:
                self._refuse(bad.what, inside, bad.hint)
                return {}
            if target.family in targets or (None in (*targets, target.family) and targets):
                self._refuse("two targets are one of IPv4 and one of IPv6", inside, "leave one out")
            targets[target.family] = target
        if not targets:
            return {}
        whichever = targets.get(None) or targets.get(4)
        first, second = targets.get(4, whichever), targets.get(6, whichever)
        if first is None and _names_ipv4(conditions):
            hint = 'add a target of IPv4, or match addresses of IPv6 alone (ip.dst: "::/0")'
            self._refuse("a call of IPv4 can't be sent to an IPv6 address", inside, hint)
        return {version: each for version, each in ((4, first), (6, second)) if each}


def _names_ipv4(conditions: tuple[SocketCondition, ...]) -> bool:
    """Whether a call of IPv4 can meet the conditions."""
    return all(seen_by(each.addresses, 4) for each in conditions if isinstance(each, InAddresses))

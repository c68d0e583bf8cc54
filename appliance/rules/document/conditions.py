"""`match:` to conditions. Whatever way a condition is written, it ends as ranges of numbers, or as tests of bits.

tcp.dport: 443                          (443, 443)
tcp.dport: [80, 443, "8000-8099"]       three ranges
frame.len: {gt: 90, not: "1400-1500"}   (91, 1399), (1501, 2**32 - 1)
tcp.port: {gt: 90, not: 443}            one of the two in (91, 65535), none of them in (443, 443)
ip.src: {in: "@office", not: 192.0.2.1} ranges of either family
ip.src: ["@blocklist", 192.0.2.1]       an element of a live set, or one address
ip.src . tcp.dport: "@services"         both together an element of a set of combinations
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from appliance.errors import InputRefused
from appliance.rules.conditions import (
    BitTest,
    Condition,
    HasBits,
    InAddresses,
    InRanges,
    InSets,
    Membership,
    NoneInRanges,
)
from appliance.rules.document.combinations import COMBINED, read_combination
from appliance.rules.document.document import Document
from appliance.rules.document.elements import ElementReader, NumbersAndSets
from appliance.rules.document.fields import FieldReader
from appliance.rules.document.places import KeyPath
from appliance.rules.document.sets import AnySet
from appliance.rules.errors import did_you_mean
from appliance.rules.matchers import Matcher
from appliance.rules.ranges import Ranges, complement, intersection
from appliance.rules.values import (
    V4_MAXIMUM,
    V6_MAXIMUM,
    Addresses,
    AddressKind,
    BadValue,
    FlagsKind,
    NumberKind,
    OptionKind,
    TruthKind,
)

OPERATORS = ("eq", "any", "all", "not", "any_not", "gt", "lt", "in")


class Reader(ElementReader):
    """Reads the conditions of one document, and collects what is wrong with them. For one thread."""

    def __init__(
        self,
        document: Document,
        sets: Mapping[str, AnySet | None],
        fields: FieldReader,
        defects: list[InputRefused],
    ) -> None:
        super().__init__(document, sets, defects)
        self.fields = fields

    def match(self, match: Mapping[str, Any], path: KeyPath) -> tuple[Condition, ...]:
        """Every condition of a rule's `match:`."""
        conditions: list[Condition] = []
        for name, value in match.items():
            if COMBINED in name:
                conditions += read_combination(self, self.fields, name, value, (*path, name))
                continue
            try:
                matcher = self.fields.find(name)
            except BadValue as bad:
                self.refuse(bad.what, (*path, name), bad.hint, key=True)
                continue
            conditions += self._conditions(matcher, value, (*path, name))
        return tuple(conditions)

    def _conditions(self, matcher: Matcher, value: Any, path: KeyPath) -> tuple[Condition, ...]:
        operators = value if isinstance(value, dict) else {"eq": value}
        known = _OPERATORS_OF[type(matcher.kind)]
        for operator in operators:
            if operator not in known:
                words = f"{matcher.name} takes no operator {operator!r}"
                self.refuse(words, (*path, operator), did_you_mean(operator, known), key=True)
                return ()
        if not operators:
            self.refuse(f"{matcher.name} has no value", path, f"operators are: {', '.join(known)}")
            return ()
        at = path if not isinstance(value, dict) else None
        before = len(self.defects)
        conditions = _READERS[type(matcher.kind)](self, matcher, operators, path, at)
        return conditions if len(self.defects) == before else ()

    # numbers

    def _numbers(
        self, matcher: Matcher, operators: Mapping[str, Any], path: KeyPath, at: KeyPath | None
    ) -> tuple[Condition, ...]:
        kind = matcher.kind
        assert isinstance(kind, NumberKind)
        before = len(self.defects)
        everything: Ranges = ((0, kind.maximum),)
        wanted, excluded = everything, NumbersAndSets((), ())
        live: list[Membership] = []
        for operator, value in operators.items():
            where = at or (*path, operator)
            if operator == "not":
                excluded = self.ranges(kind, value, where)
                continue
            if operator == "any_not":
                allowed: Ranges = self._any_not(matcher, value, where)
            elif operator in ("gt", "lt"):
                limit = self.limit(kind, value, where)
                allowed = ((limit + 1, kind.maximum),) if operator == "gt" else ((0, limit - 1),)
            else:
                found = self.ranges(kind, value, where)
                if found.sets:
                    live.append(found.membership)
                    continue
                allowed = found.constants
            wanted = intersection(wanted, tuple((low, high) for low, high in allowed if low <= high))
        both = intersection(wanted, complement(excluded.constants, kind.maximum))
        if not both and len(self.defects) == before:
            self._refuse_nothing(matcher, operators, path)
        if len(matcher.fields) == 1:
            return self._one_field(matcher, both, everything, live, excluded.sets)
        has_wanted, has_not = operators.keys() != {"not"}, "not" in operators
        only_sets = bool(excluded.sets) and not excluded.constants
        among = (Membership(wanted, ()), *live) if wanted != everything else tuple(live)
        return (
            *((InSets(matcher, among) if live else InRanges(matcher, wanted),) if has_wanted else ()),
            *((NoneInRanges(matcher, excluded.constants),) if has_not and not only_sets else ()),
            *((InSets(matcher, (Membership((), excluded.sets),), negated=True),) if excluded.sets else ()),
        )

    def _any_not(self, matcher: Matcher, value: Any, path: KeyPath) -> Ranges:
        """What one of several places must be for it not to have one of the values."""
        kind = matcher.kind
        assert isinstance(kind, NumberKind)
        if len(matcher.fields) == 1:
            self.refuse(f"{matcher.name} stands for one place in a frame", path, "write `not`")
        found = self.ranges(kind, value, path)
        if found.sets:
            self.refuse("any_not takes no set whose contents change", path, "list its values")
        return complement(found.constants, kind.maximum)

    @staticmethod
    def _one_field(
        matcher: Matcher, constants: Ranges, everything: Ranges, live: list[Membership], excluded: tuple[str, ...]
    ) -> tuple[Condition, ...]:
        """Of one field, what it must be, what live sets it must be in, and what it must not be in, are apart."""
        return (
            *((InRanges(matcher, constants),) if constants != everything or not (live or excluded) else ()),
            *((InSets(matcher, tuple(live)),) if live else ()),
            *((InSets(matcher, (Membership((), excluded),), negated=True),) if excluded else ()),
        )

    def _refuse_nothing(self, matcher: Matcher, operators: Mapping[str, Any], path: KeyPath) -> None:
        """Nothing can match: said once, unless a set that was refused already is the reason, or one that is empty, as a
        list may be that somebody else fills."""
        texts = [text for value in operators.values() for text in (value if isinstance(value, list) else [value])]
        named = [text[1:] for text in texts if isinstance(text, str) and text.startswith("@")]
        if all(self.sets.get(name) for name in named):
            self.refuse(f"{matcher.name} can't have any value here", path, "loosen or remove a condition")

    # addresses

    def _prefixes(
        self, matcher: Matcher, operators: Mapping[str, Any], path: KeyPath, at: KeyPath | None
    ) -> tuple[Condition, ...]:
        kind = matcher.kind
        assert isinstance(kind, AddressKind)
        before = len(self.defects)
        v4: Ranges = ((0, V4_MAXIMUM),) if 4 in kind.families else ()
        v6: Ranges = ((0, V6_MAXIMUM),) if 6 in kind.families else ()
        everything = Addresses(v4, v6)
        of: Callable[[Addresses], Addresses | Ranges] = (
            (lambda addresses: addresses) if matcher.holds_both_families else (lambda addresses: addresses.v4)
        )
        live: list[Condition] = []
        for operator, value in operators.items():
            found = self.members(kind, value, at or (*path, operator))
            if found.sets and operator == "not":
                live.append(InSets(matcher, (Membership(of(Addresses()), found.sets),), negated=True))
            elif found.sets:
                live.append(InSets(matcher, (Membership(of(found.constants), found.sets),)))
                continue
            allowed = found.constants
            if operator == "not":
                allowed = Addresses(complement(allowed.v4, V4_MAXIMUM), complement(allowed.v6, V6_MAXIMUM))
            v4, v6 = intersection(v4, allowed.v4), intersection(v6, allowed.v6)
        if not v4 and not v6 and len(self.defects) == before:
            self._refuse_nothing(matcher, operators, path)
        constants = Addresses(v4, v6)
        if constants == everything and live:
            return tuple(live)
        narrowed = InAddresses(matcher, constants) if matcher.holds_both_families else InRanges(matcher, v4)
        return (narrowed, *live)

    # flags and truth

    def _flags(
        self, matcher: Matcher, operators: Mapping[str, Any], path: KeyPath, at: KeyPath | None
    ) -> tuple[Condition, ...]:
        kind = matcher.kind
        assert isinstance(kind, FlagsKind)
        everything = sum(kind.bits.values())
        before = len(self.defects)
        tests: list[BitTest] = []
        for operator, value in operators.items():
            if at and isinstance(value, list):
                hint = f"write {matcher.name}: {{all: [syn], not: [ack]}}, or {{eq: [syn]}} for exactly these"
                self.refuse(f"a list of {kind.name}s needs an operator: eq, any, all or not", path, hint)
                break
            bits = self.bits(kind, value, at or (*path, operator))
            if not bits and operator in ("any", "all", "not") and value == []:
                self.refuse(f"{operator} needs at least one {kind.name}", (*path, operator), "eq: [] means none set")
            tests.append(
                {
                    "eq": BitTest(everything, bits),
                    "all": BitTest(bits, bits),
                    "any": BitTest(bits, 0, negated=True),
                    "not": BitTest(bits, 0),
                }[operator]
            )
        possible = (all(test.holds(value) for test in tests) for value in range(everything + 1))
        if len(self.defects) == before and not any(possible):
            self.refuse(f"{matcher.name} can't have any value here", path, "loosen or remove a condition")
        return (HasBits(matcher, tuple(tests)),)

    def _truth(
        self, matcher: Matcher, operators: Mapping[str, Any], path: KeyPath, at: KeyPath | None
    ) -> tuple[Condition, ...]:
        (value,) = operators.values()
        if not isinstance(value, bool):
            self.refuse(f"{matcher.name} is true or false", at or path, "write true or false")
        return (InRanges(matcher, ((int(bool(value)), int(bool(value))),)),)


_OPERATORS_OF: dict[type, tuple[str, ...]] = {
    NumberKind: ("eq", "any", "in", "not", "any_not", "gt", "lt"),
    OptionKind: ("eq", "any", "in", "not", "any_not", "gt", "lt"),
    AddressKind: ("eq", "any", "in", "not"),
    FlagsKind: ("eq", "any", "all", "not"),
    TruthKind: ("eq",),
}
_READERS: dict[type, Callable[..., tuple[Condition, ...]]] = {
    NumberKind: Reader._numbers,
    OptionKind: Reader._numbers,
    AddressKind: Reader._prefixes,
    FlagsKind: Reader._flags,
    TruthKind: Reader._truth,
}

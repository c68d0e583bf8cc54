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
from dataclasses import dataclass
from typing import Any

from appliance.errors import InputRefused
from appliance.rules.document.document import Document
from appliance.rules.document.places import KeyPath
from appliance.rules.document.sets import AnySet
from appliance.rules.errors import did_you_mean
from appliance.rules.matchers import MATCHERS, Matcher, find_matcher, which_field
from appliance.rules.model import (
    BitTest,
    Condition,
    HasBits,
    InAddresses,
    InCombinations,
    InRanges,
    InSets,
    LiveSet,
    Membership,
    NoneInRanges,
)
from appliance.rules.ranges import Ranges, complement, intersection, union
from appliance.rules.sets.elements import ElementType
from appliance.rules.values import (
    V4_MAXIMUM,
    V6_MAXIMUM,
    Addresses,
    AddressKind,
    BadValue,
    FlagsKind,
    NumberKind,
    TruthKind,
    read_addresses,
    read_flags,
    read_number,
    read_range,
)

COMBINED = " . "
OPERATORS = ("eq", "any", "all", "not", "any_not", "gt", "lt", "in")


@dataclass(frozen=True, slots=True)
class NumbersAndSets:
    """Numbers, and the names of live sets of them."""

    constants: Ranges
    sets: tuple[str, ...]

    @property
    def membership(self) -> Membership:
        return Membership(self.constants, self.sets)


@dataclass(frozen=True, slots=True)
class AddressesAndSets:
    """Addresses, and the names of live sets of them."""

    constants: Addresses
    sets: tuple[str, ...]


class Reader:
    """Reads the values of one document, and collects what is wrong with them. For one thread."""

    def __init__(self, document: Document, sets: Mapping[str, AnySet | None], defects: list[InputRefused]) -> None:
        """`sets` has None for a set that was refused already, so that its uses aren't refused again."""
        self.document = document
        self.sets = sets
        self.defects = defects

    def refuse(self, what: str, path: KeyPath, hint: str | None = None, *, key: bool = False) -> None:
        self.defects.append(self.document.refuse(what, path, hint=hint, key=key))

    def match(self, match: Mapping[str, Any], path: KeyPath) -> tuple[Condition, ...]:
        """Every condition of a rule's `match:`."""
        conditions: list[Condition] = []
        for name, value in match.items():
            if COMBINED in name:
                conditions += self._combination(name, value, (*path, name))
                continue
            try:
                matcher = find_matcher(name)
            except BadValue as bad:
                self.refuse(bad.what, (*path, name), bad.hint, key=True)
                continue
            if matcher is None:
                self.refuse(f"there is no field {name!r}", (*path, name), which_field(name), key=True)
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

    def limit(self, kind: NumberKind, value: Any, path: KeyPath) -> int:
        try:
            return read_number(kind, value)
        except BadValue as bad:
            self.refuse(bad.what, path, bad.hint)
            return 0

    def ranges(self, kind: NumberKind, value: Any, path: KeyPath) -> NumbersAndSets:
        """A number, a range, a set's name, or a list of these."""
        ranges, live = [], []
        for element, where in _each(value, path):
            if isinstance(element, str) and element.startswith("@"):
                if kind.size:
                    self.refuse("bytes are in no set", where, "list their values")
                    continue
                found = self._named(element, ElementType((kind.set_type,)), where)
                if isinstance(found, LiveSet):
                    live.append(found.name)
                elif found:
                    ranges += [r for r in found.ranges if r[0] <= kind.maximum]
                continue
            try:
                ranges.append(read_range(kind, element))
            except BadValue as bad:
                self.refuse(bad.what, where, bad.hint)
        return NumbersAndSets(union(ranges), tuple(live))

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

    def members(self, kind: AddressKind, value: Any, path: KeyPath) -> AddressesAndSets:
        """A prefix, a range, a set's name, or a list of these."""
        found: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        live = []
        for element, where in _each(value, path):
            if isinstance(element, str) and element.startswith("@"):
                named = self._named(element, ElementType((kind.set_type,)), where)
                if isinstance(named, LiveSet):
                    live.append(named.name)
                elif named:
                    found[4] += named.addresses.v4
                    found[6] += named.addresses.v6
                continue
            try:
                family, addresses = read_addresses(kind, element)
                found[family].append(addresses)
            except BadValue as bad:
                self.refuse(bad.what, where, bad.hint)
        return AddressesAndSets(Addresses(union(found[4]), union(found[6])), tuple(live))

    def _named(self, text: str, wanted: ElementType, path: KeyPath) -> AnySet | None:
        name = text[1:]
        if name not in self.sets:
            self.refuse(f"there is no set {name!r}", path, did_you_mean(name, self.sets))
            return None
        found = self.sets[name]
        if found is not None and found.type != wanted:
            self.refuse(f"the set {name!r} holds {found.type} elements", path, f"use a set of {wanted}")
            return None
        return found

    # combinations

    def _combination(self, name: str, value: Any, path: KeyPath) -> tuple[Condition, ...]:
        """`ip.src . tcp.dport: "@set"`: the fields together are an element of a set."""
        before = len(self.defects)
        matchers = [self._combined(part.strip(), path) for part in name.split(COMBINED)]
        operators = value if isinstance(value, dict) else {"eq": value}
        conditions = []
        for operator, names in operators.items():
            at = (*path, operator) if isinstance(value, dict) else path
            if operator not in ("eq", "any", "in", "not"):
                self.refuse(f"a combination takes no operator {operator!r}", at, "it takes: eq, any, in, not", key=True)
                continue
            found = tuple(matcher for matcher in matchers if matcher is not None)
            if len(found) == len(matchers):
                sets = self._sets_of(found, names, at)
                conditions.append(InCombinations(found, sets, negated=operator == "not"))
        return tuple(conditions) if len(self.defects) == before else ()

    def _combined(self, name: str, path: KeyPath) -> Matcher | None:
        """One field of a combination. Refuses those whose values no set has."""
        matcher = MATCHERS.get(name)
        if matcher is None:
            self.refuse(f"there is no field {name!r}", path, which_field(name), key=True)
        elif not isinstance(matcher.kind, NumberKind | AddressKind):
            self.refuse(f"{name} can't stand in a combination", path, "make it a condition of its own", key=True)
        elif len(matcher.fields) > 1:
            hint = "name one of them, such as tcp.dport"
            self.refuse(f"{name} stands for several places in a frame", path, hint, key=True)
        else:
            return matcher
        return None

    def _sets_of(self, matchers: tuple[Matcher, ...], names: Any, path: KeyPath) -> tuple[str, ...]:
        """The sets of combinations of these fields' types that are named."""
        types = [matcher.kind.set_type for matcher in matchers if isinstance(matcher.kind, NumberKind | AddressKind)]
        found = []
        for text, where in _each(names, path):
            if not isinstance(text, str) or not text.startswith("@"):
                self.refuse("a combination is looked for in sets alone", where, 'name one, like "@services"')
                continue
            named = self._named(text, ElementType(tuple(types)), where)
            found += [named.name] if named is not None else []
        return tuple(found)

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
            bits = self._bits(kind, value, at or (*path, operator))
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

    def _bits(self, kind: FlagsKind, value: Any, path: KeyPath) -> int:
        bits = 0
        for element, where in _each(value, path):
            try:
                bits |= read_flags(kind, element)
            except BadValue as bad:
                self.refuse(bad.what, where, bad.hint)
        return bits

    def _truth(
        self, matcher: Matcher, operators: Mapping[str, Any], path: KeyPath, at: KeyPath | None
    ) -> tuple[Condition, ...]:
        (value,) = operators.values()
        if not isinstance(value, bool):
            self.refuse(f"{matcher.name} is true or false", at or path, "write true or false")
        return (InRanges(matcher, ((int(bool(value)), int(bool(value))),)),)


def _each(value: Any, path: KeyPath) -> list[tuple[Any, KeyPath]]:
    """The elements of a list with their paths; a single value is a list of one."""
    if isinstance(value, list):
        return [(element, (*path, index)) for index, element in enumerate(value)]
    return [(value, path)]


_OPERATORS_OF: dict[type, tuple[str, ...]] = {
    NumberKind: ("eq", "any", "in", "not", "any_not", "gt", "lt"),
    AddressKind: ("eq", "any", "in", "not"),
    FlagsKind: ("eq", "any", "all", "not"),
    TruthKind: ("eq",),
}
_READERS: dict[type, Callable[..., tuple[Condition, ...]]] = {
    NumberKind: Reader._numbers,
    AddressKind: Reader._prefixes,
    FlagsKind: Reader._flags,
    TruthKind: Reader._truth,
}

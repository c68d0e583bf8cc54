"""A rule set from its files: the document, the files it includes, the lists its sets name.

document ── include ── included documents      sets, allowlists and rules of all of them, included ones first
        └── sets ── list files

Of `defaults`, what a document says replaces what the documents that it includes say, key by key.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.errors import InputRefused, SourceLine
from appliance.rules.code.layout import VERDICT_COUNTERS
from appliance.rules.document.check import check
from appliance.rules.document.conditions import NamedSet, Reader
from appliance.rules.document.document import Document, KeyPath, read_document, read_text
from appliance.rules.document.schema import DefaultsEntry, RateEntry, RetransmitEntry, RuleEntry, RuleSetEntry, SetEntry
from appliance.rules.matchers import Layer
from appliance.rules.model import (
    Action,
    Condition,
    Direction,
    Mode,
    Rate,
    Retransmit,
    Rule,
    RuleSet,
)
from appliance.rules.ranges import union
from appliance.rules.refusal import RuleSetRefused
from appliance.rules.values import (
    ELEMENT_KINDS,
    PREFIX,
    Addresses,
    AddressKind,
    BadValue,
    SetType,
    read_prefix,
    read_range,
)

MOST_RULES = 1000
RESERVED_IDS = frozenset(VERDICT_COUNTERS)
DEFAULT_SOURCES = 65536
LARGEST_FRAME = 1514  # bytes, the least sensible burst of a bps rate
SLOWEST = {"pps": 1e-6, "bps": 1.0}  # what a frame costs must fit into 62 bits (limits)


def load_rule_set(path: str | Path) -> RuleSet:
    """Read a rule set document and everything it names. Raises RuleSetRefused with every defect found."""
    document = read_document(path)
    return parse_rule_set(document, document.data)


def parse_rule_set(document: Document, part: Any) -> RuleSet:
    """The rule set in a document's top level. `part` is the document's data, less the keys that aren't a rule set's
    (`schema.RULE_SET_KEYS` are). Raises RuleSetRefused."""
    return _Loader(document, check(RuleSetEntry, document, part)).rule_set()


@dataclass(frozen=True, slots=True)
class _Source:
    document: Document
    entry: RuleSetEntry


class _Loader:
    """Gathers files, then sets, then rules; collects defects on the way, so that one run shows them all."""

    def __init__(self, document: Document, entry: RuleSetEntry) -> None:
        self.document = document
        self.entry = entry
        self.defaults = entry.defaults
        self.defects: list[InputRefused] = []
        self.sources: list[_Source] = []
        self.sets: dict[str, NamedSet | None] = {}
        self.set_places: dict[str, SourceLine] = {}
        self.rule_places: dict[str, SourceLine] = {}

    def rule_set(self) -> RuleSet:
        self._gather(_Source(self.document, self.entry), (Path(self.document.file).resolve(),))
        given = [source.entry.defaults.model_dump(exclude_unset=True) for source in self.sources]
        self.defaults = DefaultsEntry.model_validate({key: each[key] for each in given for key in each})
        for source in self.sources:
            for name, entry in source.entry.sets.items():
                self._define(source.document, name, entry)
        allowlist = self._allowlist()
        rules: list[Rule] = []
        for source in self.sources:
            for number, rule in enumerate(source.entry.rules):
                rules.append(self._rule(source.document, rule, ("rules", number), len(rules)))
        if len(rules) > MOST_RULES:
            what = f"{len(rules)} rules are more than {MOST_RULES}"
            self.defects.append(self.document.refuse(what, ("rules",), hint="put addresses and ports into sets"))
        if self.defects:
            raise RuleSetRefused(self.defects)
        defaults = self.defaults
        return RuleSet(
            file=self.document.file,
            policy=Action(defaults.policy),
            malformed=Action(defaults.malformed),
            mode=Mode(defaults.mode),
            direction=Direction(defaults.direction),
            allowlist=allowlist,
            rules=tuple(rules),
            texts={source.document.file: source.document.text for source in [self.sources[-1], *self.sources[:-1]]},
        )

    # files

    def _gather(self, source: _Source, chain: tuple[Path, ...]) -> None:
        """Append what the source includes, depth first, then the source itself."""
        document = source.document
        for number, name in enumerate(source.entry.include):
            at: KeyPath = ("include", number)
            if "\0" in name:
                self.defects.append(document.refuse(f"{name!r} names no file", at))
                continue
            path = Path(document.file).parent / name
            resolved = path.resolve()
            if resolved in chain:
                what = f"{name} includes this file again"
                self.defects.append(document.refuse(what, at, hint="remove one of the two include lines"))
                continue
            if any(Path(known.document.file).resolve() == resolved for known in self.sources):
                self.defects.append(document.refuse(f"{name} is included twice", at, hint="remove one of the lines"))
                continue
            try:
                included = read_document(path)
                entry = check(RuleSetEntry, included, included.data)
            except RuleSetRefused as refused:
                self.defects += self._from(refused, document, at)
                continue
            self._gather(_Source(included, entry), (*chain, resolved))
        self.sources.append(source)

    @staticmethod
    def _from(refused: RuleSetRefused, document: Document, at: KeyPath) -> list[InputRefused]:
        """A file's defects; one that has no line of its own is told at the place that names the file."""
        return [
            defect
            if isinstance(defect.where, SourceLine)
            else document.refuse(f"{defect.where}: {defect.what}", at, hint=defect.hint)
            for defect in refused.defects
        ]

    # sets

    def _define(self, document: Document, name: str, entry: SetEntry) -> None:
        at: KeyPath = ("sets", name)
        place = document.place(at, key=True)
        if name in self.sets:
            what, hint = f"the set {name!r} is defined twice", f"it is first defined at {self.set_places[name]}"
            self.defects.append(document.refuse(what, at, hint=hint, key=True))
            return
        self.set_places[name] = place
        before = len(self.defects)
        elements = self._elements(document, entry, at)
        found = self._read_set(name, SetType(entry.type), elements)
        self.sets[name] = found if len(self.defects) == before else None

    def _allowlist(self) -> Addresses:
        """Whatever is on the allowlist of any of the files."""
        found = [
            Reader(source.document, self.sets, self.defects).addresses(PREFIX, source.entry.allowlist, ("allowlist",))
            for source in self.sources
        ]
        return Addresses(union([r for each in found for r in each.v4]), union([r for each in found for r in each.v6]))

    def _elements(self, document: Document, entry: SetEntry, at: KeyPath) -> list[tuple[Any, SourceLine]]:
        """A set's elements with their places, from the document or from the file it names."""
        if (entry.elements is None) == (entry.file is None):
            hint = "give a list under `elements:`, or the path of a list as `file:`"
            self.defects.append(document.refuse("a set has either elements or a file", at, hint=hint))
            return []
        if entry.elements is not None:
            inside = (*at, "elements")
            return [(value, document.place((*inside, i))) for i, value in enumerate(entry.elements)]
        path = Path(document.file).parent / str(entry.file)
        try:
            text = read_text(path)
        except RuleSetRefused as refused:
            self.defects += self._from(refused, document, (*at, "file"))
            return []
        return list_elements(text, str(path))

    def _read_set(self, name: str, type_: SetType, elements: list[tuple[Any, SourceLine]]) -> NamedSet:
        kind = ELEMENT_KINDS[type_]
        ranges: dict[int, list[tuple[int, int]]] = {0: [], 4: [], 6: []}
        for value, place in elements:
            try:
                family, found = (
                    read_prefix(kind, value) if isinstance(kind, AddressKind) else (0, read_range(kind, value))
                )
                ranges[family].append(found)
            except BadValue as bad:
                self.defects.append(InputRefused(bad.what, where=place, hint=bad.hint))
        return NamedSet(name, type_, union(ranges[0]), Addresses(union(ranges[4]), union(ranges[6])))

    # rules

    def _rule(self, document: Document, entry: RuleEntry, at: KeyPath, index: int) -> Rule:
        where = document.place(at)
        if entry.id in self.rule_places:
            what, hint = f"the id {entry.id!r} is taken", f"its first rule is at {self.rule_places[entry.id]}"
            self.defects.append(document.refuse(what, (*at, "id"), hint=hint))
        if entry.id in RESERVED_IDS:
            what = f"the id {entry.id!r} is that of a counter of every rule set"
            self.defects.append(document.refuse(what, (*at, "id"), hint="choose another id"))
        self.rule_places.setdefault(entry.id, document.place((*at, "id")))
        reader = Reader(document, self.sets, self.defects)
        conditions = reader.match(entry.match or {}, (*at, "match"))
        defaults = self.defaults
        return Rule(
            id=entry.id,
            index=index,
            conditions=conditions,
            action=Action(entry.action),
            mode=Mode(entry.mode or defaults.mode),
            direction=Direction(entry.direction or defaults.direction),
            rate=self._rate(document, entry.rate, (*at, "rate")) if entry.rate else None,
            retransmit=self._retransmit(document, entry, conditions, at) if entry.retransmit else None,
            description=entry.description,
            where=where,
        )

    def _rate(self, document: Document, entry: RateEntry, at: KeyPath) -> Rate:
        if (entry.pps is None) == (entry.bps is None):
            hint = "pps counts packets per second, bps bits per second"
            self.defects.append(document.refuse("a rate has either pps or bps", at, hint=hint))
        if entry.sources is not None and entry.per is None:
            hint = "say `per: ip.src`, or leave `sources` out"
            self.defects.append(document.refuse("sources belongs to a rate per address", (*at, "sources"), hint=hint))
        unit, amount = ("pps", entry.pps) if entry.pps is not None else ("bps", entry.bps or 1.0)
        if amount < SLOWEST[unit]:
            what, hint = f"a rate of {amount:g} {unit} is too low to be kept", f"give at least {SLOWEST[unit]:g}"
            self.defects.append(document.refuse(what, (*at, unit), hint=f"{hint}, or drop without a rate"))
        burst = entry.burst if entry.burst is not None else default_burst(unit, amount)
        if unit == "bps" and burst < LARGEST_FRAME:
            what = f"a burst of {burst} bytes is less than one frame"
            hint = f"the burst of a bps rate is in bytes; give at least {LARGEST_FRAME}"
            self.defects.append(document.refuse(what, (*at, "burst"), hint=hint))
        return Rate(unit, amount, burst, entry.per, entry.sources or DEFAULT_SOURCES)

    def _retransmit(
        self, document: Document, rule: RuleEntry, conditions: tuple[Condition, ...], at: KeyPath
    ) -> Retransmit:
        entry = rule.retransmit or RetransmitEntry()
        inside = (*at, "retransmit")
        if rule.rate is not None:
            hint = "make them two rules"
            self.defects.append(document.refuse("a rule has a rate or a retransmit test, not both", inside, hint=hint))
        if not any(condition.matcher.layer is Layer.TCP for condition in conditions):
            hint = "add a field of TCP to `match:`, such as tcp.flags: {all: [syn], not: [ack]}"
            self.defects.append(document.refuse("only TCP retransmits", inside, hint=hint))
        if entry.after >= entry.before:
            what = f"after ({entry.after:g} s) isn't less than before ({entry.before:g} s)"
            self.defects.append(document.refuse(what, inside, hint="a TCP stack tries again after 1, 3 and 7 seconds"))
        return Retransmit(entry.after, entry.before, entry.remember, entry.sources, entry.tries)


def default_burst(unit: str, amount: float) -> int:
    """One second of the rate in packets, or a tenth of a second in bytes but no less than ten full frames."""
    return max(1, round(amount)) if unit == "pps" else max(10 * LARGEST_FRAME, round(amount / 80))


def list_elements(text: str, file: str) -> list[tuple[Any, SourceLine]]:
    """The elements of a list file: one per line; `#` begins a comment; blank lines are nothing."""
    elements: list[tuple[Any, SourceLine]] = []
    for number, line in enumerate(text.splitlines(), 1):
        element = line.partition("#")[0].strip()
        if element:
            elements.append((element, SourceLine(file, number, line.index(element) + 1, line)))
    return elements

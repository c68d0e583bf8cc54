"""A rule set from its files: the document, the files it includes, the lists its sets name.

document ── include ── included documents      sets, allowlists and rules of all of them, included ones first
        └── sets ── list files

Of `defaults`, what a document says replaces what the documents that it includes say, key by key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from appliance.errors import InputRefused
from appliance.rules.document import syn_proxy
from appliance.rules.document.connections import asks_for_state, nothing_tracks, read_connections
from appliance.rules.document.document import Document, read_document
from appliance.rules.document.elements import ElementReader
from appliance.rules.document.places import KeyPath
from appliance.rules.document.rules import RuleReader
from appliance.rules.document.salvage import Salvaged, salvage
from appliance.rules.document.schema import DefaultsEntry, RuleSetEntry, TunnelsEntry
from appliance.rules.document.sets import SetReader, defects_of_file
from appliance.rules.document.stages import StageReader
from appliance.rules.errors import RuleSetRefused
from appliance.rules.model import Action, Direction, LiveSet, Mode, Rule, RuleSet
from appliance.rules.ranges import union
from appliance.rules.tunnels import Tunnel, Tunnels
from appliance.rules.values import PREFIX, Addresses

MOST_RULES = 100_000
T = TypeVar("T")


def load_rule_set(path: str | Path) -> RuleSet:
    """Read a rule set document and everything it names. Raises RuleSetRefused with every defect found."""
    document = read_document(path)
    return parse_rule_set(document, document.data)


def parse_rule_set(document: Document, part: Any) -> RuleSet:
    """The rule set in a document's top level. `part` is the document's data, less the keys that aren't a rule set's
    (`schema.RULE_SET_KEYS` are). Raises RuleSetRefused."""
    return _Loader(_Source(document, part, salvage(RuleSetEntry, document, part))).rule_set()


@dataclass(frozen=True, slots=True)
class _Source:
    """A document, what of it is a rule set, and as much of that as is right."""

    document: Document
    data: Any
    salvaged: Salvaged[RuleSetEntry]

    @property
    def entry(self) -> RuleSetEntry:
        return self.salvaged.entry

    def numbered(self, key: str, entries: Sequence[T]) -> Iterator[tuple[KeyPath, T]]:
        """The entries of a list, each with its place."""
        for number, entry in zip(self.salvaged.numbers(key, self.data), entries, strict=False):
            yield (key, number), entry


class _Loader:
    """Gathers files, then sets, then rules; collects defects on the way, so that one run shows them all."""

    def __init__(self, source: _Source) -> None:
        self.source = source
        self.document = source.document
        self.defaults = source.entry.defaults
        self.tunnels: Tunnels | None = None
        self.defects: list[InputRefused] = []
        self.sources: list[_Source] = []
        self.sets = SetReader(self.defects)

    def rule_set(self) -> RuleSet:
        self._gather(self.source, (Path(self.document.file).resolve(),))
        given = [source.entry.defaults.model_dump(exclude_unset=True) for source in self.sources]
        self.defaults = DefaultsEntry.model_validate({key: each[key] for each in given for key in each})
        self.tunnels = self._tunnels()
        for source in self.sources:
            self.defects += source.salvaged.defects
            self.sets.forget(source.salvaged.wrong)
            for name, entry in source.entry.sets.items():
                self.sets.define(source.document, name, entry)
        allowlist, allowlist_sets = self._allowlist()
        reader = RuleReader(self.defaults, self.sets.sets, self.tunnels, self.defects)
        rules: list[Rule] = []
        is_tracking = any(source.entry.connections for source in self.sources)
        for source in self.sources:
            for at, rule in source.numbered("rules", source.entry.rules):
                rules.append(reader.rule(source.document, rule, at, len(rules)))
                if not is_tracking and asks_for_state(rules[-1]):
                    self.defects.append(nothing_tracks(source.document, at))
        stages = StageReader(self.defaults, {rule.id for rule in rules}, self.defects)
        proxy = syn_proxy.read_proxy(filter(None, (source.entry.syn_proxy for source in self.sources)), rules)
        if proxy:
            stages.stages.append(syn_proxy.stage(next(rule for rule in rules if rule.syn_cookies)))
        for source in self.sources:
            for at, stage in source.numbered("stages", source.entry.stages):
                stages.read(source.document, stage, at)
        stages.check_challenges(rules)
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
            stages=tuple(stages.stages),
            connections=read_connections(filter(None, (source.entry.connections for source in self.sources))),
            syn_proxy=proxy,
            sets={name: found for name, found in self.sets.sets.items() if isinstance(found, LiveSet)},
            allowlist_sets=allowlist_sets,
            tunnels=self.tunnels,
            texts={source.document.file: source.document.text for source in [self.sources[-1], *self.sources[:-1]]},
        )

    def _tunnels(self) -> Tunnels | None:
        """What the documents say together, as of `defaults`."""
        given = [entry.model_dump(exclude_unset=True) for each in self.sources if (entry := each.entry.tunnels)]
        if not given:
            return None
        entry = TunnelsEntry.model_validate({key: each[key] for each in given for key in each})
        kinds = frozenset(map(Tunnel, entry.kinds))
        return Tunnels(entry.depth, kinds) if entry.depth and kinds else None

    # files

    def _gather(self, source: _Source, chain: tuple[Path, ...]) -> None:
        """Append what the source includes, depth first, then the source itself."""
        document = source.document
        for at, name in source.numbered("include", source.entry.include):
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
                found = _Source(included, included.data, salvage(RuleSetEntry, included, included.data))
            except RuleSetRefused as refused:
                self.defects += defects_of_file(refused, document, at)
                self.sets.sets.incomplete = True
                continue
            self._gather(found, (*chain, resolved))
        self.sources.append(source)

    def _allowlist(self) -> tuple[Addresses, tuple[str, ...]]:
        """Whatever is on the allowlist of any of the files, and the sets that are."""
        found = [
            ElementReader(source.document, self.sets.sets, self.defects).members(
                PREFIX, source.entry.allowlist, ("allowlist",)
            )
            for source in self.sources
        ]
        v4 = union([range_ for each in found for range_ in each.constants.v4])
        v6 = union([range_ for each in found for range_ in each.constants.v6])
        return Addresses(v4, v6), tuple(dict.fromkeys(name for each in found for name in each.sets))

"""The box's own part of its document: interfaces, workers, metrics, and what judges the frames.

version: 1
interfaces: [{outside: eth0, inside: eth1, mode: inline}]
workers: 1
on_failure: exit
trust: {mode: enforce}                              whose code runs (appliance.box.approval.config)
metrics: {listen: "127.0.0.1:9478"}
rules: […]                                          a rule set, or
program: {object: firewall.bpf.o, inward: xdp_firewall}      somebody's own eBPF object
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from appliance.box.approval.config import BY_DEFAULT, TrustConfig, TrustEntry
from appliance.box.exits import unserved_exits
from appliance.errors import InputRefused, SourceLine
from appliance.metrics.address import read_address
from appliance.rules.document.check import check
from appliance.rules.document.document import Document, read_document
from appliance.rules.document.load import parse_rule_set
from appliance.rules.document.salvage import salvage
from appliance.rules.document.schema import RULE_SET_KEYS, Entry, Version
from appliance.rules.errors import RuleSetRefused
from appliance.rules.model import RuleSet

_INTERFACE = "an interface as `ip link` shows it: 15 characters at most, no space, no slash; altnames aren't looked up"
InterfaceName = Annotated[str, Field(pattern=r"^[^\s/]{1,15}$", description=_INTERFACE)]
MOST_PASSAGES = 8


class InterfaceEntry(Entry):
    """One entry of `interfaces:`"""

    outside: InterfaceName
    inside: InterfaceName | None = Field(None, description=_INTERFACE)
    mode: Literal["inline", "tap"] = Field("inline", description="tap: count and judge, enforce nothing")


class MetricsEntry(Entry):
    """`metrics:`"""

    listen: str = Field("127.0.0.1:9478", description="address:port that Prometheus scrapes")


class ProgramEntry(Entry):
    """`program:`"""

    object: str = Field(description="an eBPF object file, relative to this document")
    inward: str | None = Field(None, description="the program for frames from outside, if the object has several")
    outward: str | None = Field(None, description="the program for frames from inside; they pass if there is none")


class BoxEntry(Entry):
    """The top level, less the keys of the rule set."""

    version: Version = Field(description="the version of this format: 1")
    interfaces: Annotated[list[InterfaceEntry], Field(min_length=1, max_length=MOST_PASSAGES)] = Field(
        description="what the box stands between; a rule set alone is checked by `tidegate check`, too"
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(1, description="threads; the kernel deals flows out among them")
    on_failure: Literal["exit", "stay"] = Field(
        "exit", description="a worker hangs or has died: end the box, its interfaces as before, or stay and tell"
    )
    metrics: MetricsEntry = Field(default_factory=lambda: MetricsEntry.model_validate({}))
    program: ProgramEntry | None = None
    trust: TrustEntry = Field(default_factory=lambda: TrustEntry.model_validate({}))


@dataclass(frozen=True, slots=True)
class PassageConfig:
    """Two interfaces that frames cross between, or, in tap mode, one that is listened to."""

    outside: str
    inside: str | None

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The names of its interfaces."""
        return (self.outside,) if self.inside is None else (self.outside, self.inside)

    def __str__(self) -> str:
        return f"{self.outside} <-> {self.inside}" if self.inside else f"{self.outside} (tap: nothing is enforced)"


@dataclass(frozen=True, slots=True)
class ProgramConfig:
    """An eBPF object and which of its programs judge."""

    path: Path
    inward: str | None
    outward: str | None


@dataclass(frozen=True, slots=True)
class BoxConfig:
    """A box as its document describes it, found right. Either `rules` or `program` is given."""

    path: Path
    passages: tuple[PassageConfig, ...]
    workers: int
    exits_on_failure: bool
    metrics_address: str
    metrics_port: int
    rules: RuleSet | None
    program: ProgramConfig | None
    trust: TrustConfig = BY_DEFAULT


def load_box_config(path: str | Path) -> BoxConfig:
    """Read a box's document and every file that it names. Raises RuleSetRefused with all defects that were found."""
    document = read_document(path)
    if not isinstance(document.data, dict):
        check(BoxEntry, document, document.data, others=RULE_SET_KEYS)
    defects: list[InputRefused] = []
    of_rules = RULE_SET_KEYS - BoxEntry.model_fields.keys()
    own = {key: value for key, value in document.data.items() if key not in of_rules}
    own_part = _collected(defects, lambda: salvage(BoxEntry, document, own, RULE_SET_KEYS, {"version": 1}))
    part = {key: value for key, value in document.data.items() if key in of_rules}
    rules = _collected(defects, lambda: parse_rule_set(document, part))
    if own_part is not None:
        defects += own_part.defects
        defects += _contradictions(document, own_part.entry, own_part.numbers("interfaces", own))
        if rules is not None and own_part.is_whole("interfaces"):
            interfaces = own_part.entry.interfaces
            served = [name for each in interfaces for name in (each.outside, each.inside) if name]
            defects += unserved_exits(rules, served)
    if defects:
        raise RuleSetRefused(sorted(defects, key=_position))
    entry: BoxEntry = own_part.entry
    address, port = read_address(entry.metrics.listen) or ("", 0)
    return BoxConfig(
        path=Path(path),
        passages=tuple(PassageConfig(i.outside, i.inside) for i in entry.interfaces),
        workers=entry.workers,
        exits_on_failure=entry.on_failure == "exit",
        metrics_address=address,
        metrics_port=port,
        rules=None if entry.program else _as_seen(rules, entry),
        program=_program(document, entry.program) if entry.program else None,
        trust=TrustConfig.of(entry.trust, Path(document.file).parent),
    )


def _as_seen(rules: RuleSet, entry: BoxEntry) -> RuleSet:
    """A tap hears both directions as one, so nothing that needs to tell them apart can be said there."""
    if rules.connections is None or all(interface.mode == "inline" for interface in entry.interfaces):
        return rules
    return replace(rules, connections=replace(rules.connections, asymmetric=True))


def _collected(defects: list[InputRefused], read: Any) -> Any:
    try:
        return read()
    except RuleSetRefused as refused:
        defects += refused.defects
        return None


def _position(defect: InputRefused) -> tuple[str, int, int]:
    where = defect.where
    return (where.file, where.line, where.column) if isinstance(where, SourceLine) else ("", 0, 0)


def _contradictions(document: Document, entry: BoxEntry, places: Sequence[int]) -> list[InputRefused]:
    """What each key allows and the document as a whole does not; `places` are the interfaces' in their list."""
    defects = []
    seen: dict[str, int] = {}
    for number, interface in zip(places, entry.interfaces, strict=True):
        at = ("interfaces", number)
        if interface.mode == "inline" and interface.inside is None:
            hint = "frames from outside must go somewhere: name the inside interface, or say `mode: tap`"
            defects.append(document.refuse("an inline passage needs `inside`", at, hint=hint))
        if interface.mode == "tap" and interface.inside is not None:
            hint = "a tap only listens to `outside`; leave `inside` out"
            defects.append(document.refuse("a tap has no `inside`", (*at, "inside"), hint=hint))
        for key, name in (("outside", interface.outside), ("inside", interface.inside)):
            if name in seen:
                what, hint = f"interface {name} is used twice", "each interface belongs to one passage"
                defects.append(document.refuse(what, (*at, key), hint=hint))
            elif name is not None:
                seen[name] = number
    if read_address(entry.metrics.listen) is None:
        what, hint = f"{entry.metrics.listen!r} is not an address and a port", 'write it as "127.0.0.1:9478"'
        defects.append(document.refuse(what, ("metrics", "listen"), hint=hint))
    for key in ("rules", "include", "sets", "allowlist", "defaults"):
        if entry.program and key in document.data:
            what = f"`program` and `{key}` can't stand together"
            defects.append(document.refuse(what, (key,), hint="an object brings its own rules", key=True))
    return defects


def _program(document: Document, entry: ProgramEntry) -> ProgramConfig:
    return ProgramConfig(Path(document.file).parent / entry.object, entry.inward, entry.outward)

"""`rules:` of the documents: each entry to a Rule, with what its keys mean together."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.errors import InputRefused, SourceLine
from appliance.rules.conditions import Condition, layers
from appliance.rules.document.actions import ActionReader
from appliance.rules.document.conditions import Reader
from appliance.rules.document.document import Document
from appliance.rules.document.fields import FieldReader
from appliance.rules.document.keys import read_key
from appliance.rules.document.places import KeyPath
from appliance.rules.document.schema import DefaultsEntry, RateEntry, RetransmitEntry, RuleEntry
from appliance.rules.document.sets import AnySet
from appliance.rules.document.syn_proxy import read_cookies
from appliance.rules.layers import Layer
from appliance.rules.model import VERDICT_COUNTERS, Action, Direction, Mode, Rule
from appliance.rules.remembered import KeyPart, Rate, Retransmit
from appliance.rules.tunnels import Tunnels
from appliance.rules.values import BadValue

RESERVED_IDS = frozenset(VERDICT_COUNTERS)
DEFAULT_SOURCES = 65536
DEFAULT_HOLD = 10.0  # seconds
LARGEST_FRAME = 1514  # bytes, the least sensible burst of a bps rate
SLOWEST = {"pps": 1e-6, "bps": 1.0}  # what a frame costs must fit into 62 bits (code.state.token_bucket)


class RuleReader:
    """Reads the rules of one document after the other, and collects what is wrong with them. For one thread."""

    def __init__(
        self,
        defaults: DefaultsEntry,
        sets: Mapping[str, AnySet | None],
        tunnels: Tunnels | None,
        defects: list[InputRefused],
    ) -> None:
        self.defaults = defaults
        self.sets = sets
        self.fields = FieldReader(tunnels)
        self.defects = defects
        self.places: dict[str, SourceLine] = {}

    def rule(self, document: Document, entry: RuleEntry, at: KeyPath, index: int) -> Rule:
        """One entry of `rules:`; `index` is its place in the order of evaluation."""
        where = document.place(at)
        self._claim(document, entry.id, (*at, "id"))
        if entry.id in RESERVED_IDS:
            what = f"the id {entry.id!r} is that of a counter of every rule set"
            self.defects.append(document.refuse(what, (*at, "id"), hint="choose another id"))
        reader = Reader(document, self.sets, self.fields, self.defects)
        conditions = reader.match(entry.match or {}, (*at, "match"))
        defaults = self.defaults
        rate = self._rate(document, entry.rate, entry.action, (*at, "rate")) if entry.rate else None
        action = ActionReader(document, entry, at, self.fields, self.defects)
        action.check_keys()
        rule = Rule(
            id=entry.id,
            index=index,
            conditions=conditions,
            action=Action(entry.action),
            mode=Mode(entry.mode or defaults.mode),
            direction=Direction(entry.direction or defaults.direction),
            rate=rate,
            retransmit=self._retransmit(document, entry, conditions, at) if entry.retransmit else None,
            description=entry.description,
            where=where,
            block=action.block(rate),
            reject=action.reject(),
            dscp=action.dscp(),
            to=action.to(),
            challenge=action.challenge(),
            syn_cookies=read_cookies(document, entry, conditions, at, self.defects),
        )
        if rule.block:
            self._claim(document, rule.blocked_id, (*at, "id"))
        return rule

    def _claim(self, document: Document, id_: str, at: KeyPath) -> None:
        """Take an id for a rule, or for what else it counts."""
        if id_ in self.places:
            hint = f"its first rule is at {self.places[id_]}"
            self.defects.append(document.refuse(f"the id {id_!r} is taken", at, hint=hint))
        self.places.setdefault(id_, document.place(at))

    def _rate(self, document: Document, entry: RateEntry, action: str, at: KeyPath) -> Rate:
        if (entry.pps is None) == (entry.bps is None):
            hint = "pps counts packets per second, bps bits per second"
            self.defects.append(document.refuse("a rate has either pps or bps", at, hint=hint))
        if entry.sources is not None and entry.per is None:
            hint = "say `per: ip.src`, or leave `sources` out"
            self.defects.append(document.refuse("sources belongs to a rate with `per`", (*at, "sources"), hint=hint))
        unit, amount = ("pps", entry.pps) if entry.pps is not None else ("bps", entry.bps or 1.0)
        if amount < SLOWEST[unit]:
            what, hint = f"a rate of {amount:g} {unit} is too low to be kept", f"give at least {SLOWEST[unit]:g}"
            self.defects.append(document.refuse(what, (*at, unit), hint=f"{hint}, or drop without a rate"))
        burst = entry.burst if entry.burst is not None else default_burst(unit, amount)
        if unit == "bps" and burst < LARGEST_FRAME:
            what = f"a burst of {burst} bytes is less than one frame"
            hint = f"the burst of a bps rate is in bytes; give at least {LARGEST_FRAME}"
            self.defects.append(document.refuse(what, (*at, "burst"), hint=hint))
        per = self._per(document, entry.per or [], (*at, "per"))
        until = self._until(document, entry, action, amount, at)
        hold = entry.hold if entry.hold is not None else DEFAULT_HOLD
        held = (until, hold) if until is not None and hold else (None, 0.0)
        return Rate(unit, amount, burst, per, entry.sources or DEFAULT_SOURCES, *held)

    def _until(self, document: Document, entry: RateEntry, action: str, amount: float, at: KeyPath) -> float | None:
        """The rate below which a bucket is within again: of a SYN proxy half of what switches it on."""
        if entry.until is None and action == Action.SYN_PROXY.value:
            return amount / 2
        if entry.until is None and entry.hold is not None:
            hint = "say `until`, the rate below which the rule's action ends"
            self.defects.append(document.refuse("hold belongs to a rate with `until`", (*at, "hold"), hint=hint))
        if entry.until is not None and entry.until > amount:
            what = f"until ({entry.until:g}) is more than what is exceeded ({amount:g})"
            self.defects.append(document.refuse(what, (*at, "until"), hint="half of it is usual"))
        return entry.until

    def _per(self, document: Document, texts: list[str], at: KeyPath) -> tuple[KeyPart, ...]:
        def refuse(number: int, bad: BadValue) -> None:
            self.defects.append(document.refuse(bad.what, (*at, number), hint=bad.hint))

        return read_key(texts, self.fields, refuse)

    def _retransmit(
        self, document: Document, rule: RuleEntry, conditions: tuple[Condition, ...], at: KeyPath
    ) -> Retransmit:
        entry = rule.retransmit or RetransmitEntry()
        inside = (*at, "retransmit")
        if rule.rate is not None:
            hint = "make them two rules"
            self.defects.append(document.refuse("a rule has a rate or a retransmit test, not both", inside, hint=hint))
        if not any(Layer.TCP in layers(condition) for condition in conditions):
            hint = "add a field of TCP to `match:`, such as tcp.flags: {all: [syn], not: [ack]}"
            self.defects.append(document.refuse("only TCP retransmits", inside, hint=hint))
        if entry.after >= entry.before:
            what = f"after ({entry.after:g} s) isn't less than before ({entry.before:g} s)"
            self.defects.append(document.refuse(what, inside, hint="a TCP stack tries again after 1, 3 and 7 seconds"))
        return Retransmit(entry.after, entry.before, entry.remember, entry.sources, entry.tries)


def default_burst(unit: str, amount: float) -> int:
    """One second of the rate in packets, or a tenth of a second in bytes but no less than ten full frames."""
    return max(1, round(amount)) if unit == "pps" else max(10 * LARGEST_FRAME, round(amount / 80))

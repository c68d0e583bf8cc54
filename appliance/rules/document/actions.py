"""What a rule's action says more in a key of its own: each of these keys to its part of a Rule."""

from __future__ import annotations

from appliance.errors import InputRefused
from appliance.rules.actions import ACTIONS
from appliance.rules.document.document import Document
from appliance.rules.document.fields import FieldReader
from appliance.rules.document.keys import read_key
from appliance.rules.document.places import KeyPath
from appliance.rules.document.schema import BlockEntry, RejectEntry, RuleEntry, TargetEntry
from appliance.rules.model import Action, Reject, RejectBy
from appliance.rules.reading import read_number
from appliance.rules.remembered import Block, KeyPart, Rate
from appliance.rules.values import DSCP, BadValue


class ActionReader:
    """Reads the keys that belong to one rule's action, and collects what is wrong with them. For one thread."""

    def __init__(
        self, document: Document, entry: RuleEntry, at: KeyPath, fields: FieldReader, defects: list[InputRefused]
    ) -> None:
        self.document = document
        self.fields = fields
        self.entry = entry
        self.at = at
        self.action = Action(entry.action)
        self.defects = defects

    def check_keys(self) -> None:
        """A key of an action belongs to a rule of that action."""
        for row in ACTIONS.values():
            if row.key and row.action is not self.action and getattr(self.entry, row.key) is not None:
                hint = f"say `action: {row.action.value}`, or leave the key out"
                what = f"`{row.key}` belongs to the action `{row.action.value}`"
                self.defects.append(self.document.refuse(what, (*self.at, row.key), hint=hint, key=True))

    def block(self, rate: Rate | None) -> Block | None:
        """Whom the rule blocks: by its action, or by its rate."""
        if self.action is Action.BLOCK:
            if self.entry.rate and self.entry.rate.block_for is not None:
                hint = "leave `block_for` out; `block: {for: …}` says for how long"
                self._refuse("a rule that blocks needs no `block_for`", "rate", "block_for", hint=hint)
            entry = self.entry.block or BlockEntry.model_validate({})
            return Block(entry.seconds, self._key(entry.by), entry.sources)
        if rate is None or self.entry.rate is None or self.entry.rate.block_for is None:
            return None
        if self.action is not Action.DROP:
            what = f"a rule of the action `{self.action.value}` can't block who exceeds its rate"
            self._refuse(what, "rate", "block_for", hint="say `action: drop`")
        if not rate.per:
            hint = "say what those have in common who share a bucket, such as `per: ip.src`"
            self._refuse("block_for belongs to a rate with `per`", "rate", "block_for", hint=hint)
            return None
        return Block(self.entry.rate.block_for, rate.per, rate.sources)

    def reject(self) -> Reject | None:
        """How the rule answers what it rejects."""
        if self.action is not Action.REJECT:
            return None
        entry = self.entry.reject or RejectEntry.model_validate({})
        by = RejectBy(entry.by) if entry.by else RejectBy.EITHER
        return Reject(by, Rate("pps", entry.pps, max(1, round(entry.pps)), (), 0))

    def to(self) -> str | None:
        """The interface that the rule sends frames to."""
        if self.action not in (Action.REDIRECT, Action.MIRROR):
            return None
        entry: TargetEntry | None = getattr(self.entry, self.action.value)
        if entry is None:
            name = self.action.value
            self._refuse(f"the action `{name}` needs an interface", "action", hint=f"say `{name}: {{to: eth2}}`")
            return None
        return entry.to

    def dscp(self) -> int | None:
        """What the rule marks frames with."""
        if self.action is not Action.MARK:
            return None
        if self.entry.mark is None:
            what, hint = "the action `mark` needs to know with what", "say, for instance, `mark: {dscp: af11}`"
            self._refuse(what, "action", hint=hint)
            return None
        try:
            return read_number(DSCP, self.entry.mark.dscp)
        except BadValue as bad:
            self._refuse(bad.what, "mark", "dscp", hint=bad.hint)
            return None

    def challenge(self) -> str | None:
        """The id of the stage that the rule asks; whether there is one is known when all stages are (stages)."""
        if self.action is not Action.CHALLENGE:
            return None
        if self.entry.challenge is None:
            hint = "say `challenge: {stage: ID}`, of a stage that stands `at: in-rules`"
            self._refuse("a rule that challenges names a stage", "action", hint=hint)
            return None
        return self.entry.challenge.stage

    def _key(self, texts: list[str]) -> tuple[KeyPart, ...]:
        def refuse(number: int, bad: BadValue) -> None:
            self.defects.append(self.document.refuse(bad.what, (*self.at, "block", "by", number), hint=bad.hint))

        return read_key(texts, self.fields, refuse)

    def _refuse(self, what: str, *at: str, hint: str | None) -> None:
        self.defects.append(self.document.refuse(what, (*self.at, *at), hint=hint))

"""Counts that outlive a reload: what retired generations counted, by rule id and by reason."""

from __future__ import annotations

from collections import Counter

from appliance.box.generation import Generation
from appliance.datapath.statistics import Count


class Totals:
    """Sums over all generations that a box has had. For one thread at a time: the box holds its lock."""

    def __init__(self) -> None:
        self._rules: dict[str, Count] = {}
        self._errors: Counter[str] = Counter()

    def keep(self, generation: Generation) -> None:
        """Keep what a generation counted. Nobody may be counting in it any more."""
        self._rules |= self.rules(generation)
        self._errors.update(generation.parse_errors())

    def rules(self, generation: Generation) -> dict[str, Count]:
        """Each rule's frames since the box started, by id."""
        return {id_: count + self._rules.get(id_, Count()) for id_, count in generation.rule_counts().items()}

    def parse_errors(self, generation: Generation) -> dict[str, int]:
        """Malformed frames since the box started, by reason."""
        return {reason: count + self._errors[reason] for reason, count in generation.parse_errors().items()}

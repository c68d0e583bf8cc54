"""Where frames leave that rules redirect or mirror: interfaces of the box, by the index that each has now.

An interface that is gone has none, and one that is back another one: the maps follow twice a second, as passages do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from appliance.errors import InputRefused
from appliance.rules.code.redirects import Exit
from appliance.rules.model import Direction, RuleSet
from hooks.contracts.xdp import ACROSS
from hooks.interfaces.netdev import interface_state


def index_of_exit(exit_: Exit) -> int | None:
    """The index of an interface, None if it is gone; of a direction, what stands for wherever a frame leaves."""
    if isinstance(exit_, Direction):
        return ACROSS
    state = interface_state(exit_)
    return state.index if state else None


def unserved_exits(rules: RuleSet, served: Sequence[str]) -> Iterator[InputRefused]:
    """Rules that send frames to where a box of those interfaces can't."""
    for rule in rules.rules:
        if rule.to is not None and rule.to not in served:
            what = f"rule {rule.id!r} sends frames to {rule.to}, which the box doesn't serve"
            hint = f"it serves: {', '.join(served)}; name {rule.to} in `interfaces`, as a tap if it only takes frames"
            yield InputRefused(what, where=rule.where, hint=hint)

"""Where frames leave that rules redirect or mirror: interfaces of the box, by the index that each has now.

An interface that is gone has none, and one that is back another one: the maps follow twice a second, as passages do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from appliance.errors import InputRefused
from appliance.rules.code.redirects import Exit
from appliance.rules.model import Action, Direction, RuleSet
from hooks.interfaces.netdev import interface_state


def index_of_exits(leaves: Mapping[Direction, str]) -> Callable[[Exit], int | None]:
    """What says the index of an exit. `leaves` are the interfaces where frames leave that pass."""

    def index_of(exit_: Exit) -> int | None:
        name = exit_ if isinstance(exit_, str) else leaves.get(exit_)
        state = interface_state(name) if name else None
        return state.index if state else None

    return index_of


def unserved_exits(rules: RuleSet, served: Sequence[str], inline_passages: int) -> Iterator[InputRefused]:
    """Rules that send frames to where a box of those interfaces can't."""
    for rule in rules.rules:
        if rule.to is not None and rule.to not in served:
            what = f"rule {rule.id!r} sends frames to {rule.to}, which the box doesn't serve"
            hint = f"it serves: {', '.join(served)}; name {rule.to} in `interfaces`, as a tap if it only takes frames"
            yield InputRefused(what, where=rule.where, hint=hint)
        if rule.action is Action.MIRROR and inline_passages > 1:
            what = f"rule {rule.id!r} mirrors, and the box has several inline passages"
            hint = "XDP copies a frame by sending it to two interfaces: where it leaves must be one for all frames"
            yield InputRefused(what, where=rule.where, hint=hint)

"""The one table of what rules do with a frame: one row for each action that a document may name.

To add an action: a row here, its word in the schema (`document/schema.py`), its writer (`code/acting.py`); if it has a
key of its own, that key in the schema and its reader (`document/actions.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.rules.model import Action


@dataclass(frozen=True, slots=True)
class ActionRow:
    """What an action is. `verdict` is what becomes of the frame whose judgement it ends: PASS, DROP, TX or REDIRECT;
    None if the frame goes on to the next rule. `key` is the rule's key that says more of it, if there is one. `verb` is
    what a rule of it does, `doc` the same for the reference."""

    action: Action
    verdict: Action | None
    key: str | None
    verb: str
    doc: str

    @property
    def ends(self) -> bool:
        """Whether it ends the judgement."""
        return self.verdict is not None


_ROWS = (
    ActionRow(Action.PASS, Action.PASS, None, "passes", "the frame passes"),
    ActionRow(Action.DROP, Action.DROP, None, "drops", "the frame is dropped"),
    ActionRow(Action.BLOCK, Action.DROP, "block", "blocks", "it is dropped, and so is what its source sends next"),
    ActionRow(Action.REJECT, Action.TX, "reject", "rejects", "its sender is told, and it goes no further"),
    ActionRow(Action.REDIRECT, Action.REDIRECT, "redirect", "redirects", "it leaves by another interface of the box"),
    ActionRow(Action.MIRROR, None, "mirror", "mirrors", "another interface of the box gets a copy"),
    ActionRow(Action.MARK, None, "mark", "marks", "it is given a DSCP, should it leave"),
    ActionRow(Action.COUNT, None, None, "counts", "the frame is counted"),
    ActionRow(
        Action.SYN_PROXY,
        Action.TX,
        "syn_proxy",
        "answers",
        "a SYN is answered with a cookie; of others there is no more",
    ),
    ActionRow(Action.CHALLENGE, Action.TX, "challenge", "asks a stage about", "a stage decides, or leaves it"),
)
ACTIONS: Mapping[Action, ActionRow] = {row.action: row for row in _ROWS}


def ends(action: Action) -> bool:
    """Whether that ends the judgement: an action of rules, or an answer of stages, all of which do."""
    return action not in ACTIONS or ACTIONS[action].ends

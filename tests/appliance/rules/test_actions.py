"""The table of actions is total: what the schema lets through has a row, a writer, and a place in the reference."""

from __future__ import annotations

from typing import get_args

from appliance.rules.actions import ACTIONS, ends
from appliance.rules.code.acting import WRITERS
from appliance.rules.document.schema import RuleEntry
from appliance.rules.model import Action


def test_the_schema_knows_every_action_and_no_other() -> None:
    words = get_args(RuleEntry.model_fields["action"].annotation)
    assert sorted(words) == sorted(action.value for action in ACTIONS)


def test_every_action_has_a_writer() -> None:
    assert list(WRITERS) == list(ACTIONS)


def test_a_key_of_an_action_is_a_key_of_rules() -> None:
    keys = [row.key for row in ACTIONS.values() if row.key]
    assert set(keys) <= RuleEntry.model_fields.keys()
    assert len(keys) == len(set(keys))


def test_what_ends_a_judgement_says_what_becomes_of_the_frame() -> None:
    assert {action for action in ACTIONS if not ends(action)} == {Action.COUNT, Action.MARK, Action.MIRROR}
    assert ends(Action.TX)
    assert {row.verdict for row in ACTIONS.values()} - {None} <= {Action.PASS, Action.DROP, Action.TX, Action.REDIRECT}

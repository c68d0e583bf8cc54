"""The table of matchers is total: whatever it names exists, and whatever exists has a word in the reference."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from appliance.rules.actions import ACTIONS
from appliance.rules.document.check import keys_of
from appliance.rules.document.conditions import _OPERATORS_OF, _READERS, OPERATORS
from appliance.rules.document.schema import (
    ACTION_ENTRIES,
    DefaultsEntry,
    RateEntry,
    RetransmitEntry,
    RuleEntry,
    RuleSetEntry,
    SetEntry,
    TunnelsEntry,
    TunnelWord,
)
from appliance.rules.layers import PRESENCE, Layer
from appliance.rules.matchers import FIELDS, MATCHERS, OUTER_FIELDS, OUTER_MATCHERS, Matcher
from appliance.rules.names import ETHERTYPES, PROTOCOLS, TCP_FLAGS
from appliance.rules.tunnels import MEANINGS, Tunnel
from appliance.rules.values import SetType

ENTRIES = (RuleSetEntry, DefaultsEntry, SetEntry, RuleEntry, RateEntry, RetransmitEntry, TunnelsEntry, *ACTION_ENTRIES)
REFERENCE = (Path(__file__).parents[3] / "docs" / "rules.md").read_text()


@pytest.mark.parametrize("matcher", [*MATCHERS.values(), *OUTER_MATCHERS.values()], ids=lambda matcher: matcher.name)
def test_a_matcher_is_whole(matcher: Matcher) -> None:
    assert matcher.doc
    assert matcher.layer in PRESENCE
    assert type(matcher.kind) in _OPERATORS_OF
    assert type(matcher.kind) in _READERS
    assert matcher.reads
    assert set(matcher.reads) <= FIELDS.keys() | OUTER_FIELDS.keys()


@pytest.mark.parametrize("matcher", MATCHERS.values(), ids=lambda matcher: matcher.name)
def test_the_reference_has_a_line_for_it(matcher: Matcher) -> None:
    assert f"| `{matcher.name}` | {matcher.kind.name} | {matcher.doc} |" in REFERENCE


def test_every_layer_is_somebodys() -> None:
    assert {matcher.layer for matcher in MATCHERS.values()} == set(Layer)


def test_every_kind_of_tunnel_has_a_meaning_and_a_word() -> None:
    assert MEANINGS.keys() == set(Tunnel)
    assert set(get_args(TunnelWord)) == {kind.value for kind in Tunnel}


def test_operators_are_those_of_the_language() -> None:
    assert {operator for operators in _OPERATORS_OF.values() for operator in operators} == set(OPERATORS)


@pytest.mark.parametrize(
    "word",
    [
        *(f"`{key}`" for entry in ENTRIES for key in keys_of(entry)),
        *(f"`{kind.value}`" for kind in Tunnel),
        *(f"`{operator}`" for operator in OPERATORS),
        *(f"`{action.value}`" for action in ACTIONS),
        *(f"`{kind.value}`" for kind in SetType),
        *(f"`{name}`" for table in (ETHERTYPES, PROTOCOLS, TCP_FLAGS) for name in table),
    ],
)
def test_the_reference_explains(word: str) -> None:
    assert word in REFERENCE
